"""A checkpoint's vocabulary as GGUF keys: SentencePiece, its JSON form, or byte-level BPE."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import gguf

from edgepack.convert.config import Config, read_json
from edgepack.convert.family import VocabularyKind
from edgepack.convert.special_tokens import read_special_tokens, write_special_tokens
from edgepack.domain.errors import BadInputError

if TYPE_CHECKING:
    from tokenizers import AddedToken, Tokenizer


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


_TOKENIZER_HINT = "check the checkpoint's tokenizer files, or fetch the checkpoint again"
_ADDED_SCORE = -1000.0
_ID = re.compile(r"[0-9]{1,9}")
_PADDING_SCORE = -10000.0


def read_vocabulary(directory: Path, config: Config, kinds: tuple[VocabularyKind, ...]) -> Vocabulary:
    """The first of `kinds` that the checkpoint keeps, read.

    Raises BadInputError where there is none, or where it is not what llama.cpp can follow.
    """
    readers: dict[VocabularyKind, Callable[[Path, Config], Vocabulary | None]] = {
        VocabularyKind.SENTENCEPIECE: _sentencepiece,
        VocabularyKind.LLAMA_JSON: _llama_json,
        VocabularyKind.BYTE_LEVEL: _byte_level,
    }
    for kind in kinds:
        vocabulary = readers[kind](directory, config)
        if vocabulary is not None:
            return vocabulary
    raise BadInputError(f"{directory}: no tokenizer.model or tokenizer.json", hint=_TOKENIZER_HINT)


def write_vocabulary(vocabulary: Vocabulary, directory: Path, config: Config, writer: gguf.GGUFWriter) -> None:
    """Add the vocabulary, its special tokens and its chat template to the writer's keys."""
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list([token.text for token in vocabulary.tokens])
    if vocabulary.scored:
        writer.add_token_scores([token.score for token in vocabulary.tokens])
    writer.add_token_types([token.type for token in vocabulary.tokens])
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


def _padding(token_id: int) -> Token:
    return Token(f"[PAD{token_id}]", TokenType.UNUSED, _PADDING_SCORE)


def _sentencepiece(directory: Path, config: Config) -> Vocabulary | None:
    path = directory / "tokenizer.model"
    if not path.is_file():
        return None
    from sentencepiece import SentencePieceProcessor

    try:
        pieces = SentencePieceProcessor(model_file=str(path))
        size = config.count("vocab_size")
        tokens = [_piece(pieces, token_id) for token_id in range(min(size, pieces.vocab_size()))]
    except (RuntimeError, OSError, ValueError) as error:  # ValueError: a piece that is not UTF-8
        raise BadInputError(f"{path}: not a SentencePiece model", hint=_TOKENIZER_HINT) from error
    tokens += [_padding(token_id) for token_id in range(len(tokens), size)]
    for token_id, added in _added_by_files(directory, size):
        tokens[token_id] = added
    _require_bytes(path, tokens)
    return Vocabulary(model="llama", pre="default", tokens=tuple(tokens), scored=True, merged=False)


def _piece(pieces: "SentencePieceProcessor", token_id: int) -> Token:  # type: ignore[name-defined] # noqa: F821
    return Token(pieces.id_to_piece(token_id), _piece_type(pieces, token_id), pieces.get_score(token_id))


def _require_bytes(path: Path, tokens: list[Token]) -> None:
    """llama.cpp spells what no piece covers in bytes, and ends the process where a byte has no token."""
    missing = {f"<0x{byte:02X}>" for byte in range(256)} - {token.text for token in tokens}
    if missing:
        raise BadInputError(
            f"{path}: {len(missing)} of 256 bytes have no token below vocab_size {len(tokens)}: {min(missing)}",
            hint="use a model whose SentencePiece vocabulary falls back to bytes",
        )


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
    path = directory / "added_tokens.json"
    if path.is_file():
        for text, token_id in read_json(path).items():
            if type(token_id) is not int or token_id < 0:
                raise BadInputError(f"{path}: {text!r} has no token id", hint=_TOKENIZER_HINT)
            if token_id < size:
                yield token_id, Token(text, TokenType.USER_DEFINED, _ADDED_SCORE)
    for token_id, text, special in _configured_tokens(directory):
        if token_id < size:
            yield token_id, _added_token(text, special)


def _added_token(text: str, special: bool) -> Token:
    if special or looks_special(text):
        return Token(text, TokenType.CONTROL, _ADDED_SCORE)
    # llama.cpp matches user-defined tokens against text before spaces are escaped.
    return Token(text.replace("▁", " "), TokenType.USER_DEFINED, _ADDED_SCORE)


def _tokenizer_config(directory: Path) -> Config:
    path = directory / "tokenizer_config.json"
    return Config(path=path, table=read_json(path) if path.is_file() else {})


def _configured_tokens(directory: Path) -> Iterable[tuple[int, str, bool]]:
    """(id, text, special) from tokenizer_config.json's added_tokens_decoder."""
    decoder = _tokenizer_config(directory).section("added_tokens_decoder")
    for token_id, entry in decoder.table.items():
        if not _ID.fullmatch(token_id) or not isinstance(entry, dict) or not isinstance(entry.get("content"), str):
            raise BadInputError(
                f"{decoder.path}: added_tokens_decoder.{token_id[:20]}: no content", hint=_TOKENIZER_HINT
            )
        yield int(token_id), entry["content"], bool(entry.get("special"))


def _load_tokenizer(path: Path) -> "Tokenizer":
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise BadInputError(f"{path}: not a tokenizer ({error})", hint=_TOKENIZER_HINT) from error


