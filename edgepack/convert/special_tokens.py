"""Which tokens begin, end and pad a text, which of them llama.cpp adds by itself, and how a chat is written.

The rules are the oracle's: tokenizer.json's post-processor over tokenizer_config.json over config.json. The
released gguf package reads the same files by older rules, so this is ours.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import gguf

from edgepack.convert.config import Config, read_json
from edgepack.convert.tokenizer_settings import read_tokenizer_settings
from edgepack.domain.errors import BadInputError

_SPACE = "\u0120"
_KINDS = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_HINT = "check the checkpoint's tokenizer files, or fetch the checkpoint again"


@dataclass(kw_only=True, slots=True)
class SpecialTokens:
    """What the files said so far; dictionaries keep the order in which GGUF keys are written."""

    ids: dict[str, int] = field(default_factory=dict)
    """Kind -> token id."""
    adds: dict[str, bool] = field(default_factory=dict)
    """Kind -> whether llama.cpp adds the token around a text."""
    texts: dict[str, str] = field(default_factory=dict)
    """Kind -> the token's text."""
    merges: tuple[str, ...] = ()
    template: "str | list[dict[str, str]] | None" = None
    flags: dict[str, bool] = field(default_factory=dict)
    """Normalizer settings: lowercase, strip_accents."""


def read_special_tokens(directory: Path, *, merged: bool, size: int | None) -> SpecialTokens:
    """Read the tokenizer's files; ids at or above `size` are dropped where it is given."""
    found = SpecialTokens()
    tokenizer = _tokenizer(directory / "tokenizer.json", merged=merged)
    settings = _table(directory / "tokenizer_config.json")
    found.texts = {kind: text for kind in _KINDS if (text := _text(settings.table.get(f"{kind}_token")))}
    if tokenizer.table:
        _tokenizer_json(tokenizer, found, named=bool(settings.table), merged=merged)
    if settings.table:
        found.template = _template(directory, settings)
        _added_tokens(tokenizer, settings, found, size)
    _config_ids(directory, found, size)
    return found


def write_special_tokens(found: SpecialTokens, writer: gguf.GGUFWriter) -> None:
    """Add the keys, in the oracle's order."""
    if found.merges:
        writer.add_token_merges(list(found.merges))
    for kind, token_id in found.ids.items():
        if kind == "cls":
            continue  # Which texts begin with is bos; llama.cpp knows no other.
        writer.add_uint32(f"tokenizer.ggml.{_KEY_NAMES.get(kind, kind)}_token_id", token_id)
    for kind, add in found.adds.items():
        if kind in ("bos", "eos", "sep"):
            writer.add_bool(f"tokenizer.ggml.add_{kind}_token", add)
    if found.template is not None:
        writer.add_chat_template(found.template)
    for flag, value in found.flags.items():
        writer.add_bool(f"tokenizer.ggml.normalizer.{flag}", value)


_KEY_NAMES = {"unk": "unknown", "sep": "seperator", "pad": "padding"}  # llama.cpp's spelling


def _tokenizer(path: Path, *, merged: bool) -> Config:
    if merged or not path.is_file():
        return _table(path)
    return Config(path=path, table=read_tokenizer_settings(path))


def _table(path: Path) -> Config:
    return Config(path=path, table=read_json(path) if path.is_file() else {})


def _text(entry: object) -> str | None:
    content = entry.get("content") if isinstance(entry, dict) else entry
    return content if isinstance(content, str) else None


def _tokenizer_json(tokenizer: Config, found: SpecialTokens, *, named: bool, merged: bool) -> None:
    if merged:
        found.merges = _merges(tokenizer.section("model"))
    _normalizer(tokenizer.section("normalizer"), found)
    if named:
        _stand_in(found.texts, "bos", "cls")
        _stand_in(found.texts, "eos", "sep")
    for processor in _steps(tokenizer.section("post_processor"), "processors"):
        match processor.text("type"):
            case "ByteLevel":
                found.adds.setdefault("bos", False)
                found.adds.setdefault("eos", False)
            case "RobertaProcessing":
                _roberta(processor, found)
            case "TemplateProcessing":
                _Template(processor, found, named).read()


def _stand_in(texts: dict[str, str], kind: str, other: str) -> None:
    if kind not in texts and other in texts:
        texts[kind] = texts[other]


def _steps(section: Config, key: str) -> Iterable[Config]:
    """The section's steps, or itself where it is one step."""
    if not section.table:
        return
    steps = section.table.get(key, [section.table])
    for step in steps if isinstance(steps, list) else []:
        if isinstance(step, dict):
            yield Config(path=section.path, table=step)


def _merges(model: Config) -> tuple[str, ...]:
    merges = model.table.get("merges")
    items = merges if isinstance(merges, list) else []
    if set(map(type, items)) <= {str}:
        return tuple(items)
    return tuple(_merge(item, model) for item in items)


def _merge(item: object, model: Config) -> str:
    match item:
        case [str(left), str(right)]:
            # A space inside a part would read as the one between parts; byte-level BPE writes it as U+0120.
            return f"{left.replace(' ', _SPACE)} {right.replace(' ', _SPACE)}"
        case _:
            raise BadInputError(f"{model.path}: merges: expected pairs", hint=_HINT)


def _normalizer(section: Config, found: SpecialTokens) -> None:
    match section.text("type"):
        case "Lowercase":
            found.flags["lowercase"] = True
        case "StripAccents":
            found.flags["strip_accents"] = True
        case "BertNormalizer":
            for flag in ("lowercase", "strip_accents"):
                if section.has(flag):
                    found.flags[flag] = section.flag(flag)
        case "Sequence":
            for step in _steps(section, "normalizers"):
                _normalizer(step, found)


