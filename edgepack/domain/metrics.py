"""Metrics of answers, by scikit-learn's and rouge-score's definitions, with bootstrap intervals; plain arithmetic.

Those libraries would be a hundred megabytes of dependencies where firmware is built; the tests compare with them.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

Item = TypeVar("Item")

_WORD = re.compile(r"[a-z0-9]+")  # rouge-score's words: what is not ASCII is no part of one
RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A metric over examples, and how far chance in their choice may have moved it."""

    value: float
    low: float
    high: float
    """Bounds of the 95 % interval: percentiles of the metric over resampled examples."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """How often something was right, wrongly said, and missed."""

    right: int
    extra: int
    missed: int

    @property
    def precision(self) -> float:
        """0 where nothing was said, as scikit-learn has it with zero_division=0."""
        return _share(self.right, self.right + self.extra)

    @property
    def recall(self) -> float:
        return _share(self.right, self.right + self.missed)

    @property
    def f1(self) -> float:
        return _share(2 * self.right, 2 * self.right + self.extra + self.missed)

    @property
    def support(self) -> int:
        """How often it was the right answer."""
        return self.right + self.missed


def accuracy(wanted: Sequence[str], said: Sequence[str]) -> float:
    """Share of answers that are the wanted ones."""
    return _share(sum(map(str.__eq__, wanted, said)), len(wanted))


def by_class(wanted: Sequence[str], said: Sequence[str]) -> dict[str, Counts]:
    """Each label that occurs on either side, in order of the alphabet."""
    right = Counter(one for one, other in zip(wanted, said, strict=True) if one == other)
    all_wanted, all_said = Counter(wanted), Counter(said)
    return {
        label: Counts(
            right=right[label], extra=all_said[label] - right[label], missed=all_wanted[label] - right[label]
        )
        for label in sorted(all_wanted.keys() | all_said.keys())
    }


def macro_f1(wanted: Sequence[str], said: Sequence[str]) -> float:
    """The mean of the labels' F1."""
    return mean([counts.f1 for counts in by_class(wanted, said).values()])


def confusion(wanted: Sequence[str], said: Sequence[str]) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
    """Labels, and for each wanted one a row with how often each was said."""
    labels = tuple(sorted({*wanted, *said}))
    pairs = Counter(zip(wanted, said, strict=True))
    return labels, tuple(tuple(pairs[row, column] for column in labels) for row in labels)


def exact(wanted: str, said: str) -> bool:
    """Equal as JSON values where both are JSON, else but for blanks at the ends."""
    one, other = _parsed(wanted), _parsed(said)
    if one is not _NOT_JSON and other is not _NOT_JSON:
        return _canonical(one) == _canonical(other)
    return wanted.strip() == said.strip()


def fields(wanted: str, said: str) -> Counts:
    """The fields of two JSON values: a path and the value at its end. What is not JSON has none."""
    one, other = Counter(_leaves(_parsed(wanted))), Counter(_leaves(_parsed(said)))
    right = (one & other).total()
    return Counts(right=right, extra=other.total() - right, missed=one.total() - right)


def field_f1(all_counts: Sequence[Counts]) -> float:
    """F1 over the fields, or entities, of all answers together."""
    return together(all_counts).f1


def together(all_counts: Sequence[Counts]) -> Counts:
    """Counts added up."""
    return Counts(
        right=sum(counts.right for counts in all_counts),
        extra=sum(counts.extra for counts in all_counts),
        missed=sum(counts.missed for counts in all_counts),
    )


def rouge_l(wanted: str, said: str) -> float:
    """F-measure of the longest common subsequence of words."""
    one, other = _WORD.findall(wanted.lower()), _WORD.findall(said.lower())
    if not one or not other:
        return 0.0
    # 2pr/(p+r) with p = common/other, r = common/one
    return 2 * _common(one, other) / (len(one) + len(other))


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def estimate(items: Sequence[Item], metric: Callable[[Sequence[Item]], float], *, seed: int = 1) -> Estimate:
    """The metric over all items, with a percentile bootstrap: the same items and seed give the same interval."""
    random, count = Random(seed), len(items)
    values = sorted(metric(random.choices(items, k=count)) for _ in range(RESAMPLES)) if count else [0.0]
    return Estimate(
        value=metric(items), low=quantile(values, (1 - LEVEL) / 2), high=quantile(values, (1 + LEVEL) / 2)
    )  # fmt: skip


def quantile(ordered: Sequence[float], share: float) -> float:
    """Of values in order, with lines between them, as numpy.quantile has it."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    row = [0] * (len(other) + 1)
    for word in one:
        diagonal = 0
        for place, against in enumerate(other, start=1):
            diagonal, row[place] = row[place], diagonal + 1 if word == against else max(row[place], row[place - 1])
    return row[-1]


_NOT_JSON = object()


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _NOT_JSON


def _canonical(value: object) -> str:
    """JSON tells 1 from true and knows no order of keys; 1.0 is 1."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_canonical(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_canonical, value)) + "]"
    return json.dumps(value)


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """An empty object or array is a field too; what was not JSON has none."""
    if value is _NOT_JSON:
        return
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}")
    elif isinstance(value, list) and value:
        for inner in value:  # where in an array does not count: two dates in another order are two dates
            yield from _leaves(inner, f"{path}[]")
    else:
        yield path, _canonical(value)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
