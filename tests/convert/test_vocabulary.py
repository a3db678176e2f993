"""Vocabularies and special tokens of small made-up tokenizers: what is read, what is padded, what is refused."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import pytest

from edgepack.convert.config import Config
from edgepack.convert.family import VocabularyReader
from edgepack.convert.special_tokens import SpecialTokens, read_special_tokens, write_special_tokens
from edgepack.convert.vocabularies.byte_level import byte_level
from edgepack.convert.vocabularies.llama_json import llama_json
from edgepack.convert.vocabularies.sentencepiece import sentencepiece
from edgepack.convert.vocabulary import Token, TokenType, Vocabulary, looks_special, read_vocabulary, write_vocabulary
from edgepack.domain.errors import BadInputError
from tests.fakes.demo_copy import DEMO

ALL = (sentencepiece, llama_json, byte_level)
BYTES = {f"<0x{byte:02X}>": 3 + byte for byte in range(256)}
PIECES = {"<unk>": 0, "<s>": 1, "</s>": 2, **BYTES, "\u2581": 259, "a": 260, "b": 261, "ab": 262}


def settings(directory: Path, **values: object) -> None:
    (directory / "tokenizer_config.json").write_text(json.dumps(values))


def config(size: int) -> Config:
    return Config(path=Path("config.json"), table={"vocab_size": size})


def json_form(directory: Path, vocab: Mapping[str, int] = PIECES, added: tuple[dict[str, Any], ...] = ()) -> None:
    """SentencePiece's pieces as tokenizer.json keeps them."""
    steps = [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}]
    table = {
        "version": "1.0", "added_tokens": list(added), "normalizer": None, "pre_tokenizer": None,
        "post_processor": None, "decoder": {"type": "Sequence", "decoders": steps},
        "model": {"type": "BPE", "vocab": dict(vocab), "merges": ["a b"], "byte_fallback": True,
                  "unk_token": "<unk>"},
    }  # fmt: skip
    (directory / "tokenizer.json").write_text(json.dumps(table))


def added(text: str, token_id: int, *, special: bool) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": token_id, "content": text, "special": special, **flags}


def put_sentencepiece(directory: Path) -> None:
    (directory / "tokenizer.model").write_bytes((DEMO / "tokenizer.model").read_bytes())


def read(directory: Path, size: int, *readers: VocabularyReader) -> Vocabulary:
    return read_vocabulary(directory, config(size), readers or ALL)


def test_sentencepiece_is_read_and_padded_to_the_embedding(tmp_path: Path) -> None:
    put_sentencepiece(tmp_path)
    vocabulary = read(tmp_path, 770)
    assert (vocabulary.model, vocabulary.pre, vocabulary.scored, vocabulary.merged) == (
        "llama",
        "default",
        True,
        False,
    )
    assert vocabulary.tokens[0] == Token("<unk>", TokenType.UNKNOWN, 0.0)
    assert vocabulary.tokens[1].type is TokenType.CONTROL
    assert sum(token.type is TokenType.BYTE for token in vocabulary.tokens) == 256
    assert vocabulary.tokens[768:] == tuple(Token(f"[PAD{n}]", TokenType.UNUSED, -10000.0) for n in (768, 769))


def test_configured_tokens_lie_over_sentencepiece_s_own(tmp_path: Path) -> None:
    """A special one, one that only looks so, a plain one with its space no longer escaped; none beyond the size."""
    put_sentencepiece(tmp_path)
    entries = {
        "500": {"content": "one", "special": True},
        "501": {"content": "<|two|>", "special": False},
        "502": {"content": "\u2581three", "special": False},
        "900": {"content": "beyond", "special": True},
    }
    (tmp_path / "added_tokens.json").write_text(json.dumps({"from the file": 503, "one": 500, "beyond": 901}))
    settings(tmp_path, added_tokens_decoder=entries)
    assert read(tmp_path, 768).tokens[500:504] == (
        Token("one", TokenType.CONTROL, -1000.0),
        Token("<|two|>", TokenType.CONTROL, -1000.0),
        Token(" three", TokenType.USER_DEFINED, -1000.0),
        Token("from the file", TokenType.USER_DEFINED, -1000.0),
    )


def test_a_vocabulary_that_cannot_spell_every_byte_is_refused(tmp_path: Path) -> None:
    """llama.cpp would end the process at the first text that no piece covers."""
    put_sentencepiece(tmp_path)
    with pytest.raises(BadInputError, match=r"of 256 bytes have no token below vocab_size 100"):
        read(tmp_path, 100)
    (tmp_path / "tokenizer.model").unlink()
    json_form(tmp_path, {"?" if text == "<0xFF>" else text: token_id for text, token_id in PIECES.items()})
    with pytest.raises(BadInputError, match=r"1 of 256 bytes have no token .*: <0xFF>"):
        read(tmp_path, 263)


def test_the_json_form_of_sentencepiece_is_read(tmp_path: Path) -> None:
    json_form(tmp_path, added=(added("<s>", 1, special=True), added("<new>", 263, special=False)))
    settings(tmp_path, bos_token="<s>", tokenizer_class="LlamaTokenizerFast")
    vocabulary = read(tmp_path, 264)
    kinds = {token.text: token.type for token in vocabulary.tokens}
    assert len(vocabulary.tokens) == 264
    assert [kinds[text] for text in ("<s>", "</s>", "<0x41>", "ab", "<new>")] == [
        TokenType.CONTROL, TokenType.CONTROL, TokenType.BYTE, TokenType.NORMAL, TokenType.USER_DEFINED,
    ]  # fmt: skip


