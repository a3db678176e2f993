"""InternLM2's SentencePiece: as many pieces as tokens, some named unused, and one a zero."""

from pathlib import Path

import gguf

from edgepack.convert.config import Config, read_json
from edgepack.convert.protobuf import fields_of
from edgepack.convert.vocabularies.sentencepiece import stored_pieces, tokens_as_they_stand
from edgepack.convert.vocabulary import TOKENIZER_HINT, Token, TokenType, Vocabulary, require_bytes
from edgepack.domain.errors import BadInputError

# Numbers of fields in sentencepiece_model.proto: of ModelProto, and of NormalizerSpec.
_NORMALIZER, _PREFIX = 3, 3


def internlm2(directory: Path, config: Config) -> Vocabulary | None:
    path = directory / "tokenizer.model"
    if not path.is_file():
        return None
    size = config.count("vocab_size")
    tokens = [_named(piece) for piece in stored_pieces(path)[:size]]
    added = dict(tokens_as_they_stand(directory))
    if len(tokens) < size or max(added, default=0) >= size or _appended(directory):
        raise BadInputError(
            f"{path}: {len(tokens)} pieces and the tokens over them are not config.json's vocab_size {size}",
            hint=TOKENIZER_HINT,
        )
    for token_id, token in added.items():
        tokens[token_id] = token
    require_bytes(path, tokens)
    prefix = gguf.GGUFValue(_begins_with_space(path), gguf.GGUFValueType.BOOL)
    return Vocabulary(
        model="llama", pre="default", tokens=tuple(tokens), scored=True, merged=False,
        keys={"tokenizer.ggml.add_space_prefix": prefix},
    )  # fmt: skip


def end_of_turn(config: Config) -> int | None:
    """What ends a text in a chat, in the place of what ends any."""
    ends = [token_id for token_id, token in tokens_as_they_stand(config.path.parent) if token.text == "<|im_end|>"]
    return ends[-1] if ends else None


def _named(piece: Token) -> Token:
    """A zero would read as an empty text: the oracle writes a dragon, which newer libraries would call unused."""
    if piece.text.startswith("[UNUSED"):
        return piece._replace(type=TokenType.UNUSED)
    return piece._replace(text="\N{DRAGON}", type=TokenType.NORMAL) if piece.text == "\0" else piece


def _appended(directory: Path) -> bool:
    """The oracle puts the tokens of added_tokens.json behind all others, where no embedding is."""
    path = directory / "added_tokens.json"
    return path.is_file() and bool(read_json(path))


def _begins_with_space(path: Path) -> bool:
    normalizer = dict(fields_of(path, path.read_bytes())).get(_NORMALIZER, b"")
    fields = dict(fields_of(path, normalizer)) if isinstance(normalizer, bytes) else {}
    return bool(fields.get(_PREFIX, True))
