"""Byte-level BPE in tokenizer.json, as GPT-2 began it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.convert.config import Config
from edgepack.convert.tokenizer_json import load_tokenizer, pre_tokenizer, with_configured_tokens
from edgepack.convert.vocabulary import TOKENIZER_HINT, Token, TokenType, Vocabulary, added_token, padding
from edgepack.domain.errors import BadInputError

if TYPE_CHECKING:
    from tokenizers import AddedToken, Tokenizer


def byte_level(directory: Path, config: Config) -> Vocabulary | None:
    path = directory / "tokenizer.json"
    if not path.is_file():
        return None
    tokenizer = load_tokenizer(path)
    added = with_configured_tokens(directory, tokenizer)
    tokens = numbered_tokens(path, config, tokenizer, added)
    pre = pre_tokenizer(path, tokenizer)
    return Vocabulary(model="gpt2", pre=pre, tokens=tuple(tokens), scored=False, merged=True)


def numbered_tokens(
    path: Path, config: Config, tokenizer: "Tokenizer", added: "Mapping[int, AddedToken]"
) -> list[Token]:
    """All tokens of a tokenizer.json by number, padded to `vocab_size`; `added` are its added ones."""
    texts = {token_id: text for text, token_id in tokenizer.get_vocab(with_added_tokens=True).items()}
    size = config.count("vocab_size")
    if max(texts, default=0) >= size:
        raise BadInputError(
            f"{path}: token id {max(texts)} is not below config.json's vocab_size {size}",
            hint=TOKENIZER_HINT,
        )
    tokens = [
        padding(token_id) if text is None else Token(text, TokenType.NORMAL)
        for token_id, text in enumerate(map(texts.get, range(size)))
    ]
    for token_id, entry in added.items():
        tokens[token_id] = _normalized(entry, tokenizer)
    return tokens


def _normalized(entry: "AddedToken", tokenizer: "Tokenizer") -> Token:
    text = entry.content
    if not entry.normalized:
        # llama.cpp takes added tokens as already normalized: store what the tokenizer makes of them.
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        text = tokenizer.decode(ids, skip_special_tokens=False)
    return added_token(text, entry.special)._replace(score=0.0)
