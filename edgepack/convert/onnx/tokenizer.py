"""The tokenizer as an encoder's file carries it: tokenizer.json, and what other files put over it."""

from pathlib import Path

from edgepack.convert.config import Config
from edgepack.convert.tokenizer_json import load_tokenizer, with_configured_tokens
from edgepack.convert.tokenizer_settings import read_tokenizer_settings
from edgepack.convert.vocabularies.wordpiece import normalize_as_configured
from edgepack.convert.vocabulary import tokenizer_config
from edgepack.domain.errors import BadInputError


def tokenizer_text(directory: Path, vocabulary: int) -> str:
    """As JSON, without cutting or padding; raises BadInputError for tokens that have no row of `vocabulary`."""
    path = directory / "tokenizer.json"
    if not path.is_file():
        raise BadInputError(
            f"{directory}: no tokenizer.json, which the file's tokenizer is made of",
            hint="save it with transformers: AutoTokenizer.from_pretrained(MODEL).save_pretrained(DIRECTORY)",
        )
    tokenizer = load_tokenizer(path)
    if type(tokenizer.model).__name__ == "WordPiece":
        normalizer = Config(path=path, table=read_tokenizer_settings(path)).section("normalizer")
        normalize_as_configured(tokenizer, normalizer, tokenizer_config(directory))
    with_configured_tokens(directory, tokenizer)
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=0)
    if largest >= vocabulary:
        raise BadInputError(
            f"{path}: token {largest}, and the model has {vocabulary}", hint="fetch the checkpoint again"
        )
    return str(tokenizer.to_str())
