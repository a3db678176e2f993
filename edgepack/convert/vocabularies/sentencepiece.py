"""SentencePiece's own file, tokenizer.model, with the added tokens that other files lay over it."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

from edgepack.convert.config import Config, read_json
from edgepack.convert.vocabulary import (
    ADDED_SCORE,
    TOKENIZER_HINT,
    Token,
    TokenType,
    Vocabulary,
    added_token,
    configured_tokens,
    padding,
    require_bytes,
)
from edgepack.domain.errors import BadInputError

Added: TypeAlias = Callable[[Path, int], Iterable[tuple[int, Token]]]
"""Gives the tokens, with their ids below a size, that a directory's other files lay over SentencePiece's."""


def sentencepiece(directory: Path, config: Config) -> Vocabulary | None:
    """As most families keep it: special texts are recognized, and spaces kept, in added tokens."""
    return read_sentencepiece(directory, config, _added_by_files)


def read_sentencepiece(directory: Path, config: Config, added_by_files: Added) -> Vocabulary | None:
    """The pieces of tokenizer.model, padded to `vocab_size`, under the added tokens."""
    path = directory / "tokenizer.model"
    if not path.is_file():
        return None
    size = config.count("vocab_size")
    tokens = stored_pieces(path)[:size]
    tokens += [padding(token_id) for token_id in range(len(tokens), size)]
    for token_id, added in added_by_files(directory, size):
        tokens[token_id] = added
    require_bytes(path, tokens)
    return Vocabulary(model="llama", pre="default", tokens=tuple(tokens), scored=True, merged=False)


def stored_pieces(path: Path) -> list[Token]:
    """All pieces of a SentencePiece file, by its own numbers."""
    from sentencepiece import SentencePieceProcessor

    try:
        pieces = SentencePieceProcessor(model_file=str(path))
        return [_piece(pieces, token_id) for token_id in range(pieces.vocab_size())]
    except (RuntimeError, OSError, ValueError) as error:  # ValueError: a piece that is not UTF-8
        raise BadInputError(f"{path}: not a SentencePiece model", hint=TOKENIZER_HINT) from error


def _piece(pieces: "SentencePieceProcessor", token_id: int) -> Token:  # type: ignore[name-defined] # noqa: F821
    return Token(pieces.id_to_piece(token_id), _piece_type(pieces, token_id), pieces.get_score(token_id))


def _piece_type(pieces: "SentencePieceProcessor", token_id: int) -> TokenType:  # type: ignore[name-defined] # noqa: F821
    if pieces.is_unknown(token_id):
        return TokenType.UNKNOWN
    if pieces.is_control(token_id):
        return TokenType.CONTROL
    if pieces.is_unused(token_id):
        return TokenType.UNUSED
    return TokenType.BYTE if pieces.is_byte(token_id) else TokenType.NORMAL


def _added_by_files(directory: Path, size: int) -> Iterable[tuple[int, Token]]:
    """Tokens that added_tokens.json, then tokenizer_config.json, lay over SentencePiece's own."""
    yield from tokens_of_added_json(directory, size)
    for token_id, text, special in configured_tokens(directory):
        if token_id < size:
            yield token_id, added_token(text, special)


def tokens_of_added_json(directory: Path, size: int) -> Iterable[tuple[int, Token]]:
    """What added_tokens.json adds."""
    path = directory / "added_tokens.json"
    if path.is_file():
        for text, token_id in read_json(path).items():
            if type(token_id) is not int or token_id < 0:
                raise BadInputError(f"{path}: {text!r} has no token id", hint=TOKENIZER_HINT)
            if token_id < size:
                yield token_id, Token(text, TokenType.USER_DEFINED, ADDED_SCORE)


def tokens_as_they_stand(directory: Path) -> Iterable[tuple[int, Token]]:
    """What tokenizer_config.json, then tokenizer.json, add, whatever the texts look like; the later holds."""
    for token_id, text, special in (*configured_tokens(directory), *_tokenizer_json(directory)):
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
