"""Phi-3's SentencePiece: added tokens as they stand, from tokenizer.json too; and Phi-4-mini's byte-level BPE."""

from collections.abc import Iterable
from pathlib import Path

from edgepack.convert.config import Config, read_json
from edgepack.convert.vocabularies.byte_level import byte_level
from edgepack.convert.vocabularies.sentencepiece import read_sentencepiece, tokens_of_added_json
from edgepack.convert.vocabulary import (
    ADDED_SCORE,
    TOKENIZER_HINT,
    Token,
    TokenType,
    Vocabulary,
    configured_tokens,
    tokenizer_config,
)
from edgepack.domain.errors import BadInputError


def phi3(directory: Path, config: Config) -> Vocabulary | None:
    """Phi-4-mini says by its tokenizer's class that it keeps another vocabulary."""
    if tokenizer_config(directory).text("tokenizer_class") == "GPT2Tokenizer":
        return byte_level(directory, config)
    return read_sentencepiece(directory, config, _added_by_files)


def _added_by_files(directory: Path, size: int) -> Iterable[tuple[int, Token]]:
    yield from tokens_of_added_json(directory, size)
    for token_id, text, special in (*configured_tokens(directory), *_tokenizer_json(directory)):
        if token_id < size:
            yield token_id, Token(text, TokenType.CONTROL if special else TokenType.USER_DEFINED, ADDED_SCORE)


def _tokenizer_json(directory: Path) -> Iterable[tuple[int, str, bool]]:
    """(id, text, special) of tokenizer.json's added tokens."""
    path = directory / "tokenizer.json"
    entries = read_json(path).get("added_tokens") if path.is_file() else []
    for entry in entries if isinstance(entries, list) else []:
        match entry:
            case {"id": int(token_id), "content": str(text)} if token_id >= 0:
                yield token_id, text, bool(entry.get("special"))
            case _:
                raise BadInputError(f"{path}: added_tokens: no id or no content", hint=TOKENIZER_HINT)
