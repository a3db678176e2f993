"""Seeded decoders of the families that become ONNX: few tokens, and weights so large that a wrong one shows."""

from dataclasses import replace
from pathlib import Path

from edgepack.convert.onepass import open_conversion, write_gguf
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from tests.fakes.checkpoints import Recipe, make_checkpoint
from tests.oracle.recipes.llama import RECIPES

_BY_NAME = {recipe.name: recipe for recipe in RECIPES}
_SPREAD = 0.05


def _small(name: str, **changes: object) -> Recipe:
    recipe = _BY_NAME[name]
    config = {**recipe.config, "num_hidden_layers": 4, **changes}
    return replace(
        recipe, name=f"{name}-few", vocabulary="few-pieces", config=config, shards=1, spread=_SPREAD, added={},
        generation={}, card="",
    )  # fmt: skip


DECODERS: dict[str, Recipe] = {
    "llama": _small("Llama-3-seeded-bf16", bos_token_id=1, eos_token_id=2),
    "llama-biased": _small("llama-spm-seeded-f32"),
    "qwen2": _small("Qwen2.5-0.1B-seeded", bos_token_id=1, eos_token_id=2, hidden_size=320, intermediate_size=512),
    "qwen3": _small("Qwen3-seeded-f16", bos_token_id=1, eos_token_id=2, rope_scaling=None),
}
"""Rope factors and a tied head; biases, one kept head, linear scaling; rows that K-types do not fit, a tied head,
biases; heads that are normed, wider than the states, a head of its own."""


def decoder_checkpoint(name: str, directory: Path, vocabularies: Path, *, spread: float = _SPREAD) -> Path:
    """`spread` is the weights' deviation: the larger, the more depends on which token looks at which."""
    return make_checkpoint(replace(DECODERS[name], spread=spread), directory, vocabularies)


def decoder_gguf(checkpoint: Path, quant: Quant, path: Path) -> Path:
    write_gguf(open_conversion(checkpoint, checkpoint.name), quant, path, threads=2, progress=Silent())
    return path
