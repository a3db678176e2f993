"""Confidence: signals only fall, fits and ranks are scikit-learn's, and nothing weighs against an answer."""

import math
from random import Random

import numpy as np
import pytest

from edgepack.domain.answering import Answered
from edgepack.domain.confidence import (
    CUT,
    NOTHING_KNOWN,
    Calibration,
    Signal,
    auroc,
    calibrate,
    calibration_error,
    signals_after,
)

linear_model = pytest.importorskip("sklearn.linear_model")
sklearn_metrics = pytest.importorskip("sklearn.metrics")


def answered(log_probabilities: list[float], margins: list[float]) -> Answered:
    return Answered(
        text="x", whole=True, confidence=1.0, prompt_tokens=1, tokens=len(margins), first_token=0.1, seconds=0.2,
        log_probabilities=tuple(log_probabilities), margins=tuple(margins),
    )  # fmt: skip


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def test_signals_are_the_products_the_weakest_and_the_closest_so_far() -> None:
    """As logits, after each token."""
    found = signals_after(answered([math.log(0.9), math.log(0.5), math.log(0.8)], [3.0, 0.25, 1.0]))
    assert [one[Signal.PRODUCT] for one in found] == pytest.approx([logit(0.9), logit(0.45), logit(0.36)])
    assert [one[Signal.WEAKEST] for one in found] == pytest.approx([logit(0.9), logit(0.5), logit(0.5)])
    assert [one[Signal.MARGIN] for one in found] == [3.0, 0.25, 0.25]


def test_what_is_certain_or_impossible_is_cut_off() -> None:
    """A probability of one has no logit."""
    (sure,) = signals_after(answered([0.0], [99.0]))
    assert set(sure.values()) == {CUT}
    (never,) = signals_after(answered([-1000.0], [-99.0]))
    assert set(never.values()) == {-CUT}


def test_a_confidence_never_rises_while_an_answer_grows() -> None:
    """Whatever the tokens: so an answer that is too unsure can be left unfinished."""
    random = Random(1)
    for _ in range(200):
        count = random.randint(1, 30)
        grown = signals_after(
            answered([-random.expovariate(3) for _ in range(count)], [random.gauss(2, 3) for _ in range(count)])
        )
        calibration = Calibration(
            intercept=random.gauss(0, 2), weights={signal: random.random() for signal in Signal}
        )
        confidences = [calibration.confidence(signals) for signals in grown]
        assert confidences == sorted(confidences, reverse=True)
        assert calibration.confidence(NOTHING_KNOWN) <= confidences[-1]


def cases(seed: int, count: int = 300) -> tuple[list[dict[Signal, float]], list[float]]:
    """Signals, and scores that depend on two of them."""
    random = Random(seed)
    all_signals = [
        {Signal.PRODUCT: random.gauss(2, 2), Signal.WEAKEST: random.gauss(3, 2), Signal.MARGIN: random.gauss(1, 3)}
        for _ in range(count)
    ]
    chances = [1 / (1 + math.exp(1 - one[Signal.PRODUCT] - 0.5 * one[Signal.WEAKEST])) for one in all_signals]
    return all_signals, [float(random.random() < chance) for chance in chances]


@pytest.mark.parametrize("seed", range(5))
def test_a_fit_is_scikit_learns(seed: int) -> None:
    """Logistic regression, each answer as much right and wrong as Platt's targets say."""
    all_signals, scores = cases(seed)
    found = calibrate(all_signals, scores)
    wanted = list(found.weights)
    right, wrong = sum(scores), len(scores) - sum(scores)
    targets = np.where(np.array(scores) == 1, (right + 1) / (right + 2), 1 / (wrong + 2))
    rows = np.array([[one[signal] for signal in wanted] for one in all_signals])
    model = linear_model.LogisticRegression(C=1000, tol=1e-10, max_iter=10000)
    model.fit(
        np.vstack([rows, rows]), [1] * len(scores) + [0] * len(scores),
        sample_weight=np.concatenate([targets, 1 - targets]),
    )  # fmt: skip
    assert list(found.weights.values()) == pytest.approx(list(model.coef_[0]), abs=1e-3)
    assert found.intercept == pytest.approx(model.intercept_[0], abs=1e-3)


def test_a_signal_that_speaks_against_an_answer_is_left_out() -> None:
    """Else a confidence could rise again."""
    all_signals, scores = cases(7)
    turned = [{**one, Signal.PRODUCT: -one[Signal.PRODUCT]} for one in all_signals]
    found = calibrate(turned, scores)
    assert Signal.PRODUCT not in found.weights
    assert all(weight > 0 for weight in found.weights.values())


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_answers_that_are_all_alike_are_no_certainty(score: float) -> None:
    """All right so far is not always right."""
    all_signals, _ = cases(3, count=50)
    found = calibrate(all_signals, [score] * 50)
    confidences = [found.confidence(one) for one in all_signals]
    assert all(0 < confidence < 1 for confidence in confidences)
    assert sum(confidences) / 50 == pytest.approx(score, abs=0.1)


@pytest.mark.parametrize("seed", range(10))
def test_auroc_is_scikit_learns(seed: int) -> None:
    """With ties."""
    random = Random(seed)
    scores = [float(random.random() < 0.3) for _ in range(200)]
    values = [round(random.gauss(score, 1), 1) for score in scores]
    assert auroc(values, scores) == pytest.approx(sklearn_metrics.roc_auc_score(scores, values))


def test_auroc_of_equals_says_nothing() -> None:
    assert auroc([0.1, 0.9], [1.0, 1.0]) == 0.5


def test_calibration_error_is_what_bins_are_off_by() -> None:
    """Half of those at 0.5 right: nothing; all of those at 0.8 right: 0.2."""
    assert calibration_error([0.5] * 100, [0.0, 1.0] * 50) == pytest.approx(0.0)
    assert calibration_error([0.8] * 100, [1.0] * 100) == pytest.approx(0.2)
