"""Which requests a small model answers and which go up to a larger one: what a threshold gives, and which to take.

It asks no model. A threshold is never seen at work on the examples that it was chosen on: see `Crossed`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from edgepack.domain.confidence import (
    NOTHING_KNOWN,
    Calibration,
    Signal,
    Signals,
    auroc,
    calibrate,
    calibration_error,
    signals_after,
)
from edgepack.domain.evaluation import Judged, quality_of
from edgepack.domain.metrics import mean
from edgepack.domain.task import Metric

FOLDS = 5
_POINTS = 100
_SEED = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Aim:
    """What a threshold is for: quality near the large model's, as cheaply as can be, or the best for so much cost."""

    tolerance: float = 0.005
    """How much below the large model's quality is good enough."""
    cost: float | None = None
    """The share of the large model's that may be spent; the tolerance does not count then."""


NEAR = Aim()


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One example, as both models did it."""

    small: Judged
    large: Judged
    after: tuple[Signals, ...]
    """What is known of the small answer after each of its tokens."""

    @property
    def signals(self) -> Signals:
        return self.after[-1] if self.after else NOTHING_KNOWN

    def goes_up(self, calibration: Calibration, threshold: float) -> bool:
        return calibration.confidence(self.signals) < threshold

    def seconds(self, calibration: Calibration, threshold: float) -> float:
        """The small answer's, or, where it goes up, what was written of it until then, and the large answer's."""
        small, large = self.small.answered, self.large.answered
        if not self.goes_up(calibration, threshold):
            return small.seconds
        written = next(
            (count for count, signals in enumerate(self.after, 1) if calibration.confidence(signals) < threshold),
            0,
        )
        share = written / len(self.after) if self.after else 1.0
        return small.first_token + (small.seconds - small.first_token) * share + large.seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """What one threshold gives: answers below it go up."""

    threshold: float
    sent_up: float
    """Share of the requests."""
    quality: float
    cost: float
    """Seconds, as a share of those that the large model takes for all requests."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fold:
    """Calibrated and chosen on the other examples, and seen on these."""

    examples: int
    small_quality: float
    large_quality: float
    point: Point


@dataclass(frozen=True, kw_only=True, slots=True)
class Crossed:
    """What a threshold gives on examples that it was not chosen on: every example once, in one of the folds."""

    folds: tuple[Fold, ...]
    sent_up: float
    quality: float
    cost: float
    auroc: Mapping[str, float]
    """Of each signal, and of the calibrated `confidence`."""
    calibration_error: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """What is found on all examples, and, in `crossed`, what to expect of it on others."""

    calibration: Calibration
    curve: tuple[Point, ...]
    chosen: int
    """Place in the curve."""
    aim: Aim
    small_quality: float
    large_quality: float
    small_cost: float
    """Seconds of all small answers, as a share of the large ones'."""
    crossed: Crossed

    @property
    def point(self) -> Point:
        return self.curve[self.chosen]


def find_route(metric: Metric, small: Sequence[Judged], large: Sequence[Judged], *, aim: Aim = NEAR) -> Route:
    """Calibrate on all examples, draw the curve, choose; and the same five times without a fifth of them."""
    cases = tuple(
        Case(small=one, large=other, after=signals_after(one.answered))
        for one, other in zip(small, large, strict=True)
    )
    calibration = _calibrated(cases)
    curve = curve_of(metric, cases, calibration)
    return Route(
        calibration=calibration, curve=curve, chosen=choose(curve, aim), aim=aim,
        small_quality=quality_of(metric, small), large_quality=quality_of(metric, large),
        small_cost=curve[0].cost, crossed=_cross(metric, cases, aim),
    )  # fmt: skip


def curve_of(metric: Metric, cases: Sequence[Case], calibration: Calibration) -> tuple[Point, ...]:
    """From a threshold that sends nothing up to one that sends all, a hundredth of the requests a step."""
    confidences = sorted(calibration.confidence(case.signals) for case in cases)
    steps = (confidences[len(confidences) * step // _POINTS] for step in range(_POINTS))
    thresholds = dict.fromkeys((0.0, *steps, 1.0))
    return tuple(point_of(metric, cases, calibration, threshold) for threshold in thresholds)


def point_of(metric: Metric, cases: Sequence[Case], calibration: Calibration, threshold: float) -> Point:
    """One threshold at work on these cases."""
    up = [case.goes_up(calibration, threshold) for case in cases]
    seconds = sum(case.seconds(calibration, threshold) for case in cases)
    return Point(
        threshold=threshold,
        sent_up=mean([float(one) for one in up]),
        quality=quality_of(metric, _answers(cases, up)),
        cost=seconds / sum(case.large.answered.seconds for case in cases),
    )


def choose(curve: Sequence[Point], aim: Aim) -> int:
    """The cheapest point that is within the tolerance together with all dearer ones, so that it is none by luck; or
    the dearest before the first that costs too much, the small model alone where all do.

    The last point of the curve is the large model alone, which all are compared with.
    """
    if aim.cost is not None:
        return max(next((at for at, point in enumerate(curve) if point.cost > aim.cost), len(curve)) - 1, 0)
    least = curve[-1].quality - aim.tolerance
    place = len(curve) - 1
    while place and curve[place - 1].quality >= least - 1e-12:
        place -= 1
    return place


def _calibrated(cases: Sequence[Case]) -> Calibration:
    return calibrate([case.signals for case in cases], [case.small.score for case in cases])


def _answers(cases: Sequence[Case], up: Sequence[bool]) -> list[Judged]:
    return [case.large if goes else case.small for case, goes in zip(cases, up, strict=True)]


def _cross(metric: Metric, cases: Sequence[Case], aim: Aim) -> Crossed:
    order = Random(_SEED).sample(range(len(cases)), len(cases))
    folds, answers, confidences, scores, seconds, ups = [], [], [], [], 0.0, 0
    for number in range(min(FOLDS, len(cases))):
        seen = [cases[place] for place in order[number::FOLDS]]
        others = [cases[place] for place in sorted(set(order) - set(order[number::FOLDS]))]
        calibration = _calibrated(others)
        curve = curve_of(metric, others, calibration)
        threshold = curve[choose(curve, aim)].threshold
        up = [case.goes_up(calibration, threshold) for case in seen]
        folds.append(
            Fold(
                examples=len(seen),
                small_quality=quality_of(metric, [case.small for case in seen]),
                large_quality=quality_of(metric, [case.large for case in seen]),
                point=point_of(metric, seen, calibration, threshold),
            )
        )
        answers += _answers(seen, up)
        ups += sum(up)
        seconds += sum(case.seconds(calibration, threshold) for case in seen)
        confidences += [calibration.confidence(case.signals) for case in seen]
        scores += [case.small.score for case in seen]
    return Crossed(
        folds=tuple(folds), sent_up=ups / len(cases), quality=quality_of(metric, answers),
        cost=seconds / sum(case.large.answered.seconds for case in cases),
        auroc=_aurocs(cases, confidences, scores),
        calibration_error=calibration_error(confidences, scores),
    )  # fmt: skip


def _aurocs(cases: Sequence[Case], confidences: Sequence[float], scores: Sequence[float]) -> dict[str, float]:
    right = [case.small.score for case in cases]
    alone = {one.value: auroc([case.signals[one] for case in cases], right) for one in Signal}
    return {**alone, "confidence": auroc(confidences, scores)}