def test_ids_with_a_hole_are_refused(tmp_path: Path) -> None:
    json_form(tmp_path, {**PIECES, "ab": 263})
    with pytest.raises(BadInputError, match="no token has the id 262"):
        read(tmp_path, 264)


def test_an_unknown_pre_tokenizer_is_refused(tmp_path: Path) -> None:
    """Guessing would split text wrongly."""
    json_form(tmp_path)
    with pytest.raises(BadInputError, match="does not know this pre-tokenizer"):
        read(tmp_path, 263, byte_level)


def test_more_tokens_than_rows_are_refused(tmp_path: Path) -> None:
    json_form(tmp_path)
    with pytest.raises(BadInputError, match=r"token id 262 is not below config\.json's vocab_size 262"):
        read(tmp_path, 262, byte_level)


def test_no_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"no tokenizer\.model or tokenizer\.json"):
        read(tmp_path, 10)


@pytest.mark.parametrize(
    "entry", [{"x": {"content": "a"}}, {"-1": {"content": "a"}}, {"5": {}}, {"5": "a"}, {"\u0665": {"content": "a"}}]
)
def test_added_tokens_without_id_or_text_are_refused(tmp_path: Path, entry: dict[str, Any]) -> None:
    put_sentencepiece(tmp_path)
    settings(tmp_path, added_tokens_decoder=entry)
    with pytest.raises(BadInputError, match=r"added_tokens_decoder\.\S+: no content"):
        read(tmp_path, 768)


@pytest.mark.parametrize(
    ("text", "special"),
    [
        ("<pad>", True),
        ("<|x|>", True),
        ("<unused7>", True),
        ("<\uff5cx\uff5c>", True),
        ("<x>", False),
        ("|x|", False),
    ],
)
def test_some_texts_look_special(text: str, special: bool) -> None:
    assert looks_special(text) is special


def specials(directory: Path, *, merged: bool = False, size: int | None = 1000) -> SpecialTokens:
    return read_special_tokens(directory, merged=merged, size=size)


def test_the_text_part_of_a_config_gives_the_ids_that_the_whole_does_not(tmp_path: Path) -> None:
    table = {"eos_token_id": [1, 106], "pad_token_id": None, "text_config": {"bos_token_id": 2, "pad_token_id": 3}}
    (tmp_path / "config.json").write_text(json.dumps(table | {"unk_token_id": 4}))
    found = read_special_tokens(tmp_path, merged=False, size=None)
    assert found.ids == {"bos": 2, "unk": 4, "pad": 3}


def test_config_gives_the_ids_that_the_tokenizer_does_not(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"bos_token_id": 7, "eos_token_id": [8, 9], "pad_token_id": 10}))
    json_form(tmp_path, added=(added("<s>", 1, special=True),))
    settings(tmp_path, bos_token={"content": "<s>"}, add_bos_token=True, add_eos_token=False)
    found = specials(tmp_path)
    assert found.ids == {"bos": 1, "pad": 10}
    assert found.adds == {"bos": True, "eos": False}


def test_ids_beyond_the_vocabulary_are_dropped(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"bos_token_id": 1000, "eos_token_id": 999}))
    assert specials(tmp_path).ids == {"eos": 999}


def test_merges_are_pairs_of_either_form(tmp_path: Path) -> None:
    for merges in (["a b", "c d\u0120e"], [["a", "b"], ["c", "d e"]]):
        (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"merges": merges}}))
        assert specials(tmp_path, merged=True).merges == ("a b", "c d\u0120e")
    assert specials(tmp_path).merges == ()
    (tmp_path / "tokenizer.json").write_text('{"model": {"merges": [["a"]]}}')
    with pytest.raises(BadInputError, match="merges: expected pairs"):
        specials(tmp_path, merged=True)


def test_a_template_step_says_what_is_added(tmp_path: Path) -> None:
    single = [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "</s>"}}]
    step = {"type": "TemplateProcessing", "single": single, "pair": []}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"post_processor": step}))
    settings(tmp_path, bos_token="<s>", eos_token="</s>")
    assert specials(tmp_path).adds == {"bos": True, "eos": True}


def test_the_chat_template_is_the_settings_before_the_file_s(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text("file")
    settings(tmp_path, bos_token="<s>")
    assert specials(tmp_path).template == "file"
    settings(tmp_path, chat_template="settings")
    assert specials(tmp_path).template == "settings"


def test_what_is_read_becomes_keys(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"bos_token_id": 1, "pad_token_id": 2, "unk_token_id": 0}))
    put_sentencepiece(tmp_path)
    settings(tmp_path, chat_template="{{ x }}", add_bos_token=True)
    writer = gguf.GGUFWriter(None, "llama")
    write_vocabulary(read(tmp_path, 768), tmp_path, config(768), writer)
    keys = {name: value.value for name, value in writer.kv_data[0].items()}
    assert len(keys["tokenizer.ggml.tokens"]) == len(keys["tokenizer.ggml.scores"]) == 768
    assert keys["tokenizer.ggml.padding_token_id"] == 2
    assert keys["tokenizer.ggml.unknown_token_id"] == 0
    assert keys["tokenizer.ggml.add_bos_token"] is True
    assert keys["tokenizer.chat_template"] == "{{ x }}"
    plain = gguf.GGUFWriter(None, "llama")
    write_special_tokens(SpecialTokens(), plain)
    assert list(plain.kv_data[0]) == ["general.architecture"]
