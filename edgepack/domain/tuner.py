"""Which flags make a model faster: the search, over any trial; it knows neither devices nor programs.

One axis after another, each of few values, from the flags found so far. Values are compared in alternation with
those, because a device's speed drifts: one look at each, the better half looked at again, the best confirmed. A
value is kept where it is faster beyond the noise, and neither phase is slower. In the end everything found is
compared with the defaults, and where these are as good, they stay.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from edgepack.domain.bundle import RuntimeFlags
from edgepack.domain.errors import DeviceError
from edgepack.domain.measurement import Phase, Series, Workload

Trial: TypeAlias = Callable[[RuntimeFlags, Workload], tuple[Series, ...]]
Bend: TypeAlias = Callable[[RuntimeFlags], RuntimeFlags]
Clock: TypeAlias = Callable[[], float]

LEAST_GAIN = 1.01
"""Ratio below which a change is not worth being written down."""
FLOOR = 0.99
"""Ratio below which a phase counts as slower; what is promised is 0.98."""
PAIRS = 5
"""Alternations of a confirmation."""
FINAL_PAIRS = 7
"""Alternations with the defaults."""
_SAMPLE_SECONDS = 0.4


class TrialRefusedError(DeviceError):
    """The device does not run with these flags; it runs with others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One value of an axis; `phases` are those that it can make faster or slower."""

    name: str
    bend: Bend
    phases: tuple[Phase, ...] = tuple(Phase)


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """What is tried together, because one value excludes the others."""

    name: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """One alternation: a series a phase under the tried flags, and under those they are compared with."""

    tried: tuple[Series, ...]
    reference: tuple[Series, ...]

    def ratio(self, phase: Phase) -> float:
        """Speed of the tried flags by that of the others; 1 where the phase was not run."""
        tried, reference = _of(self.tried, phase), _of(self.reference, phase)
        return tried.median / reference.median if tried and reference else 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Every alternation of two sets of flags, in the order taken."""

    name: str
    pairs: tuple[Pair, ...]
    kept: bool = False

    def ratio(self, phase: Phase) -> float:
        """The median of the pairs' ratios."""
        return statistics.median(pair.ratio(phase) for pair in self.pairs)

    def request_ratio(self, workload: Workload) -> float:
        """How many times sooner a request is done: the median of the pairs' ratios of seconds."""
        return statistics.median(self.request_ratios(workload))

    def request_ratios(self, workload: Workload) -> list[float]:
        """The same, pair by pair. Phases that were not run count for nothing."""
        return [_seconds(pair.reference, workload) / _seconds(pair.tried, workload) for pair in self.pairs]

    def wins(self, workload: Workload) -> bool:
        """Whether it is faster beyond the noise: the median by LEAST_GAIN, and three quarters of the pairs at all."""
        ratios = self.request_ratios(workload)
        quarter = statistics.quantiles(ratios, n=4, method="inclusive")[0] if len(ratios) > 1 else ratios[0]
        return statistics.median(ratios) >= LEAST_GAIN and quarter > 1.0 and not self.slower

    @property
    def slower(self) -> tuple[Phase, ...]:
        """The phases that lose."""
        return tuple(phase for phase in Phase if self.ratio(phase) < FLOOR)


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a search ended with."""

    defaults: RuntimeFlags
    flags: RuntimeFlags
    final: Comparison
    """The flags against the defaults; without pairs where they are the defaults."""
    looks: tuple[Comparison, ...]
    """Every comparison on the way, the final ones that were lost included."""
    refused: tuple[str, ...]
    """Changes that the device does not take, with its words."""
    left_out: tuple[str, ...]
    """Axes for which no time was left."""
    seconds: float

    @property
    def changed(self) -> bool:
        """Whether anything is better than the defaults."""
        return self.flags != self.defaults


def _of(found: Sequence[Series], phase: Phase) -> Series | None:
    return next((series for series in found if series.phase is phase), None)


def _seconds(found: Sequence[Series], workload: Workload) -> float:
    """Of a request, as far as its phases were run."""
    return sum(workload.tokens(series.phase) / series.median for series in found)


class Search:
    """One search: the trial, the time that is left, and what was seen."""

    def __init__(
        self,
        trial: Trial,
        workload: Workload,
        *,
        clock: Clock,
        budget: float,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._trial, self._workload, self._clock, self._say = trial, workload, clock, say
        self._began = clock()
        self._budget = budget
        self._looks: list[Comparison] = []
        self._refused: list[str] = []
        self._left_out: list[str] = []
        self._quick = workload
        self._turn = False
        self._cost: dict[tuple[Phase, ...], float] = {}

    def run(self, defaults: RuntimeFlags, axes: Sequence[Axis]) -> Found:
        """Search the axes in their order, as far as the budget reaches, then compare with the defaults."""
        self._calibrate(defaults)
        flags, kept = defaults, list[Change]()
        for axis in axes:
            change = self._best(flags, axis)
            if change:
                flags = change.bend(flags)
                kept.append(change)
        flags, final = self._settle(defaults, kept)
        return Found(
            defaults=defaults, flags=flags, final=final, looks=tuple(self._looks), refused=tuple(self._refused),
            left_out=tuple(self._left_out), seconds=self._clock() - self._began,
        )  # fmt: skip

    def _calibrate(self, defaults: RuntimeFlags) -> None:
        """How many tokens make a look of sensible length, and how long one takes with loading and all."""
        first = self._trial(defaults, replace(self._workload.quick, repeats=1))
        sizes = {
            series.phase: max(16, min(self._workload.tokens(series.phase), int(series.median * _SAMPLE_SECONDS)))
            for series in first
        }
        self._quick = replace(
            self._workload, prompt_tokens=sizes.get(Phase.PREFILL, 0), generated_tokens=sizes.get(Phase.DECODE, 0),
            repeats=2,
        )  # fmt: skip
        for phases in (tuple(Phase), (Phase.PREFILL,), (Phase.DECODE,)):
            work = self._only(phases)
            if work.phases:
                began = self._clock()
                self._trial(defaults, work)
                self._cost[phases] = self._clock() - began

    def _only(self, phases: Sequence[Phase]) -> Workload:
        return replace(
            self._quick,
            prompt_tokens=self._quick.prompt_tokens if Phase.PREFILL in phases else 0,
            generated_tokens=self._quick.generated_tokens if Phase.DECODE in phases else 0,
        )

    @property
    def _left(self) -> float:
        """Seconds for the search; what the last comparison needs is kept back."""
        final = 2 * FINAL_PAIRS * self._cost.get(tuple(Phase), 0.0)
        return self._began + self._budget - self._clock() - final

    def _best(self, flags: RuntimeFlags, axis: Axis) -> Change | None:
        """The value of `axis` that is better than what `flags` have, if one is."""
        changes = [change for change in axis.changes if self._tokens(change) and change.bend(flags) != flags]
        if not changes:
            return None
        if self._left < sum(2 * self._costs(change) for change in changes):
            self._left_out.append(axis.name)
            return None
        self._say(f"{axis.name}: {', '.join(change.name for change in changes)}")
        seen = {change.name: self._look(flags, change) for change in changes}
        standing = [change for change in changes if self._gain(seen[change.name]) > 1.0]
        while len(standing) > 1 and self._left > 2 * sum(self._costs(change) for change in standing):
            for change in standing:
                seen[change.name] += self._look(flags, change)
            standing.sort(key=lambda change: -self._gain(seen[change.name]))
            standing = standing[: len(standing) // 2]
        standing.sort(key=lambda change: -self._gain(seen[change.name]))
        best = standing[0] if standing else None
        won = best is not None and self._confirm(flags, best, seen)
        for change in changes:
            if seen[change.name]:
                name = f"{axis.name}: {change.name}"
                self._looks.append(Comparison(name=name, pairs=tuple(seen[change.name]), kept=won and change is best))
        return best if won else None

    def _confirm(self, flags: RuntimeFlags, best: Change, seen: dict[str, list[Pair]]) -> bool:
        """New pairs alone decide: those that chose it flatter it."""
        fresh: list[Pair] = []
        while len(fresh) < PAIRS and self._left > 2 * self._costs(best):
            fresh += self._look(flags, best)
            if len(fresh) == 3 and self._gain(fresh) < 1.0:
                break
        seen[best.name] += fresh
        return len(fresh) >= PAIRS and Comparison(name=best.name, pairs=tuple(fresh)).wins(self._workload)

    def _tokens(self, change: Change) -> bool:
        return bool(self._only(change.phases).phases)

    def _costs(self, change: Change) -> float:
        return self._cost.get(change.phases) or max(self._cost.values())

    def _gain(self, pairs: Sequence[Pair]) -> float:
        return Comparison(name="", pairs=tuple(pairs)).request_ratio(self._workload) if pairs else 0.0

    def _look(self, flags: RuntimeFlags, change: Change) -> list[Pair]:
        """One pair; none where the device refuses."""
        if any(name.startswith(f"{change.name}: ") for name in self._refused):
            return []
        try:
            return [self._pair(change.bend(flags), flags, self._only(change.phases))]
        except TrialRefusedError as error:
            self._refused.append(f"{change.name}: {error.what}")
            return []

    def _pair(self, tried: RuntimeFlags, reference: RuntimeFlags, work: Workload) -> Pair:
        """Who goes first alternates, so that neither always runs on the warmer device."""
        self._turn = not self._turn
        if self._turn:
            first = self._trial(tried, work)
            return Pair(tried=first, reference=self._trial(reference, work))
        second = self._trial(reference, work)
        return Pair(tried=self._trial(tried, work), reference=second)

    def _settle(self, defaults: RuntimeFlags, kept: Sequence[Change]) -> tuple[RuntimeFlags, Comparison]:
        """What was kept against the defaults; where a phase loses, without the changes that touch it."""
        while kept:
            flags = defaults
            for change in kept:
                flags = change.bend(flags)
            self._say(f"compare with the defaults: {', '.join(change.name for change in kept)}")
            work = self._only(tuple(Phase))
            pairs = tuple(self._pair(flags, defaults, work) for _ in range(FINAL_PAIRS))
            final = Comparison(name="defaults", pairs=pairs)
            if final.wins(self._workload):
                return flags, replace(final, kept=True)
            self._looks.append(final)
            lost = final.slower
            less = [change for change in kept if not set(change.phases) & set(lost)]
            kept = less if lost and len(less) < len(kept) else []
        return defaults, Comparison(name="defaults", pairs=())
