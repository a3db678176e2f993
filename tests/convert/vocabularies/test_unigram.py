"""XLM-RoBERTa's vocabulary from either of its files: the same tokens for the same text, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from edgepack.convert.config import Config
from edgepack.convert.onepass import open_conversion, write_gguf
from edgepack.convert.vocabularies.unigram import unigram
from edgepack.convert.vocabulary import Token, TokenType, Vocabulary, read_vocabulary
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.engines.llamacpp import opened, tokens_of
from tests.fakes.checkpoints import make_checkpoint
from tests.fakes.encoder_vocabularies import put_unigram
from tests.fakes.sentencepiece_file import bytes_field, piece, varint_field
from tests.oracle.recipes.encoders import RECIPES

SIZE = 601
TEXTS = (
    "and so it was", "  two  spaces and   three ", "\ufb01ne ½ \uff46\uff55\uff4c\uff4c \ufdfa",
    "Ünïcödé, déjà vu?", "да и нет", "2024-05-17 11:30", "the\ttab\nand the line", "人 中国",
    "(a) [b] {c} \"d\" 'e'", "…", "",
)  # fmt: skip


@pytest.fixture(params=[True, False], ids=["sentencepiece", "json"])
def directory(request: pytest.FixtureRequest, tmp_path: Path, vocabularies: Path) -> Path:
    put_unigram(tmp_path, vocabularies, whole=request.param)
    return tmp_path


def read(directory: Path, size: int = SIZE) -> Vocabulary:
    table = {"vocab_size": size, "type_vocab_size": 1}
    return read_vocabulary(directory, Config(path=directory / "config.json", table=table), (unigram,))


def edit(directory: Path, name: str, **values: Any) -> None:
    path = directory / name
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}), encoding="utf-8")


def test_tokens_are_those_of_the_checkpoint_s_own_tokenizer(vocabularies: Path, tmp_path: Path) -> None:
    """llama.cpp and the tokenizers library give the same, with what goes around a text."""
    (recipe,) = (recipe for recipe in RECIPES if recipe.name == "xlm-roberta-seeded-f16")
    checkpoint = make_checkpoint(recipe, tmp_path / "xlm", vocabularies)
    weights = tmp_path / "xlm.gguf"
    write_gguf(open_conversion(checkpoint, "xlm"), Quant.F16, weights, threads=2, progress=Silent())
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    with opened(weights, vocabulary_only=True) as model:
        for text in TEXTS:
            assert list(tokens_of(model, text, add_special=True)) == tokenizer.encode(text).ids, text


def test_both_files_give_the_same_pieces(directory: Path) -> None:
    """fairseq's numbers, and the pieces' own scores."""
    vocabulary = read(directory)
    assert (vocabulary.model, vocabulary.pre, vocabulary.scored, vocabulary.merged) == ("t5", "default", True, False)
    assert vocabulary.tokens[:5] == (
        Token("<s>", TokenType.CONTROL), Token("<pad>", TokenType.CONTROL), Token("</s>", TokenType.CONTROL),
        Token("<unk>", TokenType.UNKNOWN), Token(",", TokenType.NORMAL, vocabulary.tokens[4].score),
    )  # fmt: skip
    assert vocabulary.tokens[4].score == pytest.approx(-3.4635427)
    assert len(vocabulary.tokens) == SIZE
    assert len(vocabulary.keys["tokenizer.ggml.precompiled_charsmap"].value) == 237539


def test_only_tokenizer_json_knows_a_mask(tmp_path: Path, vocabularies: Path) -> None:
    """SentencePiece's file has none, and the oracle leaves padding in its place."""
    put_unigram(tmp_path, vocabularies, whole=False)
    assert read(tmp_path).tokens[-1] == Token("<mask>", TokenType.CONTROL, 0.0)
    put_unigram(tmp_path, vocabularies, whole=True)
    assert read(tmp_path).tokens[-1] == Token("[PAD599]", TokenType.UNUSED, -10000.0)


def test_without_tokenizer_json_nothing_says_what_goes_around_a_text(tmp_path: Path, vocabularies: Path) -> None:
    put_unigram(tmp_path, vocabularies, whole=True)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(BadInputError, match=r"no tokenizer\.model or tokenizer\.json"):
        read(tmp_path)


def test_added_tokens_are_told_from_special_ones(tmp_path: Path, vocabularies: Path) -> None:
    """A piece that is added but not named is text; the class's own names are special, named or not."""
    put_unigram(tmp_path, vocabularies, whole=False)
    path = tmp_path / "tokenizer.json"
    entries = json.loads(path.read_text(encoding="utf-8"))["added_tokens"]
    more = {**entries[0], "id": 4, "content": ",", "special": False}
    edit(tmp_path, "tokenizer.json", added_tokens=[*entries, more])
    (tmp_path / "tokenizer_config.json").write_text("{}")
    vocabulary = read(tmp_path)
    assert vocabulary.tokens[4].type is TokenType.USER_DEFINED
    assert vocabulary.tokens[0].type is vocabulary.tokens[-1].type is TokenType.CONTROL
    assert vocabulary.keys["tokenizer.ggml.remove_extra_whitespaces"].value is False


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table["model"].update(type="BPE", merges=[], vocab={}),
        lambda table: table.update(normalizer={"type": "Sequence", "normalizers": [table["normalizer"]]}),
        lambda table: table["normalizer"].update(precompiled_charsmap="*"),
        lambda table: table["normalizer"].update(precompiled_charsmap="/////wAA"),
        lambda table: table["model"].update(vocab=[["<unk>"]]),
    ],
    ids=["no Unigram", "more than a map of characters", "no base64", "a map that leads nowhere", "no scores"],
)
def test_a_tokenizer_that_llama_cpp_cannot_follow_is_refused(
    tmp_path: Path, vocabularies: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    put_unigram(tmp_path, vocabularies, whole=False)
    path = tmp_path / "tokenizer.json"
    table = json.loads(path.read_text(encoding="utf-8"))
    change(table)
    path.write_text(json.dumps(table), encoding="utf-8")
    with pytest.raises(BadInputError, match=r"tokenizer\.json"):
        read(tmp_path)


BPE = bytes_field(2, varint_field(3, 2))


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"\x0a\xff\xff\xff\xff\x0f", piece("<unk>", 0.0, 2) + piece("a", 0.0, 1) + BPE]
)
def test_a_file_that_is_no_unigram_vocabulary_is_refused(tmp_path: Path, vocabularies: Path, data: bytes) -> None:
    put_unigram(tmp_path, vocabularies, whole=True)
    (tmp_path / "sentencepiece.bpe.model").write_bytes(data)
    with pytest.raises(BadInputError, match=r"sentencepiece\.bpe\.model: not a (SentencePiece|Unigram)"):
        read(tmp_path)


def test_more_tokens_than_rows_are_refused(directory: Path) -> None:
    with pytest.raises(BadInputError, match="tokens are more than"):
        read(directory, 500)
