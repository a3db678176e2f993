"""When a candidate is given up, and what the others are to the chosen one."""

import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from edgepack.domain.answering import Answered
from edgepack.domain.engine import Engine
from edgepack.domain.evaluation import Evaluation, judge, measured
from edgepack.domain.measurement import MeasuredWeights, Runtime
from edgepack.domain.needs import TaskKind
from edgepack.domain.speed import Basis, SpeedPlan
from edgepack.domain.task import Example, Labels, Metric, Prompt, Targets, Task
from edgepack.domain.trials import Candidate, Role, Trial, Trials, hopeless, reached, trials_json

NO_TARGETS = Targets(quality=None, first_token=None, decode=None, size=None, memory=None)


@pytest.mark.parametrize("metric", [Metric.ACCURACY, Metric.EXACT_MATCH, Metric.ROUGE_L])
def test_what_cannot_reach_the_bar_is_given_up_for_certain(metric: Metric) -> None:
    """11 of 20 wrong, 100 in all: with the others right 89 %."""
    scores = [0.0] * 11 + [1.0] * 9
    assert "all others right" in (hopeless(scores, metric, 0.9, total=100) or "")
    assert hopeless(scores, metric, 0.89, total=100) is None or "once in" in str(
        hopeless(scores, metric, 0.89, total=100)
    )


@pytest.mark.parametrize("metric", [Metric.MACRO_F1, Metric.FIELD_F1])
def test_of_other_metrics_a_part_says_nothing(metric: Metric) -> None:
    assert hopeless([0.0] * 99, metric, 0.5, total=100) is None


def test_without_a_bar_nothing_is_given_up() -> None:
    assert hopeless([0.0] * 99, Metric.ACCURACY, None, total=100) is None
    assert hopeless([], Metric.ACCURACY, 0.5, total=100) is None


@pytest.mark.parametrize("wanted", [0.6, 0.9, 0.95])
@pytest.mark.parametrize("look", [40, 120])
def test_one_that_is_good_enough_is_hardly_ever_given_up(wanted: float, look: int) -> None:
    """20,000 candidates exactly at the bar: at most one in a thousand (the bound; 40 is twice that)."""
    dice = random.Random(look)
    given_up = sum(
        hopeless([float(dice.random() < wanted) for _ in range(look)], Metric.ACCURACY, wanted, total=10**9)
        is not None
        for _ in range(20_000)
    )
    assert given_up <= 40


@pytest.mark.parametrize(("right", "given_up"), [(20, True), (30, True), (37, False), (38, False)])
def test_one_far_below_is_given_up_at_the_first_look(right: int, given_up: bool) -> None:
    scores = [1.0] * right + [0.0] * (40 - right)
    assert (hopeless(scores, Metric.ACCURACY, 0.95, total=500) is not None) is given_up


def test_roles_are_counted_among_those_that_were_asked() -> None:
    """One passed over for memory stands between; it is no size down."""
    tried = (
        trial("a", 0.5),
        trial("b", 0.7),
        Trial(candidate=candidate("c"), skipped="needs more"),
        trial("d", 1.0),
        trial("e", 1.0),
    )
    trials = Trials(task=task(quality=0.9), profile="rpi5", tried=tried)
    assert trials.chosen is tried[3]
    assert [trials.role(one) for one in tried] == [Role.TRIED, Role.SMALLER, Role.TRIED, Role.CHOSEN, Role.LARGER]
    record = trials_json(trials)
    assert record["stopped"] == "d Q8_0 meets every target; one more was asked for comparison"


def test_where_none_will_do_the_best_is_known() -> None:
    tried = (trial("a", 0.5), trial("b", 0.7), Trial(candidate=candidate("c"), skipped="needs more"))
    trials = Trials(task=task(quality=0.9), profile="rpi5", tried=tried)
    assert trials.chosen is None
    assert trials.best is tried[1]
    assert {trials.role(one) for one in tried} == {Role.TRIED}


def test_one_that_was_given_up_has_not_passed() -> None:
    """All of the part that was asked was right: still nobody asked the rest."""
    assert not replace(trial("a", 1.0), skipped="given up").passed


@pytest.mark.parametrize(
    ("here", "expected", "met"),
    [
        (True, None, [True, True]),
        (True, SpeedPlan(prefill=1, decode=1, first_token=9, basis=Basis.BANDWIDTH), [True, True]),
        (False, SpeedPlan(prefill=1, decode=1, first_token=9, basis=Basis.BANDWIDTH), [True, False]),
        (False, SpeedPlan(prefill=1, decode=1, first_token=1, basis=Basis.BANDWIDTH), [True, True]),
        (False, None, [True, False]),
    ],
)
def test_times_count_on_the_device_that_the_bundle_is_for(
    here: bool, expected: SpeedPlan | None, met: list[bool]
) -> None:
    """First tokens were seen after 0.1 s on this machine; what nobody knows of the device is not met."""
    wanted = replace(NO_TARGETS, quality=0.5, first_token=2.0)
    found = reached(evaluation(1.0), wanted, candidate("a"), expected, here=here)
    assert [target.met for target in found] == met


def candidate(model: str) -> Candidate:
    return Candidate(
        model=model,
        origin=f"demo:{model}",
        engine=Engine.LLAMA_CPP,
        quant="Q8_0",
        parameters=10,
        size=100,
        memory=1000,
    )


def trial(model: str, quality: float) -> Trial:
    seen = evaluation(quality)
    targets = reached(seen, replace(NO_TARGETS, quality=0.9), candidate(model), None, here=True)
    return Trial(candidate=candidate(model), evaluation=seen, targets=targets)


def task(*, quality: float | None) -> Task:
    return Task(
        name="t", title="T", kind=TaskKind.CLASSIFY, level=1, prompt=Prompt(user="{text}", system=None),
        form=Labels(labels=("x", "y")), max_tokens=1, metric=Metric.ACCURACY, shown=(), held_out=(),
        targets=replace(NO_TARGETS, quality=quality),
    )  # fmt: skip


def evaluation(quality: float) -> Evaluation:
    """Ten answers, that share of them right."""
    asked = task(quality=None)
    judged = tuple(
        judge(
            asked, Example(fields={"text": str(number)}, answer="x"), answered("x" if number < 10 * quality else "y")
        )
        for number in range(10)
    )
    return Evaluation(
        date=datetime(2025, 1, 1, tzinfo=UTC),
        weights=MeasuredWeights(
            name="w", sha256="0" * 64, size=100, architecture="llama", parameters=10, quant="Q8_0"
        ),
        task=asked, runtime=Runtime(name="llama.cpp", version="1", build="b", system_info=""), threads=1,
        judged=judged, kept=0,
        metrics=measured(asked, judged), memory=None, energy=None,
    )  # fmt: skip


def answered(text: str) -> Answered:
    return Answered(text=text, whole=True, confidence=1.0, prompt_tokens=3, tokens=1, first_token=0.1, seconds=0.2)
