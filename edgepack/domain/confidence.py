"""How sure a model is of an answer: what its tokens' probabilities say, made a probability of being right; pure.

The router in a bundle computes the same from the same numbers (edgepack/data/router/confidence.hpp).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from edgepack.domain.answering import Answered
from edgepack.domain.reading import Table

CUT = 10.0
"""Logits further out are cut off: how near to 1 a probability is, float32 tells by chance beyond."""
_BINS = 10
_STEPS = 50
_RIDGE = 1e-3
"""Keeps a fit finite where a signal tells right from wrong without a mistake."""


class Signal(StrEnum):
    """What an answer's tokens say of it. Each is a logit that only goes down as the answer grows: what has become
    unsure stays so, and a request can go up before the answer is finished."""

    PRODUCT = "product"
    """Of the probability that the model writes this text."""
    WEAKEST = "weakest"
    """Of the least probable token's."""
    MARGIN = "margin"
    """Of the closest choice between a token and the likeliest other one, as if there were no third."""


Signals = Mapping[Signal, float]
NOTHING_KNOWN: Signals = dict.fromkeys(Signal, -CUT)
"""Of an answer without tokens."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """What turns signals into a confidence: the probability that the answer is right."""

    intercept: float
    weights: Mapping[Signal, float]
    """Above zero, so that a confidence only goes down too; a signal that says nothing more is left out."""

    def confidence(self, signals: Signals) -> float:
        return _sigmoid(self.intercept + sum(weight * signals[signal] for signal, weight in self.weights.items()))


def calibration_values(calibration: Calibration) -> dict[str, object]:
    """Plain values for JSON."""
    weights = {signal.value: weight for signal, weight in calibration.weights.items()}
    return {"intercept": calibration.intercept, "weights": weights}


def read_calibration(table: Table) -> Calibration:
    """The same back; BadInputError where it is not that."""
    inner = table.table("weights")
    weights = {signal: inner.number(signal, above=0) for signal in Signal if inner.has(signal)}
    found = Calibration(intercept=table.number("intercept"), weights=weights)
    inner.finish()
    table.finish()
    return found


def signals_after(answered: Answered) -> tuple[Signals, ...]:
    """The signals of an answer after each of its tokens."""
    log_probabilities, margins = answered.log_probabilities or (), answered.margins or ()
    return tuple(
        {Signal.PRODUCT: _logit(product), Signal.WEAKEST: _logit(weakest), Signal.MARGIN: _cut(margin)}
        for product, weakest, margin in zip(
            accumulate(log_probabilities),
            accumulate(log_probabilities, min),
            accumulate(margins, min),
            strict=True,
        )
    )


def calibrate(
    all_signals: Sequence[Signals], scores: Sequence[float], wanted: Sequence[Signal] = tuple(Signal)
) -> Calibration:
    """A logistic fit of scores from 0 to 1, with Platt's targets; what would weigh nothing or less is left out."""
    intercept, *weights = _fit([[signals[one] for one in wanted] for signals in all_signals], _platt(scores))
    worst = min(range(len(weights)), key=weights.__getitem__, default=None)
    if worst is not None and weights[worst] <= 0:
        return calibrate(all_signals, scores, [*wanted[:worst], *wanted[worst + 1 :]])
    return Calibration(intercept=intercept, weights=dict(zip(wanted, weights, strict=True)))


def auroc(values: Sequence[float], scores: Sequence[float]) -> float:
    """How often, of two answers of which one is better, it is the one with the higher value; ties count half.

    0.5 where none is better than another."""
    won, pairs = 0.0, 0
    for value, score in zip(values, scores, strict=True):
        for other, less in zip(values, scores, strict=True):
            if score > less:
                pairs += 1
                won += (value > other) + 0.5 * (value == other)
    return won / pairs if pairs else 0.5


def calibration_error(confidences: Sequence[float], scores: Sequence[float]) -> float:
    """Between mean confidence and mean score in ten bins of a tenth each, the mean over all answers."""
    off = [0.0] * _BINS
    for confidence, score in zip(confidences, scores, strict=True):
        off[min(int(confidence * _BINS), _BINS - 1)] += confidence - score
    return sum(map(abs, off)) / max(len(scores), 1)


def _platt(scores: Sequence[float]) -> list[float]:
    """Targets a little inside of 0 and 1, by how many of each were seen."""
    right = sum(scores)
    wrong = len(scores) - right
    high, low = (right + 1) / (right + 2), 1 / (wrong + 2)
    return [low + (high - low) * score for score in scores]


def _fit(rows: Sequence[Sequence[float]], targets: Sequence[float]) -> list[float]:
    """Intercept and weights of a logistic regression, by Newton's method."""
    lines = [[1.0, *row] for row in rows]
    size = len(lines[0]) if lines else 1
    found = [0.0] * size
    for _ in range(_STEPS):
        slope = [-_RIDGE * weight if place else 0.0 for place, weight in enumerate(found)]
        bend = [[(_RIDGE if row == column else 0.0) for column in range(size)] for row in range(size)]
        for line, target in zip(lines, targets, strict=True):
            guess = _sigmoid(_dot(found, line))
            for row in range(size):
                slope[row] += (target - guess) * line[row]
                for column in range(size):
                    bend[row][column] += guess * (1 - guess) * line[row] * line[column]
        step = _solved(bend, slope)
        found = [weight + by for weight, by in zip(found, step, strict=True)]
        if max(map(abs, step)) < 1e-9:
            break
    return found


def _solved(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """Gauss's elimination; the matrix is positive definite."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for place in range(len(rows)):
        best = max(range(place, len(rows)), key=lambda row: abs(rows[row][place]))
        rows[place], rows[best] = rows[best], rows[place]
        head = [value / rows[place][place] for value in rows[place]]
        rows = [
            head if row == place else [value - line[place] * by for value, by in zip(line, head, strict=True)]
            for row, line in enumerate(rows)
        ]
    return [row[-1] for row in rows]


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))


def _logit(log_probability: float) -> float:
    beside = -math.expm1(log_probability)
    return _cut(log_probability - math.log(beside)) if beside > 0 else CUT


def _cut(logit: float) -> float:
    return max(-CUT, min(CUT, logit))
