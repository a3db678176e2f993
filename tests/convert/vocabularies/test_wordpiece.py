"""WordPiece vocabularies as llama.cpp spells them: the same tokens for the same text, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgepack.convert.config import Config
from edgepack.convert.onepass import open_conversion, write_gguf
from edgepack.convert.vocabularies.wordpiece import wordpiece
from edgepack.convert.vocabulary import Token, TokenType, Vocabulary, read_vocabulary
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.engines.llamacpp import opened, tokens_of
from tests.fakes.checkpoints import make_checkpoint
from tests.fakes.encoder_vocabularies import put_wordpiece
from tests.oracle.recipes.encoders import RECIPES

SIZE = 30522
SEPARATOR = "\n__ggml_vocab_test__\n"
(MINILM,) = (recipe for recipe in RECIPES if recipe.name == "MiniLM-seeded")


@pytest.fixture
def directory(tmp_path: Path, vocabularies: Path) -> Path:
    put_wordpiece(tmp_path, vocabularies)
    return tmp_path


def read(directory: Path, size: int = SIZE) -> Vocabulary:
    config = Config(path=directory / "config.json", table={"vocab_size": size})
    return read_vocabulary(directory, config, (wordpiece,))


def edit(directory: Path, name: str, **values: Any) -> None:
    path = directory / name
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}), encoding="utf-8")


def test_tokens_are_as_llama_cpp_recorded_them(vocabularies: Path, tmp_path: Path) -> None:
    """Every text of llama.cpp's own test, through a GGUF that was converted here."""
    checkpoint = make_checkpoint(MINILM, tmp_path / "minilm", vocabularies)
    weights = tmp_path / "minilm.gguf"
    write_gguf(open_conversion(checkpoint, "minilm"), Quant.F16, weights, threads=2, progress=Silent())
    inputs = (vocabularies / "ggml-vocab-bert-bge.gguf.inp").read_text(encoding="utf-8")
    lines = (vocabularies / "ggml-vocab-bert-bge.gguf.out").read_text().splitlines()
    with opened(weights, vocabulary_only=True) as model:
        given = [tokens_of(model, text) for text in inputs.split(SEPARATOR)[:-1]]
    assert given == [tuple(map(int, line.split())) for line in lines]
    assert len(given) > 40


def test_words_are_marked_where_they_begin(directory: Path) -> None:
    """And pieces where they go on no longer; special tokens stand as they are. The oracle's name is this one."""
    vocabulary = read(directory)
    assert (vocabulary.model, vocabulary.pre, vocabulary.scored, vocabulary.merged) == (
        "bert", "jina-v2-en", False, False,
    )  # fmt: skip
    assert vocabulary.tokens[101] == Token("[CLS]", TokenType.CONTROL)
    assert vocabulary.tokens[1] == Token("▁[unused0]", TokenType.NORMAL)
    texts = [token.text for token in vocabulary.tokens]
    assert {"▁the", "ing", "▁ing"} <= set(texts)
    assert not any(text.startswith("##") and len(text) > 2 for text in texts)


def test_rows_without_a_token_are_padded(directory: Path) -> None:
    assert read(directory, SIZE + 2).tokens[SIZE:] == tuple(
        Token(f"▁[PAD{number}]", TokenType.UNUSED, -10000.0) for number in (SIZE, SIZE + 1)
    )


def test_the_class_s_settings_go_before_the_file_s(directory: Path) -> None:
    """BertTokenizer splits as tokenizer_config.json says, and by its own defaults where that is silent."""
    path = directory / "tokenizer.json"
    normalizer = json.loads(path.read_text(encoding="utf-8"))["normalizer"]
    edit(directory, "tokenizer.json", normalizer={**normalizer, "lowercase": False})
    assert read(directory).pre == "jina-v2-en"
    edit(directory, "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    with pytest.raises(BadInputError, match="does not know this pre-tokenizer"):
        read(directory)
    edit(directory, "tokenizer_config.json", tokenizer_class="BertTokenizer", do_lower_case=False)
    with pytest.raises(BadInputError, match="does not know this pre-tokenizer"):
        read(directory)


def test_another_kind_of_vocabulary_is_refused(directory: Path) -> None:
    """multilingual-e5-small's is of class BertModel and has a Unigram vocabulary: the oracle refuses it too."""
    model = {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["a", -1.0]]}
    edit(directory, "tokenizer.json", model=model, post_processor=None, added_tokens=[])
    with pytest.raises(BadInputError, match="a WordPiece vocabulary for this class, this one is Unigram"):
        read(directory)


def test_more_tokens_than_rows_are_refused(directory: Path) -> None:
    with pytest.raises(BadInputError, match=r"token id 30521 is not below config\.json's vocab_size 30000"):
        read(directory, 30000)
