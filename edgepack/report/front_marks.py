"""Where the marks of a front lie, in pixels, and where a number or a word beside them hides no other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import log, pi

from edgepack.domain.report_front import Contestant, Front

SMALLEST, LARGEST = 180, 1100
"""Square pixels of a mark; a number fits into the smallest."""
_LINE, _LETTER = 15, 7.6
"""Pixels of a line's height and of a letter's width, wide fonts included."""
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Area:
    """The inside of a chart, and what its edges mean."""

    width: int
    height: int
    speeds: tuple[float, float]
    ratios: bool
    """Whether the same distance is the same ratio of speeds."""
    qualities: tuple[float, float]

    def place(self, speed: float, quality: float) -> tuple[float, float]:
        """Pixels from the upper left."""
        low, high = self.speeds
        across = log(speed / low) / log(high / low) if self.ratios else (speed - low) / (high - low)
        worst, best = self.qualities
        return self.width * across, self.height * (1 - (quality - worst) / (best - worst))


@dataclass(frozen=True, kw_only=True, slots=True)
class Spot:
    """A mark: its number, its middle, its radius, and its number's distance from its middle."""

    number: int
    one: Contestant
    x: float
    y: float
    radius: float
    inside: bool = True
    """Whether the number stands in the mark; else beside it."""
    offset: tuple[float, float] = (0, 0)

    @property
    def box(self) -> Box:
        return self.x - self.radius, self.y - self.radius, self.x + self.radius, self.y + self.radius


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """A text beside a mark: its distance from the mark's middle, and which end stands there."""

    offset: tuple[float, float]
    align: str


def spots(front: Front, area: Area) -> tuple[Spot, ...]:
    """A mark each, with its number in it or, where another mark lies over it, beside it."""
    largest = max(one.size for one in front.contestants)
    marks = []
    for number, one in enumerate(front.contestants, 1):
        x, y = area.place(front.speed(one), one.quality.value)
        marks.append(Spot(number=number, one=one, x=x, y=y, radius=radius(one.size / largest)))
    taken: list[Box] = []
    return tuple(_numbered(mark, marks, taken) for mark in marks)


def radius(share: float) -> float:
    """Of a mark, by its size as a share of the largest; its area grows with the root, as the chart's scale does."""
    return float(((SMALLEST + (LARGEST - SMALLEST) * share**0.5) / pi) ** 0.5)


def word_beside(text: str, mark: Spot, marks: Sequence[Spot], area: Area) -> Word | None:
    """To the right, to the left, above or below, whichever is free first; None where nothing is."""
    width, away = len(text) * _LETTER, mark.radius + 7
    numbers = [_around(other.x + other.offset[0], other.y + other.offset[1], 12) for other in marks]
    others = [other.box for other in marks if other is not mark] + numbers
    for align, dx, dy, left in (
        ("left", away, 0.0, away), ("right", -away, 0.0, -away - width),
        ("center", 0.0, -away - 5, -width / 2), ("center", 0.0, away + 5, -width / 2),
    ):  # fmt: skip
        box = (mark.x + left, mark.y + dy - _LINE / 2, mark.x + left + width, mark.y + dy + _LINE / 2)
        fits = box[0] >= 0 and box[2] <= area.width and box[1] >= 0 and box[3] <= area.height
        if fits and not any(_overlap(box, other) for other in others):
            return Word(offset=(dx, dy), align=align)
    return None


def _numbered(mark: Spot, marks: Sequence[Spot], taken: list[Box]) -> Spot:
    """In the mark where all places are taken: the table has the number too."""
    others = [other.box for other in marks if other is not mark]
    places = [
        (inside, offset, _around(mark.x + offset[0], mark.y + offset[1], 12)) for inside, offset in _offsets(mark)
    ]
    free = (place for place in places if not any(_overlap(place[2], other) for other in (*others, *taken)))
    inside, offset, box = next(free, places[0])
    taken.append(box)
    return replace(mark, inside=inside, offset=offset)


def _offsets(mark: Spot) -> Iterator[tuple[bool, tuple[float, float]]]:
    away = mark.radius + 8
    yield True, (0.0, 0.0)
    yield from ((False, offset) for offset in ((0, -away), (0, away), (-away, 0), (away, 0)))
    yield from ((False, (dx * away, dy * away)) for dx in (-0.8, 0.8) for dy in (-0.8, 0.8))


def _around(x: float, y: float, size: float) -> Box:
    return x - size / 2, y - size / 2, x + size / 2, y + size / 2


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
