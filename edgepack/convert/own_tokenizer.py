"""What a checkpoint's own files say a text's tokens, its chat template and its ends are; no GGUF is looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgepack.convert.config import read_json
from edgepack.convert.special_tokens import read_special_tokens
from edgepack.convert.tokenizer_json import load_tokenizer, with_configured_tokens


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnTokenizer:
    """A checkpoint's word on these, by the libraries that define the formats."""

    tokens: tuple[tuple[int, ...], ...]
    """Of each text asked for, without what goes around texts."""
    template: str | None
    bos: str
    eos: str
    ends: frozenset[int]
    """Tokens at which generation shall stop: generation_config.json's, else config.json's."""


def own_tokenizer(directory: Path, texts: Sequence[str]) -> OwnTokenizer:
    """Read it, and let it read `texts`; BadInputError for files that are none."""
    special = read_special_tokens(directory, merged=False, size=None)
    template = special.template
    if isinstance(template, list):
        template = next((one["template"] for one in template if one["name"] == "default"), None)
    return OwnTokenizer(
        tokens=_tokens(directory, texts), template=template, bos=special.texts.get("bos", ""),
        eos=special.texts.get("eos", ""), ends=_ends(directory),
    )  # fmt: skip


def _tokens(directory: Path, texts: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    path = directory / "tokenizer.json"
    if path.is_file():
        tokenizer = load_tokenizer(path)
        with_configured_tokens(directory, tokenizer)
        return tuple(tuple(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts)
    from sentencepiece import SentencePieceProcessor

    pieces = SentencePieceProcessor(model_file=str(directory / "tokenizer.model"))
    return tuple(tuple(pieces.encode(text)) for text in texts)


def _ends(directory: Path) -> frozenset[int]:
    for name in ("generation_config.json", "config.json"):
        path = directory / name
        if path.is_file() and (found := _ids(read_json(path).get("eos_token_id"))):
            return found
    return frozenset()


def _ids(value: object) -> frozenset[int]:
    values = value if isinstance(value, list) else [value]
    return frozenset(one for one in values if isinstance(one, int) and not isinstance(one, bool))