def _roberta(processor: Config, found: SpecialTokens) -> None:
    found.adds |= {"bos": True, "eos": True, "sep": True}
    for kind in ("cls", "sep"):
        entry = processor.table.get(kind)
        if kind not in found.texts and isinstance(entry, list) and entry and isinstance(entry[0], str):
            found.texts[kind] = entry[0]


@dataclass(slots=True)
class _Template:
    """A TemplateProcessing step: what stands before, between and after texts A and B."""

    step: Config
    found: SpecialTokens
    named: bool
    """Whether tokenizer_config.json, which names the special tokens, is there."""

    def read(self) -> None:
        single = self._items("single")
        first = _special(single[0]) if len(single) > 1 else None
        last = _special(single[-1]) if len(single) > 1 else None
        if first:
            self._first(first)
        if last:
            self._last(last)
        self._between(first, last)

    def _items(self, key: str) -> list[Mapping[str, object]]:
        items = self.step.table.get(key)
        return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []

    def _first(self, text: str) -> None:
        texts = self.found.texts
        if not self.named:
            texts["bos"] = text
        elif text not in (texts.get("bos"), texts.get("cls")):
            texts.setdefault("bos", text)
            texts.setdefault("cls", text)
        self.found.adds["bos"] = text in (texts.get("bos"), texts.get("cls"))

    def _last(self, text: str) -> None:
        texts = self.found.texts
        if self.named and text != texts.get("eos"):
            # The named end of text ends a turn then; the template's is the end of text.
            for turn in ("eot", "eom"):
                if turn not in texts:
                    if "eos" in texts:
                        texts[turn] = texts["eos"]
                    break
        texts["eos"] = text
        self.found.adds["eos"] = True

    def _between(self, first: str | None, last: str | None) -> None:
        pair = self._items("pair")
        if not pair:
            return
        start = 1 if first and _special(pair[0]) == first else 0
        stop = -1 if last and _special(pair[-1]) == last else None
        inner = pair[start:stop]
        if len(inner) < 3 or (_sequence(inner[0]), _sequence(inner[-1])) != ("A", "B"):
            return
        texts, separators = self.found.texts, inner[1:-1]
        known = (texts.get("sep"), texts.get("eos"))
        begins = _special(separators[0])
        add = begins is not None and begins in known and not last
        if len(separators) == 2 and _special(separators[1]) in known:
            add = True
        self.found.adds["sep"] = add
        if add and self.named and "sep" not in texts and "eos" in texts:
            texts["sep"] = texts["eos"]


def _special(item: Mapping[str, object]) -> str | None:
    entry = item.get("SpecialToken")
    name = entry.get("id") if isinstance(entry, dict) else None
    return name if isinstance(name, str) else None


def _sequence(item: Mapping[str, object]) -> str | None:
    entry = item.get("Sequence")
    name = entry.get("id") if isinstance(entry, dict) else None
    return name if isinstance(name, str) else None


def _template(directory: Path, settings: Config) -> "str | list[dict[str, str]] | None":
    """tokenizer_config.json's chat template, else the file's beside it."""
    if "chat_template" in settings.table:
        return _checked_template(settings.path, settings.table["chat_template"])
    jinja = directory / "chat_template.jinja"
    if jinja.is_file():
        return _checked_template(jinja, _utf8(jinja))
    other = _table(directory / "chat_template.json")
    return _checked_template(other.path, other.table.get("chat_template"))


def _utf8(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: not UTF-8 at byte {error.start}", hint=_HINT) from error


def _checked_template(path: Path, template: object) -> "str | list[dict[str, str]] | None":
    if template is None or isinstance(template, str):
        return template
    if isinstance(template, list) and all(_is_named_template(entry) for entry in template):
        return template
    raise BadInputError(f"{path}: chat_template: expected a string or named templates", hint=_HINT)


def _is_named_template(entry: object) -> bool:
    return isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in ("name", "template"))


def _added_tokens(tokenizer: Config, settings: Config, found: SpecialTokens, size: int | None) -> None:
    entries = tokenizer.table.get("added_tokens")
    ids = {
        entry["content"]: entry["id"]
        for entry in reversed(entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and isinstance(entry.get("content"), str) and type(entry.get("id")) is int
    }
    for kind in (*_KINDS, "eot", "eom"):
        add = settings.table.get(f"add_{kind}_token")
        if isinstance(add, bool) and kind not in found.adds:
            found.adds[kind] = add
        if kind in found.texts:
            _set(found, kind, ids.get(found.texts[kind]), size)


def _config_ids(directory: Path, found: SpecialTokens, size: int | None) -> None:
    config = _table(directory / "config.json")
    text = config.section("text_config")
    for kind in (*_KINDS, "eot", "eom"):
        if kind in _KINDS or kind in found.texts:
            key = f"{kind}_token_id"
            _set(found, kind, config.table[key] if config.has(key) else text.table.get(key), size)


def _set(found: SpecialTokens, kind: str, token_id: object, size: int | None) -> None:
    """The first whole number that fits is the kind's id; a list of ends of text names none."""
    if type(token_id) is int and token_id < 0:
        raise BadInputError(f"the {kind} token has the id {token_id}", hint=_HINT)
    if type(token_id) is int and (size is None or token_id < size):
        found.ids.setdefault(kind, token_id)
