"""Importance matrices and tensor types set by hand, against the pinned llama-quantize, by recorded digests."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from edgepack.convert.imatrix import read_matrix
from edgepack.convert.onepass import open_conversion, write_gguf
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.domain.tuning import parse_override
from tests.fakes.checkpoints import make_checkpoint
from tests.oracle.describe import describe
from tests.oracle.tuned import AWKWARD, CASES, REGULAR, Case

RECORDS = Path(__file__).parent.parent / "data" / "oracle-imatrix"


@cache
def recorded(case: str) -> dict[str, Any]:
    """quantization -> description."""
    table: dict[str, Any] = json.loads((RECORDS / f"{case}.json").read_text())
    return table


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory, vocabularies: Path) -> dict[str, Path]:
    """The recipes' checkpoints, made once."""
    place = tmp_path_factory.mktemp("tuned")
    return {recipe.name: make_checkpoint(recipe, place / recipe.name, vocabularies) for recipe in (REGULAR, AWKWARD)}


@pytest.mark.parametrize(
    ("case", "quant"),
    [pytest.param(case, quant, id=f"{case.name}-{quant}") for case in CASES for quant in case.quants],
)
def test_equals_llama_quantize(case: Case, quant: Quant, checkpoints: dict[str, Path], tmp_path: Path) -> None:
    """Every tensor's type and bytes, every key and the file itself are what llama-quantize gives with the options."""
    conversion = open_conversion(checkpoints[case.recipe.name], case.recipe.name)
    columns = {source.name: source.shape[-1] for source in conversion.sources if len(source.shape) > 1}
    matrix = case.write_matrix(tmp_path, columns)
    overrides = tuple(parse_override(text) for text in case.overrides)
    path = tmp_path / "ours.gguf"
    write_gguf(
        conversion, quant, path, threads=2, progress=Silent(), overrides=overrides,
        matrix=read_matrix(matrix) if matrix else None,
    )  # fmt: skip
    ours, theirs = describe(path), recorded(case.name)[quant]
    assert ours["keys"] == theirs["keys"]
    assert ours["tensors"] == theirs["tensors"]
    assert ours["file"] == theirs["file"]
