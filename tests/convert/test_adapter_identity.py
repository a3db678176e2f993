"""Adapters against upstream's converter, and merges against merging in float32 first, by recorded digests."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from edgepack.convert.adapter import read_adapter
from edgepack.convert.lora_gguf import write_adapter
from edgepack.convert.onepass import open_conversion, write_gguf
from edgepack.convert.safetensors import read_header
from edgepack.domain.adapter import AdapterType
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from tests.fakes.adapters import make_adapter
from tests.fakes.checkpoints import make_checkpoint
from tests.oracle.adapters import CASES, Case
from tests.oracle.describe import describe

RECORDS = Path(__file__).parent.parent / "data" / "oracle-adapters"


@cache
def recorded(case: str) -> dict[str, Any]:
    """What was made -> description."""
    table: dict[str, Any] = json.loads((RECORDS / f"{case}.json").read_text())
    return table


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory, vocabularies: Path) -> dict[str, tuple[Path, Path]]:
    """Each case's base model and adapter, made once."""
    place, found = tmp_path_factory.mktemp("adapters"), {}
    for case in CASES:
        base = place / "base" / case.base.name
        if not base.is_dir():
            make_checkpoint(case.base, base, vocabularies)
        shapes = {tensor.name: tensor.shape for path in base.glob("*.safetensors") for tensor in read_header(path)}
        found[case.name] = base, make_adapter(case.adapter, shapes, place / case.adapter.name)
    return found


def assert_recorded(path: Path, case: Case, made: str) -> None:
    ours, theirs = describe(path), recorded(case.name)[made]
    assert ours["keys"] == theirs["keys"]
    assert ours["tensors"] == theirs["tensors"]
    assert ours["file"] == theirs["file"]


@pytest.mark.parametrize(
    ("case", "type"),
    [pytest.param(case, type, id=f"{case.name}-{type}") for case in CASES if case.gguf for type in AdapterType],
)
def test_an_adapter_equals_upstreams(
    case: Case, type: AdapterType, directories: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    """Every tensor's type and bytes, every key and the file itself are what convert_lora_to_gguf.py gives."""
    base, directory = directories[case.name]
    path = tmp_path / "ours.gguf"
    write_adapter(
        path, read_adapter(directory), directory.name, open_conversion(base, base.name), type,
        threads=2, progress=Silent(),
    )  # fmt: skip
    assert_recorded(path, case, f"adapter {type}")


@pytest.mark.parametrize(
    ("case", "quant"),
    [pytest.param(case, quant, id=f"{case.name}-{quant}") for case in CASES for quant in case.quants],
)
def test_a_merge_equals_merging_in_float32_first(
    case: Case, quant: Quant, directories: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    """The file is what llama.cpp's own two steps give for the checkpoint that numpy merged."""
    base, directory = directories[case.name]
    path = tmp_path / "ours.gguf"
    write_gguf(
        open_conversion(base, base.name, merge=read_adapter(directory)), quant, path, threads=2, progress=Silent()
    )
    assert_recorded(path, case, f"merged {quant}")
