"""tokenizer.json is read without its model where that loses nothing, and whole where it would."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgepack.convert.tokenizer_settings import read_tokenizer_settings
from edgepack.domain.errors import BadInputError

_MODEL = {"type": "BPE", "vocab": {"normalizer": 0, "model": 1, '"model": {': 2, "ä🙂": 3}, "merges": [["a", "b"]]}
_BESIDE: dict[str, Any] = {
    "added_tokens": [{"id": 1, "content": '"model": {'}],
    "post_processor": {"type": "TemplateProcessing", "special_tokens": {"model": {"id": "model", "ids": [1]}}},
}


def read(tmp_path: Path, text: str) -> dict[str, Any]:
    path = tmp_path / "tokenizer.json"
    path.write_text(text, encoding="utf-8")
    return dict(read_tokenizer_settings(path))


@pytest.mark.parametrize("indent", [None, 2])
def test_a_model_that_comes_last_is_left_out(tmp_path: Path, indent: int | None) -> None:
    """Whatever its tokens and the special tokens are called."""
    text = json.dumps({**_BESIDE, "model": _MODEL}, indent=indent, ensure_ascii=False)
    assert read(tmp_path, text + "\n") == {**_BESIDE, "model": {}}


def test_sections_behind_the_model_are_not_lost(tmp_path: Path) -> None:
    table = {"added_tokens": [], "model": _MODEL, "post_processor": {"type": "ByteLevel"}}
    assert read(tmp_path, json.dumps(table)) == table


def test_a_file_without_a_model_is_read_whole(tmp_path: Path) -> None:
    assert read(tmp_path, json.dumps(_BESIDE)) == _BESIDE


@pytest.mark.parametrize(
    "text", ["", "[]", '{"added_tokens": ["model": {}}', '{"added_tokens": [], "model": {"vocab": {']
)
def test_a_damaged_file_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInputError, match=r"tokenizer\.json: (not JSON|expected a JSON object)"):
        read(tmp_path, text)
