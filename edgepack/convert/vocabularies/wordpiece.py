"""WordPiece in tokenizer.json: llama.cpp marks where words begin, not where they go on."""

from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.convert.config import Config
from edgepack.convert.tokenizer_json import load_tokenizer, pre_tokenizer, with_configured_tokens
from edgepack.convert.tokenizer_settings import read_tokenizer_settings
from edgepack.convert.vocabularies.byte_level import numbered_tokens
from edgepack.convert.vocabulary import Token, TokenType, Vocabulary, tokenizer_config
from edgepack.domain.errors import BadInputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def wordpiece(directory: Path, config: Config) -> Vocabulary | None:
    path = directory / "tokenizer.json"
    if not path.is_file():
        return None
    tokenizer = load_tokenizer(path)
    if (kind := type(tokenizer.model).__name__) != "WordPiece":
        raise BadInputError(
            f"{path}: llama.cpp reads a WordPiece vocabulary for this class, this one is {kind}",
            hint="choose a model with a WordPiece vocabulary",
        )
    normalizer = Config(path=path, table=read_tokenizer_settings(path)).section("normalizer")
    normalize_as_configured(tokenizer, normalizer, tokenizer_config(directory))
    added = with_configured_tokens(directory, tokenizer)
    tokens = map(_marked, numbered_tokens(path, config, tokenizer, added))
    pre = pre_tokenizer(path, tokenizer)
    return Vocabulary(model="bert", pre=pre, tokens=tuple(tokens), scored=False, merged=False)


def normalize_as_configured(tokenizer: "Tokenizer", normalizer: Config, settings: Config) -> None:
    """BERT's tokenizer classes put their own settings, and their defaults, over tokenizer.json's."""
    from tokenizers.normalizers import BertNormalizer

    if normalizer.text("type") != "BertNormalizer" or settings.text("tokenizer_class") == "PreTrainedTokenizerFast":
        return
    tokenizer.normalizer = BertNormalizer(
        clean_text=_flag(normalizer, "clean_text"),
        handle_chinese_chars=_flag(settings, "tokenize_chinese_chars"),
        strip_accents=settings.flag("strip_accents") if settings.has("strip_accents") else None,
        lowercase=_flag(settings, "do_lower_case"),
    )


def _flag(config: Config, key: str) -> bool:
    return config.flag(key) if config.has(key) else True


def _marked(token: Token) -> Token:
    """With `▁` where a word begins; a piece that goes on loses its `##`."""
    if token.type is TokenType.CONTROL:
        return token
    inside = token.text.startswith("##")
    return token._replace(text=token.text[2:] if inside else f"▁{token.text}")
