"""The front: who is beaten, in which unit, and that a search and evaluations stand on one chart."""

import json
from dataclasses import replace

from edgepack.domain.report_evaluation import parse_evaluation
from edgepack.domain.report_front import Front, Pace, by_merit, front
from edgepack.domain.report_records import parse_trials
from edgepack.domain.trials import Role
from tests.fakes.reports import evaluation, evaluation_text, task, trials_values

TRIALS = parse_trials(json.dumps(trials_values(task())), subject="trials.json")
SEEN = [
    parse_evaluation(
        evaluation_text(evaluation(task(), quant=quant, right=right, size=size, speed=speed)), subject="x"
    )
    for quant, right, size, speed in (("Q4_0", 0.9, 400, 1), ("Q8_0", 0.95, 700, 0.7), ("Q2_K", 0.5, 500, 0.5))
]


def test_a_search_has_those_that_were_asked_the_smallest_first() -> None:
    """The one that was not asked has no place; only what is worse in all three is beaten."""
    found = front(TRIALS, [], chosen=False)
    sizes = [one.size for one in found.contestants]
    assert sizes == sorted(sizes)
    assert [(one.title, one.beaten) for one in found.contestants] == [
        ("Tiny 135M Q8_0", False), ("Tiny 360M Q4_0", False), ("Tiny 0.5B Q4_0", False), ("Tiny 0.6B Q4_K_M", True),
        ("Tiny 1B Q4_K_M", False),
    ]  # fmt: skip


def test_speed_is_what_is_known_of_all() -> None:
    """The device's, where all are predicted for it; else as it was seen; else answers, of which all give some."""
    found = front(TRIALS, [], chosen=False)
    assert (found.pace, found.speed(found.contestants[0])) == (Pace.EXPECTED, 92)
    assert front(TRIALS, SEEN, chosen=False).pace is Pace.ANSWERS
    written = Front(
        contestants=tuple(replace(one, expected=None, tokens_per_second=7.0) for one in found.contestants)
    )
    assert (written.pace, written.speed(written.contestants[0])) == (Pace.SEEN, 7)


def test_what_was_given_up_says_so() -> None:
    tried = (replace(TRIALS.tried[0], skipped="9.0 % of 20 examples: all others right would not be enough"),)
    assert front(replace(TRIALS, tried=tried), [], chosen=False).contestants[0].given_up


def test_nothing_beats_its_equal() -> None:
    one = front(TRIALS, [], chosen=False).contestants[0]
    twins = Front(contestants=(one, replace(one, title="twin")))
    again = front(replace(TRIALS, tried=(TRIALS.tried[0], replace(TRIALS.tried[0], model="twin"))), [], chosen=False)
    assert len(twins.edge) == 2
    assert not any(each.beaten for each in again.contestants)


def test_labels_are_not_written_so_speed_is_in_answers() -> None:
    found = front(None, SEEN, chosen=False)
    assert found.pace is Pace.ANSWERS
    assert [found.speed(one) for one in found.contestants] == [1 / one.seconds for one in found.contestants]
    assert [one.title for one in found.contestants if one.beaten] == ["tiny Q2_K"]


def test_a_bundle_without_trials_is_what_was_chosen() -> None:
    assert [one.role for one in front(None, SEEN, chosen=True).contestants] == [Role.CHOSEN, Role.TRIED, Role.TRIED]


def test_the_bundles_own_evaluation_is_among_its_trials_already() -> None:
    found = front(TRIALS, SEEN, chosen=True)
    assert len(found.contestants) == 5 + 2
    assert [one.title for one in found.contestants if one.role is Role.CHOSEN] == ["Tiny 0.5B Q4_0"]


def test_where_nobody_chose_the_smallest_that_passes_is_taken() -> None:
    """And where nothing passes, nothing is; what somebody chose is taken before both."""
    found = front(None, SEEN, chosen=False)
    assert found.taken
    assert found.taken.title == "tiny Q4_0"
    assert front(TRIALS, SEEN, chosen=False).taken is not found.taken
    failed = [replace(one, targets=tuple(replace(target, met=False) for target in one.targets)) for one in SEEN]
    assert front(None, failed, chosen=False).taken is None


def test_evaluations_come_in_the_same_order_however_they_are_named() -> None:
    """The smallest that passes, then the others by quality."""
    for order in (SEEN, SEEN[::-1]):
        assert [one.title for one in by_merit(order)] == ["tiny Q4_0", "tiny Q8_0", "tiny Q2_K"]


def test_the_edge_is_what_nothing_is_both_better_and_quicker_than() -> None:
    edge = front(TRIALS, [], chosen=False).edge
    assert [one.title for one in edge] == ["Tiny 1B Q4_K_M", "Tiny 0.5B Q4_0", "Tiny 360M Q4_0", "Tiny 135M Q8_0"]
