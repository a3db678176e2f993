"""Tags of words made into entities: which piece of a text a word is, and where an entity of tags begins and ends."""

import unicodedata
from collections.abc import Iterator, Sequence

from edgepack.domain.entities import Entity

OUTSIDE = "O"
_BEGINS, _ENDS = frozenset("BSU"), frozenset("SUEL")
"""First letters of tags in IOB2, IOBES and BILOU; inside is I or M."""
_PREFIXES = _BEGINS | _ENDS | frozenset("IM")


def split_tag(tag: str) -> tuple[str, str]:
    """How a tag stands to its entity, and the entity's kind: `B-PER` is ("B", "PER"), `PER` is ("I", "PER")."""
    prefix, dash, kind = tag.partition("-")
    return (prefix, kind) if dash and kind and prefix in _PREFIXES else ("I", tag)


def kinds_of(tags: Sequence[str]) -> frozenset[str]:
    """The kinds of entities that a set of tags tells apart."""
    return frozenset(split_tag(tag)[1] for tag in tags if tag != OUTSIDE)


def words_of(text: str) -> Iterator[tuple[int, int]]:
    """Begin and end of each word: letters, marks and digits in a row, or one of any other character but a blank.

    A tokenizer's own words are not asked: some have "Oslo." as one.
    """
    start = None
    for place, letter in enumerate(text):
        if unicodedata.category(letter)[0] in "LMN":
            start = place if start is None else start
            continue
        if start is not None:
            yield start, place
            start = None
        if not letter.isspace():
            yield place, place + 1
    if start is not None:
        yield start, len(text)


def first_pieces(words: Sequence[tuple[int, int]], pieces: Sequence[tuple[int, int]]) -> list[int | None]:
    """For each word the number of the first piece with a letter of it, which is the one that is trained to have its
    tag; None where a tokenizer left the word away. Both in the order of the text."""
    found: list[int | None] = []
    at = 0
    for start, end in words:
        while at < len(pieces) and pieces[at][1] <= start:
            at += 1
        found.append(at if at < len(pieces) and pieces[at][0] < end else None)
    return found


def entities_of(text: str, words: Sequence[tuple[int, int]], tags: Sequence[str]) -> Iterator[Entity]:
    """Words in a row of one kind, a new entity where a tag says that one begins or the one before it ended."""
    start = end = 0
    before, kind = OUTSIDE, None
    for (first, last), tag in zip(words, tags, strict=True):
        prefix, new = (OUTSIDE, None) if tag == OUTSIDE else split_tag(tag)
        goes_on = kind is not None and new == kind and prefix not in _BEGINS and before not in _ENDS
        if kind is not None and not goes_on:
            yield Entity(kind=kind, text=text[start:end], start=start)
        start, end = start if goes_on else first, last
        before, kind = prefix, new
    if kind is not None:
        yield Entity(kind=kind, text=text[start:end], start=start)
