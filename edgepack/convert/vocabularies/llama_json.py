"""SentencePiece's pieces kept in tokenizer.json: BPE with byte fallback and a decoder in steps."""

import re
from pathlib import Path

from edgepack.convert.config import Config, read_json
from edgepack.convert.tokenizer_json import load_tokenizer, with_configured_tokens
from edgepack.convert.vocabulary import (
    ADDED_SCORE,
    TOKENIZER_HINT,
    Token,
    TokenType,
    Vocabulary,
    require_bytes,
    special_names,
    tokenizer_config,
)
from edgepack.domain.errors import BadInputError


def llama_json(directory: Path, config: Config) -> Vocabulary | None:
    """SentencePiece's pieces kept in tokenizer.json: BPE with byte fallback and a decoder in steps."""
    path = directory / "tokenizer.json"
    if not path.is_file():
        return None
    table = Config(path=path, table=read_json(path))
    model, decoder = table.section("model"), table.section("decoder")
    if model.text("type") != "BPE" or not model.flag("byte_fallback") or decoder.text("type") != "Sequence":
        return None
    tokenizer = load_tokenizer(path)
    added = with_configured_tokens(directory, tokenizer)
    special = {*special_names(directory), *_class_specials(directory)}
    base = tokenizer.get_vocab_size(with_added_tokens=False)
    texts = {token_id: text for text, token_id in tokenizer.get_vocab(with_added_tokens=True).items()}
    if holes := set(range(base)) - set(texts):
        raise BadInputError(f"{path}: no token has the id {min(holes)}", hint=TOKENIZER_HINT)
    tokens = [_json_piece(texts[token_id], special) for token_id in range(base)]
    for token_id in sorted(token_id for token_id in added if token_id >= base):
        text = added[token_id].content
        kind = TokenType.CONTROL if text in special else TokenType.USER_DEFINED
        tokens.append(Token(text, kind, ADDED_SCORE))
    require_bytes(path, tokens)
    return Vocabulary(model="llama", pre="default", tokens=tuple(tokens), scored=True, merged=False)


def _class_specials(directory: Path) -> tuple[str, ...]:
    """LLaMA's tokenizer classes have special tokens of their own, named or not."""
    name = tokenizer_config(directory).text("tokenizer_class") or ""
    return ("<s>", "</s>", "<unk>") if name.startswith("LlamaTokenizer") else ()


def _json_piece(text: str, special: set[str]) -> Token:
    if re.fullmatch(r"<0x[0-9A-Fa-f]{2}>", text):
        return Token(text, TokenType.BYTE, ADDED_SCORE)
    return Token(text, TokenType.CONTROL if text in special else TokenType.NORMAL, ADDED_SCORE)
