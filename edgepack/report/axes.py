"""Scales and ticks of charts: round numbers, no mark at an edge; it draws nothing."""

from collections.abc import Sequence
from math import ceil, floor, log10

_STEPS = (1, 2, 2.5, 5, 10)
_LOG_STEPS = (1, 2, 5)
_WIDE = 8
"""From this ratio of the largest to the smallest on, a scale of ratios shows more."""


def is_wide(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) / min(values) >= _WIDE


def log_domain(values: Sequence[float], pad: float = 1.35) -> tuple[float, float]:
    return min(values) / pad, max(values) * pad


def log_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """1, 2, 5, 10, …; whole powers alone where these are too many."""
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    for steps in (_LOG_STEPS, (1, 3), (1,)):
        ticks = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
        if len(ticks) <= most:
            break
    return ticks


def domain(values: Sequence[float], pad: float = 0.12) -> tuple[float, float]:
    """With room at both ends; never below zero where nothing is."""
    low, high = min(values), max(values)
    room = (high - low) * pad or abs(high) * pad or 1.0
    return (max(0.0, low - room) if low >= 0 else low - room), high + room


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers from `low` to `high`."""
    rough = (high - low) / wanted or 1.0
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in _STEPS if factor * power >= rough * 0.999)
    first = ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, floor(high / step + 1e-9) + 1)]
