"""The rules by which series count, wherever they are taken: tried again until stable, and told when they are not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgepack.domain.errors import DeviceError
from edgepack.domain.measurement import Series, instability
from edgepack.domain.progress import Progress


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long to wait for a quiet, cool machine, and how often to try for a stable series."""

    quiet_seconds: float = 20.0
    look_seconds: float = 1.0
    attempts: int = 3
    cool_seconds: float = 120.0
    """For a device that is warmer than it was at first."""


def settle(
    measure: Callable[[], Series], *, attempts: int, calm: Callable[[str], bool]
) -> tuple[Series, tuple[Series, ...]]:
    """The first stable series, or the least unstable of all attempts, and those not kept.

    `calm` is told why a series does not count; it says whether another attempt might see anything else.
    """
    tried: list[Series] = []
    while True:
        tried.append(measure())
        reason = instability(tried[-1])
        if reason is None:
            return tried[-1], tuple(tried[:-1])
        if len(tried) >= attempts or not calm(reason):
            break
    kept = min(tried, key=lambda series: series.spread)
    return kept, tuple(series for series in tried if series is not kept)


def judged(name: str, series: Sequence[Series], *, strict: bool, progress: Progress) -> tuple[str, ...]:
    """Why these are not stable, which is said aloud; with `strict` a DeviceError."""
    reasons = tuple(reason for one in series if (reason := instability(one)))
    if reasons and strict:
        raise DeviceError(
            f"{name}: no stable measurement: {'; '.join(reasons)}",
            hint="stop other programs and run it again, or leave out --strict for a record that says unstable",
        )
    for reason in reasons:
        progress.warn(f"not stable: {reason}")
    return reasons


def counted(threads: int) -> str:
    """`1 thread`, `2 threads`."""
    return f"{threads} thread{'s' if threads > 1 else ''}"
