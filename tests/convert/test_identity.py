"""Our one pass against the pinned llama.cpp's two steps, by recorded digests (make oracle records them again)."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from edgepack.convert.onepass import open_conversion, write_gguf
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from tests.fakes.checkpoints import Recipe, make_checkpoint
from tests.oracle.describe import describe
from tests.oracle.recipes import RECIPES

RECORDS = Path(__file__).parent.parent / "data" / "oracle"


@cache
def recorded(name: str) -> dict[str, Any]:
    """quantization -> description."""
    table: dict[str, Any] = json.loads((RECORDS / f"{name}.json").read_text())
    return table


@pytest.fixture(
    scope="module",
    # One worker a recipe: its checkpoint is made once.
    params=[pytest.param(recipe, marks=pytest.mark.xdist_group(recipe.name)) for recipe in RECIPES],
    ids=[recipe.name for recipe in RECIPES],
)
def checkpoint(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, vocabularies: Path
) -> tuple[Recipe, Path]:
    """One recipe's checkpoint, made once for all quantizations."""
    recipe: Recipe = request.param
    return recipe, make_checkpoint(recipe, tmp_path_factory.mktemp("identity") / recipe.name, vocabularies)


@pytest.mark.parametrize("quant", list(Quant))
def test_equals_the_oracle(checkpoint: tuple[Recipe, Path], quant: Quant, tmp_path: Path) -> None:
    """Every tensor's type and bytes, every key and the file itself are what llama.cpp's own two steps give."""
    recipe, directory = checkpoint
    path = tmp_path / "ours.gguf"
    write_gguf(open_conversion(directory, recipe.name), quant, path, threads=2, progress=Silent())
    ours, theirs = describe(path), recorded(recipe.name)[quant]
    assert ours["keys"] == theirs["keys"]
    assert ours["tensors"] == theirs["tensors"]
    assert ours["file"] == theirs["file"]
