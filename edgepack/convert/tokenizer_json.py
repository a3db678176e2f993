"""tokenizer.json, loaded by the library that defines it: added tokens completed, the pre-tokenizer named."""

import json
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.convert.charsmap import decoded_charsmap
from edgepack.convert.config import Config
from edgepack.convert.tokenizer_settings import read_tokenizer_settings
from edgepack.convert.vocabulary import TOKENIZER_HINT, configured_tokens, special_names
from edgepack.domain.errors import BadInputError

if TYPE_CHECKING:
    from tokenizers import AddedToken, Tokenizer


def load_tokenizer(path: Path) -> "Tokenizer":
    """The tokenizer of whole texts: what it would cut off or pad with is for batches."""
    from tokenizers import Tokenizer

    for text in _charsmaps(Config(path=path, table=read_tokenizer_settings(path))):
        decoded_charsmap(path, text)  # the library would panic
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise BadInputError(f"{path}: not a tokenizer ({error})", hint=TOKENIZER_HINT) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _charsmaps(table: Config) -> Iterator[str]:
    steps = [table.table.get("normalizer")]
    for step in steps:
        match step:
            case {"type": "Precompiled", "precompiled_charsmap": str(text)}:
                yield text
            case {"normalizers": list(more)}:
                steps += more


def with_configured_tokens(directory: Path, tokenizer: "Tokenizer") -> dict[int, "AddedToken"]:
    """Add what tokenizer_config.json names and tokenizer.json lacks; the added tokens by id, after that."""
    from tokenizers import AddedToken

    known = {added.content for added in tokenizer.get_added_tokens_decoder().values()}
    for _, text, special in sorted(configured_tokens(directory)):
        if text not in known:
            tokenizer.add_tokens([AddedToken(text, special=special, normalized=not special)])
            known.add(text)
    for text in special_names(directory):
        if text not in known:
            tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False)])
            known.add(text)
    return dict(tokenizer.get_added_tokens_decoder())


@cache
def _pre_tokenizers() -> tuple[str, dict[str, str]]:
    table = json.loads((files("edgepack") / "data" / "pretokenizers.json").read_text(encoding="utf-8"))
    return table["probe"], table["names"]


def pre_tokenizer(path: Path, tokenizer: "Tokenizer") -> str:
    """llama.cpp's name for how this tokenizer splits text, known by what it makes of one probing text."""
    probe, names = _pre_tokenizers()
    seen = sha256(str(tokenizer.encode(probe).ids).encode()).hexdigest()
    if seen not in names:
        raise BadInputError(
            f"{path}: llama.cpp does not know this pre-tokenizer (probe {seen[:12]})",
            hint="use a model with a known tokenizer: an unknown one would split text wrongly",
        )
    return names[seen]
