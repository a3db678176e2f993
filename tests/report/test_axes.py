"""Scales of charts: round ticks inside, room at the ends, ratios where values are wide apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.report.axes import domain, is_wide, log_domain, log_ticks, ticks

VALUES = st.lists(st.floats(min_value=1e-6, max_value=1e9), min_size=1, max_size=20)


@given(VALUES)
def test_every_value_has_room_and_a_few_round_ticks(values: list[float]) -> None:
    low, high = domain(values)
    assert 0 <= low < high
    assert low <= min(values)
    assert high > max(values)
    assert 2 <= len(ticks(low, high)) <= 12 or high - low < 1e-9
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks(low, high))


@given(VALUES)
def test_a_scale_of_ratios_has_its_ticks_inside(values: list[float]) -> None:
    low, high = log_domain(values)
    found = log_ticks(low, high)
    assert all(low <= tick <= high for tick in found)
    assert len(found) <= 16


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0.55, 1, [0.6, 0.7, 0.8, 0.9, 1]), (3, 104, [25, 50, 75, 100])],
)
def test_ticks_are_round(low: float, high: float, wanted: list[float]) -> None:
    assert ticks(low, high) == wanted


def test_ratios_are_drawn_from_eight_times_on() -> None:
    assert is_wide([1, 8])
    assert not is_wide([1, 7.9])
    assert not is_wide([0, 100])
    assert log_ticks(*log_domain([10, 100])) == [10, 20, 50, 100]
