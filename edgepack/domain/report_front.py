"""Which candidates nothing beats: quality, speed and size of all that were asked. It knows no charts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from edgepack.domain.engine import Engine
from edgepack.domain.metrics import Estimate
from edgepack.domain.report_evaluation import SeenEvaluation
from edgepack.domain.report_records import SeenTrial, SeenTrials
from edgepack.domain.trials import Role


class Pace(StrEnum):
    """What speed is on a front, by its unit."""

    EXPECTED = "tokens/s, predicted"
    SEEN = "tokens/s"
    ANSWERS = "answers/s"
    """Labels are scored, and no token of them is written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contestant:
    """One candidate that was asked a task."""

    title: str
    role: Role
    quality: Estimate
    expected: float | None
    """Tokens/s on the device that it is for, predicted."""
    tokens_per_second: float | None
    """As they were seen where the task was asked."""
    seconds: float
    """To the end of an answer, the median."""
    first_token: float | None
    """Seconds, the median."""
    size: int
    memory: int | None
    joules_per_answer: float | None
    passed: bool | None
    """Whether it meets the task's targets; None where it sets none."""
    given_up: bool = False
    """Whether it was asked some of the examples only, and looked hopeless."""
    beaten: bool = False
    """Whether another is no worse in quality, speed and size, and better in one of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Front:
    """All of them, the smallest first."""

    contestants: tuple[Contestant, ...]

    @property
    def pace(self) -> Pace:
        """The first that is known of all."""
        if all(one.expected is not None for one in self.contestants):
            return Pace.EXPECTED
        return Pace.SEEN if all(one.tokens_per_second is not None for one in self.contestants) else Pace.ANSWERS

    @property
    def taken(self) -> Contestant | None:
        """What was chosen; or, where nobody chose, the smallest that meets every target."""
        chosen = [one for one in self.contestants if one.role is Role.CHOSEN]
        passing = [one for one in self.contestants if one.passed]
        return next(iter([*chosen, *passing]), None)

    @property
    def edge(self) -> tuple[Contestant, ...]:
        """Those that none is both better and quicker than, the slowest first: the line of a chart."""
        return tuple(
            sorted(
                (
                    one
                    for one in self.contestants
                    if not any(
                        other.quality.value > one.quality.value and self.speed(other) > self.speed(one)
                        for other in self.contestants
                    )
                ),
                key=lambda one: (self.speed(one), -one.quality.value),
            )
        )

    def speed(self, one: Contestant) -> float:
        """In the unit that all of them have."""
        speed = {Pace.EXPECTED: one.expected, Pace.SEEN: one.tokens_per_second}.get(self.pace)
        return speed or 1 / one.seconds


def front(trials: SeenTrials | None, evaluations: Sequence[SeenEvaluation], *, chosen: bool) -> Front:
    """Of a search's trials, and of evaluations that are not among them.

    `chosen`: the first evaluation is that of the weights that were chosen; trials say so themselves.
    """
    tried = [one for trial in trials.tried if (one := _tried(trial))] if trials else []
    seen = evaluations[1:] if tried and chosen else evaluations
    first = Role.CHOSEN if chosen and not tried else Role.TRIED
    beside = [_evaluated(one, first if one is evaluations[0] else Role.TRIED) for one in seen]
    contestants = sorted([*tried, *beside], key=lambda one: (one.size, one.title))
    all_of_them = Front(contestants=tuple(contestants))
    return replace(
        all_of_them, contestants=tuple(replace(one, beaten=_beaten(one, all_of_them)) for one in contestants)
    )


def by_merit(evaluations: Sequence[SeenEvaluation]) -> tuple[SeenEvaluation, ...]:
    """The smallest that meets every target before all others, and these by their quality."""
    passing = sorted((one for one in evaluations if one.passed), key=lambda one: (one.weights.size, one.title))
    others = [one for one in evaluations if not any(one is taken for taken in passing[:1])]
    return (*passing[:1], *sorted(others, key=lambda one: (-one.quality.value, one.weights.size, one.title)))


def _tried(trial: SeenTrial) -> Contestant | None:
    if trial.quality is None or trial.answer is None or trial.answer.median <= 0:
        return None
    return Contestant(
        title=trial.title, role=trial.role, quality=trial.quality,
        expected=trial.expected.decode if trial.expected and trial.engine is not Engine.ONNX else None,
        tokens_per_second=trial.decode or None,
        seconds=trial.answer.median,
        first_token=trial.first_token.median if trial.first_token else None, size=trial.size,
        memory=trial.memory, joules_per_answer=trial.joules_per_answer,
        passed=trial.passed if trial.targets else None, given_up=trial.skipped is not None,
    )  # fmt: skip


def _evaluated(one: SeenEvaluation, role: Role) -> Contestant:
    return Contestant(
        title=one.title, role=role, quality=one.quality, expected=None, tokens_per_second=one.decode or None,
        seconds=max(one.seconds.median, 1e-9), first_token=one.first_token.median, size=one.weights.size,
        memory=one.memory, joules_per_answer=one.joules_per_answer, passed=one.passed,
    )  # fmt: skip


def _beaten(one: Contestant, found: Front) -> bool:
    mine = _merits(one, found)
    return any(
        theirs != mine and all(a >= b for a, b in zip(theirs, mine, strict=True))
        for theirs in (_merits(other, found) for other in found.contestants)
    )


def _merits(one: Contestant, found: Front) -> tuple[float, float, float]:
    return one.quality.value, found.speed(one), -one.size
