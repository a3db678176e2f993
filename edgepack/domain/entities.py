"""Entities of a text: named spans, read from what somebody says, written in one way, counted; nobody is asked."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgepack.domain.metrics import Counts

_MOST, _LONGEST = 32, 96
"""Entities of a kind, and characters of each, that a model may write: without an end it might go on for ever."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entity:
    """A piece of a text, and what it is."""

    kind: str
    text: str
    start: int | None
    """In characters; None for what does not stand in the text."""

    @property
    def end(self) -> int | None:
        return None if self.start is None else self.start + len(self.text)


def schema_of(kinds: Sequence[str]) -> str:
    """The JSON in which a model that writes says what it found: the texts of each kind."""
    texts = {"type": "array", "maxItems": _MOST, "items": {"type": "string", "maxLength": _LONGEST}}
    properties = dict.fromkeys(kinds, texts)
    return json.dumps({
        "type": "object", "additionalProperties": False, "required": list(kinds), "properties": properties,
    })  # fmt: skip


def read_entities(value: object, text: str, kinds: Sequence[str]) -> tuple[Entity, ...]:
    """Of `{kind: [texts]}`, or of a list of `{kind, start, end}`; in the order of the text.

    A text that is given without a place is the first one like it that no other entity has. ValueError says what is
    wrong with the value; a text that does not stand there is not wrong, its start is None.
    """
    if isinstance(value, list):
        found = [_placed(one, text) for one in value]
    elif isinstance(value, Mapping):
        found = list(_located(value, text))
    else:
        raise ValueError("expected an object of texts for each kind, or an array of {kind, start, end}")
    for one in found:
        if one.kind not in kinds:
            raise ValueError(f"{one.kind!r} is none of the kinds {', '.join(kinds)}")
    return tuple(sorted(found, key=lambda one: (one.start is None, one.start or 0, one.kind)))


def said_entities(said: str, text: str, kinds: Sequence[str]) -> tuple[Entity, ...]:
    """Of a model's words; none where they are not what was asked for."""
    try:
        return read_entities(json.loads(said), text, kinds)
    except (ValueError, RecursionError):
        return ()


def entities_json(entities: Iterable[Entity]) -> str:
    """The one way in which they are written: `read_entities` reads it."""
    return json.dumps(
        [{"kind": one.kind, "start": one.start, "end": one.end, "text": one.text} for one in entities],
        ensure_ascii=False, separators=(",", ":"),
    )  # fmt: skip


def as_texts(entities: str, kinds: Sequence[str]) -> str:
    """What `entities_json` wrote, as a model that writes shall say it."""
    found = json.loads(entities)
    texts = {kind: [one["text"] for one in found if one["kind"] == kind] for kind in kinds}
    return json.dumps(texts, ensure_ascii=False, separators=(",", ":"))


def by_kind(pairs: Iterable[tuple[str, str]]) -> dict[str, Counts]:
    """Wanted and said, as `entities_json` wrote them: for each kind how many are right, too many and missed.

    One is right where kind, beginning and end are, as seqeval and conlleval count.
    """
    right, extra, missed = Counter[str](), Counter[str](), Counter[str]()
    for wanted, said in pairs:
        one, other = Counter(_keys(wanted)), Counter(_keys(said))
        for counts, keys in ((right, one & other), (extra, other - one), (missed, one - other)):
            for kind, *_ in keys.elements():
                counts[kind] += 1
    return {
        kind: Counts(right=right[kind], extra=extra[kind], missed=missed[kind])
        for kind in sorted(right.keys() | extra.keys() | missed.keys())
    }


def _keys(entities: str) -> Iterator[tuple[str, int | None, str]]:
    for one in json.loads(entities):
        yield one["kind"], one["start"], one["text"]


def _placed(value: object, text: str) -> Entity:
    match value:
        case {"kind": str(kind), "start": None, "text": str(said)}:
            return Entity(kind=kind, text=said, start=None)
        case {"kind": str(kind), "start": int(start), "end": int(end), **rest} if 0 <= start < end <= len(text):
            if rest.get("text", text[start:end]) != text[start:end]:
                raise ValueError(f"{start} to {end} is {text[start:end]!r}, not {rest['text']!r}")
            return Entity(kind=kind, text=text[start:end], start=start)
    raise ValueError(
        f"{json.dumps(value)[:80]}: expected kind, and start and end within the text's {len(text)} letters"
    )


def _located(value: Mapping[str, object], text: str) -> Iterator[Entity]:
    taken = [False] * len(text)
    for kind, texts in value.items():
        if not isinstance(texts, list) or not all(isinstance(one, str) and one for one in texts):
            raise ValueError(f"{kind}: expected an array of texts")
        for one in texts:
            start = _free(one, text, taken)
            if start is not None:
                taken[start : start + len(one)] = [True] * len(one)
            yield Entity(kind=kind, text=one, start=start)


def _free(one: str, text: str, taken: Sequence[bool]) -> int | None:
    """Where the text stands first, as a whole word where it does, and no other entity has it."""
    places = [at for at in range(len(text) - len(one) + 1) if text.startswith(one, at)]
    free = [at for at in places if not any(taken[at : at + len(one)])]
    return next((at for at in free if _whole(one, at, text)), free[0] if free else None)


def _whole(one: str, start: int, text: str) -> bool:
    around = text[start - 1 : start] + text[start + len(one) : start + len(one) + 1]
    return not any(letter.isalnum() for letter in around)
