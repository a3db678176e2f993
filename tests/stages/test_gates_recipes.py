"""The gates over every recipe: what no published checkpoint has wrong, and recipes do on purpose, is listed here."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from edgepack.convert.onepass import open_conversion, write_gguf
from edgepack.domain.gates import GateKind
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.stages.gates import check_gates
from tests.fakes.checkpoints import Recipe, make_checkpoint
from tests.oracle.recipes import RECIPES

PREFIX = "LLaMA's pieces begin a text with a space; these models' do not, and llama.cpp reads them so"
STALE = "the config is the published one's, and the tokens are another vocabulary's: its end is none of theirs"
SPLIT = "llama.cpp splits Hangul and Devanagari otherwise than BERT's tokenizer does"
REFUSED: Mapping[str, tuple[tuple[GateKind, ...], str]] = {
    **dict.fromkeys(
        ("ernie-4.5-awkward-f16", "gemma-seeded", "gemma-awkward-f16", "gemma-2-seeded", "gemma-2-awkward-f32",
         "gemma-3-seeded", "gemma-3-awkward-f16"),
        ((GateKind.TOKENIZER,), PREFIX),
    ),
    "gemma-3-vision-seeded": ((GateKind.TOKENIZER, GateKind.ENDS), f"{PREFIX}; {STALE}"),
    **dict.fromkeys(
        ("exaone-4-seeded", "exaone-4-awkward-f16", "granite-3-seeded", "olmo-2-seeded", "olmo-2-awkward"),
        ((GateKind.ENDS,), STALE),
    ),
    **dict.fromkeys(("MiniLM-seeded", "bert-masked-awkward-f16", "bge-seeded-bf16"), ((GateKind.TOKENIZER,), SPLIT)),
}  # fmt: skip
_FIRST = {recipe.vocabulary: recipe.name for recipe in reversed(RECIPES)}


def _cases() -> Iterator[object]:
    """The first of each vocabulary and those listed at once, the others, which read alike, among the slow tests."""
    for recipe in RECIPES:
        once = recipe.name in REFUSED or _FIRST[recipe.vocabulary] == recipe.name
        yield pytest.param(recipe, id=recipe.name, marks=[] if once else [pytest.mark.slow])


def test_the_listing_lists_recipes() -> None:
    assert REFUSED.keys() <= {recipe.name for recipe in RECIPES}


@pytest.mark.parametrize("recipe", list(_cases()))
def test_every_recipe_passes_or_is_listed(recipe: Recipe, tmp_path: Path, vocabularies: Path) -> None:
    """Exactly the gates that its listing names are not passed."""
    checkpoint = make_checkpoint(recipe, tmp_path / "checkpoint", vocabularies)
    weights = tmp_path / "model.gguf"
    write_gguf(open_conversion(checkpoint, recipe.name), Quant.F16, weights, threads=2, progress=Silent())
    failed = {gate.kind: gate.different for gate in check_gates(checkpoint, weights) if not gate.passed}
    shutil.rmtree(tmp_path)
    kinds, _ = REFUSED.get(recipe.name, ((), ""))
    assert tuple(failed) == kinds, failed
