"""Records read back for a report: what their writers wrote, with gaps, and with mistakes that name their place."""

import json

import pytest

from edgepack.domain.errors import BadInputError
from edgepack.domain.evaluation import Evaluation
from edgepack.domain.report_evaluation import SeenEvaluation, parse_evaluation
from edgepack.domain.report_records import parse_gates, parse_routing, parse_trials
from edgepack.domain.trials import Role
from tests.fakes.reports import evaluation, evaluation_text, gates_text, routing_values, task, trials_values


@pytest.fixture(scope="module")
def written() -> Evaluation:
    return evaluation(task())


@pytest.fixture(scope="module")
def seen(written: Evaluation) -> SeenEvaluation:
    return parse_evaluation(evaluation_text(written), subject="seen.json")


def test_an_evaluation_comes_back_as_it_was_written(written: Evaluation, seen: SeenEvaluation) -> None:
    assert (seen.quality, seen.targets) == (written.quality, written.targets)
    assert (seen.first_token, seen.seconds) == (written.first_token, written.seconds)
    assert (seen.weights, seen.runtime, seen.date) == (written.weights, written.runtime, written.date)
    assert [one.answered for one in seen.answers] == [one.answered for one in written.judged]
    confusion = seen.confusion
    assert confusion
    assert (confusion.of, confusion.labels, confusion.rows) == (None, *written.confusion)


def test_the_worst_answers_are_wrong_and_the_most_confident_first(seen: SeenEvaluation) -> None:
    confidences = [one.answered.confidence for one in seen.worst]
    assert len(confidences) == sum(one.score < 1 for one in seen.answers) > 1
    assert confidences == sorted(confidences, reverse=True)


def test_json_answers_are_compared_by_the_first_field_that_all_right_ones_have(written: Evaluation) -> None:
    """What is no object, or has no such field, said nothing."""
    record = json.loads(evaluation_text(written))
    record["confusion"] = {"labels": [], "rows": []}
    record["answers"] = record["answers"][:4]
    texts = ('{"intent": "on"}', '{"intent": "off"}', "[1]", "not JSON")
    for answer, wanted, said in zip(record["answers"], ("on", "on", "off", "off"), texts, strict=True):
        answer["wanted"], answer["text"] = json.dumps({"value": 7, "intent": wanted}), said
    confusion = parse_evaluation(json.dumps(record), subject="x").confusion
    assert confusion
    assert (confusion.of, confusion.labels) == ("intent", ("nothing", "off", "on"))
    assert confusion.rows == ((0, 0, 0), (2, 0, 0), (0, 1, 1))


def test_trials_know_their_roles_and_their_gaps() -> None:
    trials = parse_trials(json.dumps(trials_values(task())), subject="trials.json")
    titles = [found.title for role in (Role.SMALLER, Role.CHOSEN, Role.LARGER) if (found := trials.of(role))]
    assert titles == ["Tiny 360M Q4_0", "Tiny 0.5B Q4_0", "Tiny 0.6B Q4_K_M"]
    chosen, last = trials.of(Role.CHOSEN), trials.tried[-1]
    assert chosen
    assert chosen.expected
    assert (chosen.passed, chosen.examples, chosen.expected.decode) == (True, 200, 33)
    assert (last.quality, last.decode, last.memory, last.expected, last.predicted_memory) == (None,) * 5
    assert last.skipped == "does not fit the profile"


def test_records_of_before_there_were_two_engines_name_none() -> None:
    values = trials_values(task())
    assert {one.engine for one in parse_trials(json.dumps(values), subject="trials.json").tried} == {"llamacpp"}
    for one in values["tried"]:
        del one["engine"]
    assert {one.engine for one in parse_trials(json.dumps(values), subject="trials.json").tried} == {None}


def test_what_somebody_may_add_to_a_record_is_no_error() -> None:
    values = {**trials_values(task()), "seconds": 12}
    assert parse_trials(json.dumps(values), subject="trials.json").stopped


def test_a_routing_curve_has_its_chosen_point() -> None:
    values = routing_values(task())
    curve = parse_routing(json.dumps(values), subject="routing.json")
    assert (curve.small, curve.large) == ("tiny 135m Q4_0", "tiny 1b Q4_0")
    assert curve.points[curve.chosen].threshold == values["threshold"]
    assert curve.expected
    assert curve.expected.threshold == values["threshold"]
    assert 0 < curve.expected.cost < 1.5


def test_a_model_at_an_address_is_called_what_it_is_called_there() -> None:
    values = routing_values(task())
    values["large"] = {"address": "http://127.0.0.1:8080/v1", "model": "big", "weights": None, "quality": 0.9}
    values["cross_fitted"] = None
    curve = parse_routing(json.dumps(values), subject="routing.json")
    assert (curve.large, curve.expected) == ("big", None)


def test_gates_say_which_failed_and_what_else_was_seen() -> None:
    gates = parse_gates(gates_text(), subject="gates.json")
    assert [(gate.kind, gate.passed) for gate in gates] == [
        ("tokenizer", True), ("merges", True), ("chat-template", False), ("divergence", True), ("golden", True),
    ]  # fmt: skip
    assert gates[1].notes == ("12 tokens that no merge makes",)
    assert gates[3].figures == (("mean", 0.0123), ("limit", 0.1))
    assert gates[4].figures == (("prompt", "Say hello."), ("answer", "Hello!"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "edgepack.trials/2"}, "trials.json: schema: expected edgepack.trials/1, got edgepack.trials/2"),
        ({"tried": []}, "trials.json: tried: expected 1 or more tables, got 0"),
        ({"tried": [{"model": 7}]}, "trials.json: tried[0].model: expected string, got int"),
        ({"stopped": None}, "trials.json: stopped: expected string, got nothing"),
    ],
)
def test_a_wrong_record_names_the_place(change: dict[str, object], said: str) -> None:
    with pytest.raises(BadInputError) as failed:
        parse_trials(json.dumps({**trials_values(task()), **change}), subject="trials.json")
    assert failed.value.what == said


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": 1}', "[" * 100_000, '{"schema": "edgepack.routing/1"}'])
def test_what_is_no_record_is_bad_input(text: str) -> None:
    with pytest.raises(BadInputError, match=r"routing\.json"):
        parse_routing(text, subject="routing.json")


def test_a_chosen_point_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"chosen: expected less than \d+, got 400"):
        parse_routing(json.dumps({**routing_values(task()), "chosen": 400}), subject="routing.json")
