"""How a text's vectors become one is read from sentence-transformers' files, and from nowhere else."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgepack.convert.config import Config
from edgepack.convert.pooling import POOLING
from edgepack.domain.errors import BadInputError

MEAN, CLS, LAST = 1, 2, 3


def module(kind: str, path: str = "") -> dict[str, Any]:
    return {"idx": 0, "name": "0", "path": path, "type": f"sentence_transformers.models.{kind}"}


def pooled(directory: Path, modules: object, pooling: object = None) -> object:
    """The key's value for a checkpoint with these files."""
    if modules is not None:
        (directory / "modules.json").write_text(modules if isinstance(modules, str) else json.dumps(modules))
    if pooling is not None:
        (directory / "1_Pooling").mkdir()
        (directory / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return POOLING.value(Config(path=directory / "config.json", table={}))


USUAL = [module("Transformer"), module("Pooling", "1_Pooling"), module("Normalize", "2_Normalize")]


@pytest.mark.parametrize(
    ("pooling", "number"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, MEAN),
        ({"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}, CLS),
        ({"pooling_mode_lasttoken": True}, LAST),
        ({"pooling_mode": "mean"}, MEAN),
        ({"pooling_mode": "cls"}, CLS),
        ({"pooling_mode": "lasttoken"}, LAST),
        ({"pooling_mode_cls_token": True, "pooling_mode": "mean"}, CLS),
    ],
)
def test_every_way_that_llama_cpp_pools_is_read(tmp_path: Path, pooling: dict[str, Any], number: int) -> None:
    """Whether the file is of an old sentence-transformers or of a new one."""
    assert pooled(tmp_path, USUAL, pooling) == number


def test_without_modules_nothing_is_pooled(tmp_path: Path) -> None:
    assert pooled(tmp_path, None) is None
    assert pooled(tmp_path, [module("Transformer")]) is None


@pytest.mark.parametrize(
    "path", ["", "..", "../1_Pooling", "/etc", "1_Pooling/..", "1_Pooling/../..", "pooling", "1_Pooling\n"]
)
def test_only_the_pooling_folder_is_read(tmp_path: Path, path: str) -> None:
    """A path may lead out of the checkpoint, or to a file that its digest does not cover."""
    with pytest.raises(BadInputError, match=r"path: expected a folder such as 1_Pooling"):
        pooled(tmp_path, [module("Transformer"), module("Pooling", path)], {"pooling_mode": "mean"})


@pytest.mark.parametrize("kind", ["Dense", "CNN", "LSTM", "WeightedAverage"])
def test_what_llama_cpp_would_leave_out_is_refused(tmp_path: Path, kind: str) -> None:
    """The vectors would not be the model's."""
    with pytest.raises(BadInputError, match=rf"llama\.cpp does not compute 'sentence_transformers\.models\.{kind}'"):
        pooled(tmp_path, [*USUAL, module(kind, "2_More")], {"pooling_mode": "mean"})


@pytest.mark.parametrize(
    "pooling", [{"pooling_mode_max_tokens": True}, {"pooling_mode": "max"}, {"pooling_mode": []}]
)
def test_other_ways_to_pool_are_refused(tmp_path: Path, pooling: dict[str, Any]) -> None:
    with pytest.raises(BadInputError, match="pools by mean, first or last token only"):
        pooled(tmp_path, USUAL, pooling)


@pytest.mark.parametrize(
    "modules", ["{", "[" * 5000, "3", '[{"type": "Pooling"}]', '[{"type": 1, "path": ""}]', '"x"']
)
def test_a_broken_list_of_modules_is_refused(tmp_path: Path, modules: str) -> None:
    with pytest.raises(BadInputError, match=r"modules\.json: (not JSON|a module without type or path)"):
        pooled(tmp_path, modules)


def test_a_pooling_folder_that_is_not_here_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"1_Pooling/config\.json: not here, and modules\.json names it"):
        pooled(tmp_path, USUAL)