def _with_configured_tokens(directory: Path, tokenizer: "Tokenizer") -> dict[int, "AddedToken"]:
    """Add what tokenizer_config.json names and tokenizer.json lacks; the added tokens by id, after that."""
    from tokenizers import AddedToken

    known = {added.content for added in tokenizer.get_added_tokens_decoder().values()}
    for _, text, special in sorted(_configured_tokens(directory)):
        if text not in known:
            tokenizer.add_tokens([AddedToken(text, special=special, normalized=not special)])
            known.add(text)
    for text in _special_names(directory):
        if text not in known:
            tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False)])
            known.add(text)
    return dict(tokenizer.get_added_tokens_decoder())


_SPECIAL_KINDS = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")


def _special_names(directory: Path) -> list[str]:
    """The texts that tokenizer_config.json gives to the special tokens, in its class's order, each once."""
    table = _tokenizer_config(directory).table
    entries = [table.get(f"{kind}_token") for kind in _SPECIAL_KINDS]
    extra = table.get("additional_special_tokens")
    entries += extra if isinstance(extra, list) else []
    texts = [entry.get("content") if isinstance(entry, dict) else entry for entry in entries]
    return list(dict.fromkeys(text for text in texts if isinstance(text, str)))


def _byte_level(directory: Path, config: Config) -> Vocabulary | None:
    path = directory / "tokenizer.json"
    if not path.is_file():
        return None
    tokenizer = _load_tokenizer(path)
    added = _with_configured_tokens(directory, tokenizer)
    texts = {token_id: text for text, token_id in tokenizer.get_vocab(with_added_tokens=True).items()}
    size = config.count("vocab_size")
    if max(texts, default=0) >= size:
        raise BadInputError(
            f"{path}: token id {max(texts)} is not below config.json's vocab_size {size}",
            hint=_TOKENIZER_HINT,
        )
    tokens = [
        _padding(token_id) if text is None else Token(text, TokenType.NORMAL)
        for token_id, text in enumerate(map(texts.get, range(size)))
    ]
    for token_id, entry in added.items():
        tokens[token_id] = _byte_level_added(entry, tokenizer)
    pre = _pre_tokenizer(path, tokenizer)
    return Vocabulary(model="gpt2", pre=pre, tokens=tuple(tokens), scored=False, merged=True)


def _byte_level_added(entry: "AddedToken", tokenizer: "Tokenizer") -> Token:
    text = entry.content
    if not entry.normalized:
        # llama.cpp takes added tokens as already normalized: store what the tokenizer makes of them.
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        text = tokenizer.decode(ids, skip_special_tokens=False)
    return _added_token(text, entry.special)._replace(score=0.0)


@cache
def _pre_tokenizers() -> tuple[str, dict[str, str]]:
    table = json.loads((files("edgepack") / "data" / "pretokenizers.json").read_text(encoding="utf-8"))
    return table["probe"], table["names"]


def _pre_tokenizer(path: Path, tokenizer: "Tokenizer") -> str:
    """llama.cpp's name for how this tokenizer splits text, known by what it makes of one probing text."""
    probe, names = _pre_tokenizers()
    seen = sha256(str(tokenizer.encode(probe).ids).encode()).hexdigest()
    if seen not in names:
        raise BadInputError(
            f"{path}: llama.cpp does not know this pre-tokenizer (probe {seen[:12]})",
            hint="use a model with a known tokenizer: an unknown one would split text wrongly",
        )
    return names[seen]


def _llama_json(directory: Path, config: Config) -> Vocabulary | None:
    """SentencePiece's pieces kept in tokenizer.json: BPE with byte fallback and a decoder in steps."""
    path = directory / "tokenizer.json"
    if not path.is_file():
        return None
    table = Config(path=path, table=read_json(path))
    model, decoder = table.section("model"), table.section("decoder")
    if model.text("type") != "BPE" or not model.flag("byte_fallback") or decoder.text("type") != "Sequence":
        return None
    tokenizer = _load_tokenizer(path)
    added = _with_configured_tokens(directory, tokenizer)
    special = {*_special_names(directory), *_class_specials(directory)}
    base = tokenizer.get_vocab_size(with_added_tokens=False)
    texts = {token_id: text for text, token_id in tokenizer.get_vocab(with_added_tokens=True).items()}
    if holes := set(range(base)) - set(texts):
        raise BadInputError(f"{path}: no token has the id {min(holes)}", hint=_TOKENIZER_HINT)
    tokens = [_json_piece(texts[token_id], special) for token_id in range(base)]
    for token_id in sorted(token_id for token_id in added if token_id >= base):
        text = added[token_id].content
        kind = TokenType.CONTROL if text in special else TokenType.USER_DEFINED
        tokens.append(Token(text, kind, _ADDED_SCORE))
    _require_bytes(path, tokens)
    return Vocabulary(model="llama", pre="default", tokens=tuple(tokens), scored=True, merged=False)


def _class_specials(directory: Path) -> tuple[str, ...]:
    """LLaMA's tokenizer classes have special tokens of their own, named or not."""
    name = _tokenizer_config(directory).text("tokenizer_class") or ""
    return ("<s>", "</s>", "<unk>") if name.startswith("LlamaTokenizer") else ()


def _json_piece(text: str, special: set[str]) -> Token:
    if re.fullmatch(r"<0x[0-9A-Fa-f]{2}>", text):
        return Token(text, TokenType.BYTE, _ADDED_SCORE)
    return Token(text, TokenType.CONTROL if text in special else TokenType.NORMAL, _ADDED_SCORE)
