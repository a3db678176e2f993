"""Routes: what a threshold costs and gives, which is chosen, and that nobody judges himself."""

from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from edgepack.domain import routing
from edgepack.domain.answering import Answered
from edgepack.domain.confidence import Calibration, Signal, signals_after
from edgepack.domain.evaluation import Judged
from edgepack.domain.routing import NEAR, Aim, Case, Point, choose, curve_of, find_route, point_of
from edgepack.domain.task import Example, Metric

SURE = (-0.01, -0.01, -0.01, -0.01)
UNSURE = (-0.01, -3.0, -0.01, -0.01)
PLAIN = Calibration(intercept=0.0, weights={Signal.PRODUCT: 1.0})


def judged(score: float, tokens: tuple[float, ...], *, first: float = 1.0, seconds: float = 5.0) -> Judged:
    answer = Answered(
        text="yes" if score else "no", whole=True, confidence=1.0, prompt_tokens=1, tokens=len(tokens),
        first_token=first, seconds=seconds, log_probabilities=tokens, margins=tuple(-3 * one for one in tokens),
    )  # fmt: skip
    return Judged(example=Example(fields={}, answer="yes"), answered=answer, score=score)


def case(small: Judged, large: Judged) -> Case:
    return Case(small=small, large=large, after=signals_after(small.answered))


def test_an_answer_that_is_kept_costs_itself() -> None:
    assert case(judged(1, SURE), judged(1, SURE, seconds=20)).seconds(PLAIN, 0.5) == 5.0


def test_one_that_goes_up_costs_what_was_written_until_then() -> None:
    """The prompt, two of four tokens, and the larger model's answer."""
    assert case(judged(0, UNSURE), judged(1, SURE, seconds=20)).seconds(PLAIN, 0.5) == pytest.approx(1 + 2 + 20)


def test_an_answer_without_tokens_goes_up() -> None:
    one = case(judged(0, ()), judged(1, SURE, seconds=20))
    assert one.goes_up(PLAIN, 0.01)
    assert one.seconds(PLAIN, 0.5) == 25.0


def test_a_point_is_what_the_answers_are_together() -> None:
    """Of four, the unsure two go up: all right, for all small answers but half of two, and two large ones."""
    cases = [case(judged(1, SURE), judged(1, SURE, seconds=20))] * 2
    cases += [case(judged(0, UNSURE), judged(1, SURE, seconds=20))] * 2
    found = point_of(Metric.EXACT_MATCH, cases, PLAIN, 0.5)
    assert (found.sent_up, found.quality) == (0.5, 1.0)
    assert found.cost == pytest.approx((5 + 5 + 23 + 23) / 80)


def test_a_curve_goes_from_the_small_model_to_the_large_one() -> None:
    """Nothing up, then ever more, then all."""
    cases = mixed(200)
    curve = curve_of(Metric.EXACT_MATCH, cases, PLAIN)
    assert (curve[0].sent_up, curve[-1].sent_up) == (0.0, 1.0)
    assert [point.sent_up for point in curve] == sorted(point.sent_up for point in curve)
    assert curve[0].quality == sum(one.small.score for one in cases) / 200
    assert curve[-1].quality == sum(one.large.score for one in cases) / 200
    assert max(after.sent_up - before.sent_up for before, after in pairwise(curve)) < 0.03


@pytest.mark.parametrize(
    ("qualities", "place"),
    [((0.7, 0.8, 0.9, 0.95), 3), ((0.7, 0.946, 0.95, 0.95), 1), ((0.7, 0.95, 0.9, 0.95), 3), ((0.96, 0.95), 0)],
)
def test_the_cheapest_is_chosen_from_which_on_all_are_good_enough(qualities: tuple[float, ...], place: int) -> None:
    """A lucky one between bad ones is not taken."""
    curve = [
        Point(threshold=number / 10, sent_up=number / 10, quality=quality, cost=1.0)
        for number, quality in enumerate(qualities)
    ]
    assert choose(curve, NEAR) == place


@pytest.mark.parametrize(("most", "place"), [(0.1, 0), (0.3, 0), (0.55, 1), (0.9, 2), (5.0, 3)])
def test_for_so_much_cost_the_dearest_is_chosen_that_keeps_it(most: float, place: int) -> None:
    """Where even the small model costs more, it is the small model."""
    curve = [
        Point(threshold=number / 10, sent_up=number / 10, quality=0.5, cost=cost)
        for number, cost in enumerate((0.2, 0.5, 0.8, 1.2))
    ]
    assert choose(curve, Aim(cost=most)) == place


def mixed(count: int, *, seed: int = 1) -> list[Case]:
    """Answers that are the likelier right the surer they are."""
    random = Random(seed)
    found = []
    for _ in range(count):
        weakest = -random.expovariate(2)
        right = float(random.random() < 2.718281828**weakest)
        found.append(
            case(judged(right, (-0.01, weakest, -0.02)), judged(float(random.random() < 0.95), SURE, seconds=20))
        )
    return found


def test_a_route_tells_what_to_expect_elsewhere() -> None:
    """Five folds of all examples, each once; near to what is seen on all, which is within the tolerance."""
    cases = mixed(500)
    found = find_route(Metric.EXACT_MATCH, [one.small for one in cases], [one.large for one in cases])
    assert found.point.quality >= found.large_quality - 0.005
    assert found.point.cost < 1
    assert sum(fold.examples for fold in found.crossed.folds) == 500
    assert found.crossed.quality == pytest.approx(found.point.quality, abs=0.03)
    assert found.crossed.auroc["confidence"] > 0.65
    assert found.crossed.calibration_error < 0.1


def test_no_fold_is_judged_by_a_threshold_that_has_seen_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is calibrated on and what it is tried on have nothing in common."""
    cases = mixed(60)
    seen: list[set[int]] = []
    real = routing._calibrated
    monkeypatch.setattr(routing, "_calibrated", lambda some: (seen.append({id(one) for one in some}), real(some))[1])
    tried: list[set[int]] = []
    point = routing.point_of

    def trying(metric: Metric, some: list[Case], calibration: Calibration, threshold: float) -> Point:
        tried.append({id(one) for one in some})
        return point(metric, some, calibration, threshold)

    monkeypatch.setattr(routing, "point_of", trying)
    routing._cross(Metric.EXACT_MATCH, cases, NEAR)
    folds = [some for some in tried if len(some) == 12]
    assert len(folds) == len(seen) == 5
    assert not any(fold & fitted for fold, fitted in zip(folds, seen, strict=True))
    assert set().union(*folds) == {id(one) for one in cases}


def test_a_metric_over_all_answers_is_one() -> None:
    """Macro F1 is no mean of scores."""
    cases = mixed(100)
    small = [replace(one.small, example=Example(fields={}, answer="yes")) for one in cases]
    found = find_route(Metric.MACRO_F1, small, [one.large for one in cases])
    wrong = sum(1 - one.small.score for one in cases)
    right = 100 - wrong
    assert found.small_quality == pytest.approx(2 * right / (2 * right + wrong) / 2)
