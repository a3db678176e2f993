"""What a checkpoint's own files say a text's tokens, its chat template and its ends are; no GGUF is looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.convert.config import read_json
from edgepack.convert.special_tokens import read_special_tokens
from edgepack.convert.tokenizer_json import load_tokenizer, with_configured_tokens
from edgepack.domain.errors import BadInputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnTokenizer:
    """A checkpoint's word on these, by the libraries that define the formats."""

    tokens: tuple[tuple[int, ...], ...]
    """Of each text asked for, without what goes around texts."""
    merges: int
    """Of tokenizer.json; 0 where its tokens are not made by merging two."""
    unmade: tuple[str, ...]
    """Tokens of more than one letter that no merge makes, and that no text is therefore read as."""
    template: str | None
    bos: str
    eos: str
    end: int | None
    """The token that tokenizer_config.json calls its end."""
    ends: Mapping[str, frozenset[int]]
    """Tokens at which generation shall stop, by the file that says so: what generate() reads comes first."""
    special: Mapping[str, int]
    """Tokens that are no text, by how they are written."""


def own_tokenizer(directory: Path, texts: Sequence[str]) -> OwnTokenizer:
    """Read it, and let it read `texts`; BadInputError for files that are none."""
    words = read_special_tokens(directory, merged=False, size=None)
    tokens, special = _tokens(directory, texts)
    merges, unmade = _merges(directory / "tokenizer.json")
    eos = words.texts.get("eos", "")
    return OwnTokenizer(
        tokens=tokens, merges=merges, unmade=unmade, template=_template(directory, words.template),
        bos=words.texts.get("bos", ""), eos=eos, end=special.get(eos), ends=_ends(directory), special=special,
    )  # fmt: skip


def _tokens(directory: Path, texts: Sequence[str]) -> tuple[tuple[tuple[int, ...], ...], dict[str, int]]:
    """Of each text, and the special tokens."""
    path, pieces = directory / "tokenizer.json", directory / "tokenizer.model"
    if path.is_file():
        try:
            tokenizer = load_tokenizer(path)
        except BadInputError:
            if not pieces.is_file():  # what the weights' vocabulary is of then
                raise
            return _pieces(pieces, texts)
        with_configured_tokens(directory, tokenizer)
        read = tuple(tuple(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts)
        return read, _special(tokenizer)
    return _pieces(pieces, texts)


def _pieces(path: Path, texts: Sequence[str]) -> tuple[tuple[tuple[int, ...], ...], dict[str, int]]:
    from sentencepiece import SentencePieceProcessor

    pieces = SentencePieceProcessor(model_file=str(path))
    special = {pieces.id_to_piece(token): token for token in range(pieces.vocab_size()) if pieces.is_control(token)}
    return tuple(tuple(pieces.encode(text)) for text in texts), special


def _special(tokenizer: "Tokenizer") -> dict[str, int]:
    return {added.content: token for token, added in tokenizer.get_added_tokens_decoder().items() if added.special}


def _merges(path: Path) -> tuple[int, tuple[str, ...]]:
    """How many there are, and the tokens that none of them makes: letters, bytes and added tokens need none."""
    table = read_json(path) if path.is_file() else {}
    match table.get("model"):
        case {"type": "BPE", "vocab": dict(vocabulary), "merges": list(merges)}:
            made = {"".join(merge.split(" ", 1) if isinstance(merge, str) else merge) for merge in merges}
            added = table.get("added_tokens")
            known = {entry.get("content") for entry in added} if isinstance(added, list) else set()
            unmade = [text for text in vocabulary if len(text) > 1 and text not in made and text not in known]
            return len(merges), tuple(text for text in unmade if not _is_byte(text))
    return 0, ()


def _is_byte(text: str) -> bool:
    return len(text) == 6 and text.startswith("<0x") and text.endswith(">")


def _template(directory: Path, kept: str | list[dict[str, str]] | None) -> str | None:
    """A file of its own goes before tokenizer_config.json, as transformers has it; of several, the one for chats."""
    file = directory / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8", errors="replace")
    if isinstance(kept, list):
        return next((one["template"] for one in kept if one["name"] == "default"), None)
    return kept


def _ends(directory: Path) -> dict[str, frozenset[int]]:
    found = {}
    for name in ("generation_config.json", "config.json"):
        path = directory / name
        if path.is_file() and (ends := _ids(read_json(path).get("eos_token_id"))):
            found[name] = ends
    return found


def _ids(value: object) -> frozenset[int]:
    values = value if isinstance(value, list) else [value]
    return frozenset(one for one in values if isinstance(one, int) and not isinstance(one, bool))
