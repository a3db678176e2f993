"""InternLM2's vocabulary has as many pieces as tokens, and files that lay others over them."""

import json
from pathlib import Path

import pytest

from edgepack.convert.config import Config
from edgepack.convert.vocabularies.internlm2 import end_of_turn, internlm2
from edgepack.convert.vocabulary import Token, TokenType, Vocabulary, read_vocabulary
from edgepack.domain.errors import BadInputError
from tests.fakes.demo_copy import DEMO


def read(directory: Path, size: int = 768) -> Vocabulary:
    return read_vocabulary(directory, config(directory, size), (internlm2,))


def config(directory: Path, size: int = 768) -> Config:
    return Config(path=directory / "config.json", table={"vocab_size": size})


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "tokenizer.model").write_bytes((DEMO / "tokenizer.model").read_bytes())
    return tmp_path


def configure(directory: Path, **texts: str) -> None:
    entries = {number.removeprefix("t"): {"content": text, "special": True} for number, text in texts.items()}
    (directory / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": entries}))


def test_tokens_lie_over_the_pieces_as_they_stand(directory: Path) -> None:
    """tokenizer.json's after tokenizer_config.json's: the last end of a turn ends a text."""
    assert end_of_turn(config(directory)) is None
    configure(directory, t500="\u2581one", t501="<|im_end|>")
    (directory / "tokenizer.json").write_text(
        json.dumps({"added_tokens": [{"id": 501, "content": "two"}, {"id": 502, "content": "<|im_end|>"}]})
    )
    assert read(directory).tokens[500:503] == (
        Token("\u2581one", TokenType.CONTROL, -1000.0),
        Token("two", TokenType.USER_DEFINED, -1000.0),
        Token("<|im_end|>", TokenType.USER_DEFINED, -1000.0),
    )
    assert end_of_turn(config(directory)) == 502


@pytest.mark.parametrize("size", [767, 769])
def test_there_is_a_piece_for_every_token(directory: Path, size: int) -> None:
    """The oracle stops where a piece is missing; pieces beyond the tokens are left."""
    if size == 767:
        assert len(read(directory, size).tokens) == size
        return
    with pytest.raises(BadInputError, match=r"768 pieces and the tokens over them are not .* vocab_size 769"):
        read(directory, size)


def test_a_token_beyond_the_pieces_is_refused(directory: Path) -> None:
    configure(directory, t768="<|im_end|>")
    with pytest.raises(BadInputError, match=r"are not .* vocab_size 768"):
        read(directory)


def test_tokens_behind_all_others_are_refused(directory: Path) -> None:
    """No embedding is theirs, and llama.cpp would not load them."""
    (directory / "added_tokens.json").write_text("{}")
    read(directory)
    (directory / "added_tokens.json").write_text('{"more": 768}')
    with pytest.raises(BadInputError, match=r"are not .* vocab_size 768"):
        read(directory)


def test_two_tokens_of_one_text_are_refused(directory: Path) -> None:
    """llama.cpp ends the process at them."""
    configure(directory, t500="<|im_end|>", t501="<|im_end|>")
    with pytest.raises(BadInputError, match=r"2 tokens are the text '<\|im_end\|>'"):
        read(directory)
