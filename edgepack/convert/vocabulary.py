"""A checkpoint's vocabulary as GGUF keys, and what its readers (vocabularies/) share."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import gguf

from edgepack.convert.config import Config, read_json
from edgepack.convert.special_tokens import read_special_tokens, write_special_tokens
from edgepack.domain.errors import BadInputError

if TYPE_CHECKING:
    from edgepack.convert.family import VocabularyReader


class TokenType(IntEnum):
    """GGUF's token types (`enum llama_token_type`)."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


class Token(NamedTuple):
    """One entry of a vocabulary; the score matters to SentencePiece vocabularies only.

    A tuple, because there are up to a quarter of a million of them.
    """

    text: str
    type: TokenType
    score: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """All tokens by id, and what llama.cpp must know to split text as the checkpoint's tokenizer does."""

    model: str
    pre: str
    tokens: tuple[Token, ...]
    scored: bool
    merged: bool
    keys: Mapping[str, gguf.GGUFValue] = field(default_factory=dict)
    """What else says how text is split, by its whole name."""


TOKENIZER_HINT = "check the checkpoint's tokenizer files, or fetch the checkpoint again"
ADDED_SCORE = -1000.0
_ID = re.compile(r"[0-9]{1,9}")
_PADDING_SCORE = -10000.0


def read_vocabulary(directory: Path, config: Config, readers: "Sequence[VocabularyReader]") -> Vocabulary:
    """What the first of `readers` that finds its files gives.

    Raises BadInputError where none does, or where it is not what llama.cpp can follow.
    """
    for read in readers:
        vocabulary = read(directory, config)
        if vocabulary is not None:
            _require_distinct(directory, vocabulary.tokens)
            return vocabulary
    raise BadInputError(f"{directory}: no tokenizer.model or tokenizer.json", hint=TOKENIZER_HINT)


def _require_distinct(directory: Path, tokens: tuple[Token, ...]) -> None:
    """llama.cpp ends the process where two tokens are the same text; empty ones it names itself."""
    texts = [token.text for token in tokens if token.text]
    if len(set(texts)) < len(texts):
        ((text, count),) = Counter(texts).most_common(1)
        raise BadInputError(f"{directory}: {count} tokens are the text {text[:40]!r}", hint=TOKENIZER_HINT)


def write_vocabulary(vocabulary: Vocabulary, directory: Path, config: Config, writer: gguf.GGUFWriter) -> None:
    """Add the vocabulary, its special tokens and its chat template to the writer's keys."""
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list([token.text for token in vocabulary.tokens])
    if vocabulary.scored:
        writer.add_token_scores([token.score for token in vocabulary.tokens])
    writer.add_token_types([token.type for token in vocabulary.tokens])
    writer.kv_data[0].update(vocabulary.keys)
    size = None if vocabulary.merged else len(vocabulary.tokens)
    write_special_tokens(read_special_tokens(directory, merged=vocabulary.merged, size=size), writer)


def looks_special(text: str) -> bool:
    """Texts that some checkpoints forgot to mark as control tokens; llama.cpp's converter has the same list."""
    return (
        text in ("<pad>", "<mask>", "<2mass>", "[@BOS@]")
        or (text.startswith("<|") and text.endswith("|>"))
        or (text.startswith("<\uff5c") and text.endswith("\uff5c>"))
        or (text.startswith("<unused") and text.endswith(">"))
    )


def padding(token_id: int) -> Token:
    return Token(f"[PAD{token_id}]", TokenType.UNUSED, _PADDING_SCORE)


def require_bytes(path: Path, tokens: list[Token]) -> None:
    """llama.cpp spells what no piece covers in bytes, and ends the process where a byte has no token."""
    missing = {f"<0x{byte:02X}>" for byte in range(256)} - {token.text for token in tokens}
    if missing:
        raise BadInputError(
            f"{path}: {len(missing)} of 256 bytes have no token below vocab_size {len(tokens)}: {min(missing)}",
            hint="use a model whose SentencePiece vocabulary falls back to bytes",
        )


def added_token(text: str, special: bool) -> Token:
    if special or looks_special(text):
        return Token(text, TokenType.CONTROL, ADDED_SCORE)
    # llama.cpp matches user-defined tokens against text before spaces are escaped.
    return Token(text.replace("▁", " "), TokenType.USER_DEFINED, ADDED_SCORE)


def tokenizer_config(directory: Path) -> Config:
    path = directory / "tokenizer_config.json"
    return Config(path=path, table=read_json(path) if path.is_file() else {})


def configured_tokens(directory: Path) -> Iterable[tuple[int, str, bool]]:
    """(id, text, special) from tokenizer_config.json's added_tokens_decoder."""
    decoder = tokenizer_config(directory).section("added_tokens_decoder")
    for token_id, entry in decoder.table.items():
        if not _ID.fullmatch(token_id) or not isinstance(entry, dict) or not isinstance(entry.get("content"), str):
            raise BadInputError(
                f"{decoder.path}: added_tokens_decoder.{token_id[:20]}: no content", hint=TOKENIZER_HINT
            )
        yield int(token_id), entry["content"], bool(entry.get("special"))


_SPECIAL_KINDS = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")


def special_names(directory: Path) -> list[str]:
    """The texts that tokenizer_config.json gives to the special tokens, in its class's order, each once."""
    table = tokenizer_config(directory).table
    entries = [table.get(f"{kind}_token") for kind in _SPECIAL_KINDS]
    extra = table.get("additional_special_tokens")
    entries += extra if isinstance(extra, list) else []
    texts = [entry.get("content") if isinstance(entry, dict) else entry for entry in entries]
    return list(dict.fromkeys(text for text in texts if isinstance(text, str)))
