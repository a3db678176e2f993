"""What a page is made of: figures, sections, tables, charts, each as plain text; it knows no HTML and no records."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from markupsafe import Markup


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A cell that says whether something is well: by a sign and a word, not by colour alone."""

    text: str
    good: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """Words of a machine: a digest, what somebody typed, what a model said."""

    text: str


Cell: TypeAlias = str | Mark | Code


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """A table."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numbers: frozenset[int] = frozenset()
    """Columns that are set flush right."""
    marked: int | None = None
    """The row that the page is about."""
    folded: bool = False
    """Whether it stands behind its caption until somebody asks for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A drawing, and the same in words for whoever does not see it."""

    title: str
    said: str
    """What it shows, in a sentence or two."""
    wide: Markup
    narrow: Markup | None = None
    """For a phone; None: `wide` is small enough."""
    note: str = ""
    grid: Grid | None = None
    """The drawn figures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two small charts beside each other, where there is room."""

    charts: tuple[Chart, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """Names and what stands behind them."""

    rows: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """A sentence beside the matter."""

    text: str


Block: TypeAlias = Grid | Chart | Pair | Facts | Note


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """One question, and what answers it."""

    name: str
    """In the page's address, after the #."""
    title: str
    lead: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A number that a reader came for."""

    label: str
    value: str
    unit: str
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """All of it, from top to bottom."""

    title: str
    above: str
    """What kind of page it is, in a few words."""
    lead: str
    verdict: Mark | None
    figures: tuple[Figure, ...]
    sections: tuple[Section, ...]
    foot: str


def kind(block: Block) -> str:
    """The name of a block's part of the template."""
    return type(block).__name__.lower()


def table(
    caption: str,
    head: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    words: int = 1,
    numbered: bool = False,
    marked: int | None = None,
    folded: bool = False,
) -> Grid:
    """A table whose first `words` columns are words, the others numbers; `numbered`: the first is a number too."""
    numbers = {*range(words, len(head)), *([0] if numbered else [])}
    return Grid(
        caption=caption, head=tuple(head), rows=tuple(tuple(row) for row in rows), marked=marked, folded=folded,
        numbers=frozenset(numbers),
    )  # fmt: skip
