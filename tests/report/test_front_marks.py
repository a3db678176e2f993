"""Marks of a front: where they lie, and that numbers and words hide nothing."""

import json
from itertools import combinations

from edgepack.domain.report_front import Front, front
from edgepack.domain.report_records import parse_trials
from edgepack.report.front_marks import Area, Spot, radius, spots, word_beside
from tests.fakes.reports import task, trials_values

FRONT = front(parse_trials(json.dumps(trials_values(task())), subject="x"), [], chosen=False)
AREA = Area(width=800, height=300, speeds=(10, 100), ratios=True, qualities=(0.5, 1))


def test_places_follow_the_scales() -> None:
    assert AREA.place(10, 1) == (0, 0)
    assert AREA.place(100, 0.5) == (800, 300)
    x, _ = AREA.place(1000**0.5, 0.75)
    assert round(x) == 400


def test_areas_grow_with_sizes() -> None:
    assert radius(0) < radius(0.1) < radius(0.5) < radius(1) < 20


def middle(spot: Spot) -> tuple[float, float]:
    return spot.x + spot.offset[0], spot.y + spot.offset[1]


def test_far_apart_numbers_stand_in_their_marks() -> None:
    assert all(spot.inside for spot in spots(FRONT, AREA))


def test_near_each_other_no_two_numbers_meet() -> None:
    """On a chart where all marks crowd together."""
    crowded = spots(FRONT, Area(width=200, height=60, speeds=(10, 100), ratios=True, qualities=(0.5, 1)))
    assert not all(spot.inside for spot in crowded)
    for (x, y), (u, v) in combinations(map(middle, crowded), 2):
        assert abs(x - u) >= 12 or abs(y - v) >= 12


def test_a_word_stands_where_there_is_room() -> None:
    """To the right; at the right edge to the left; nowhere on a chart that is too small for it."""
    marks = spots(FRONT, AREA)
    chosen = next(mark for mark in marks if mark.one is FRONT.taken)
    word = word_beside("chosen", chosen, marks, AREA)
    assert word
    assert (word.align, word.offset[0] > chosen.radius) == ("left", True)
    quickest = next(mark for mark in marks if mark.number == 1)
    word = word_beside("smallest that passes", quickest, marks, AREA)
    assert word
    assert word.align == "right"
    tiny = Area(width=40, height=40, speeds=(10, 100), ratios=True, qualities=(0.5, 1))
    assert word_beside("chosen", spots(FRONT, tiny)[0], spots(FRONT, tiny), tiny) is None


def test_one_candidate_is_a_front_too() -> None:
    alone = Front(contestants=FRONT.contestants[:1])
    assert [spot.inside for spot in spots(alone, AREA)] == [True]
