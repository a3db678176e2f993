"""Bandwidth of reading memory as our own program prints it: every round, for each number of cores."""

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgepack.domain.errors import DeviceError
from edgepack.domain.measurement import BUSY_LIMIT, SPREAD_LIMIT, spread
from edgepack.domain.profile import Bandwidth, BandwidthKind
from edgepack.domain.settling import counted

_FORM = re.compile(
    r"edgepack-bandwidth 1\nthreads (?P<threads>[1-9]\d{0,3})\nbytes (?P<bytes>[1-9]\d{0,15})\n"
    r"(?P<rounds>(?:gbs \d{1,6}\.\d{3}\n)+)"
)
_MIB = 1 << 20
_LEAST_BUFFER, _UNKNOWN_BUFFER, _USUAL_BUFFER, _MOST_BUFFER = 32, 128, 256, 2048
"""MiB."""
_TWO_SPEEDS = 1.25
"""The fastest round over the slowest, above which a machine has more than one speed: the quartiles may not see it."""
_CACHES = 4
"""How many times the largest cache the buffer is: of one that is little larger, much stays there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """All rounds with one number of threads, in the order taken."""

    threads: int
    buffer: int
    """Bytes, of all threads together."""
    rounds: tuple[float, ...]
    """GB/s of all threads together."""
    busy: float | None
    """Cores' worth of other programs' work on the cores measured; None where nobody can say."""

    @property
    def median(self) -> float:
        """GB/s."""
        return statistics.median(self.rounds)

    @property
    def spread(self) -> float:
        """The middle half of the rounds, as a share of the median."""
        return spread(self.rounds)

    @property
    def steady(self) -> bool:
        """Whether the rounds agree, so that their median alone says enough."""
        return self.spread <= SPREAD_LIMIT and max(self.rounds) <= _TWO_SPEEDS * min(self.rounds)

    @property
    def disturbed(self) -> bool:
        """Whether other programs took so much meanwhile that the figure is theirs too."""
        return self.busy is not None and self.busy > BUSY_LIMIT

    @property
    def words(self) -> str:
        """What was done and seen, for people."""
        low, high = min(self.rounds), max(self.rounds)
        beside = f", while other programs used {self.busy:.0%} of a core" if self.disturbed else ""
        return (
            f"{counted(self.threads)} over {self.buffer / 1e6:,.0f} MB, {len(self.rounds)} rounds "
            f"from {low:.1f} to {high:.1f}, the middle half within {self.spread:.0%}{beside}"
        )


def parse_reading(text: str, *, busy: float | None) -> Reading:
    """What one call of the program printed, with lines of the clocks around it (transports/timed.py).

    Raises DeviceError for anything else.
    """
    lines = text.partition("#times")[0].splitlines()
    own = "".join(f"{line}\n" for line in lines if line and not line.startswith("#"))
    found = _FORM.fullmatch(own)
    rounds = tuple(float(line.split()[1]) for line in found["rounds"].splitlines()) if found else ()
    if not found or not all(rounds):
        raise DeviceError(
            f"the bandwidth program printed {own[:80]!r}", hint="run it again, or leave it out with --no-bench"
        )
    return Reading(threads=int(found["threads"]), buffer=int(found["bytes"]), rounds=rounds, busy=busy)


def together(readings: Sequence[Reading]) -> tuple[Reading, ...]:
    """One reading for each number of threads, from calls that were taken in turn."""
    threads = sorted({reading.threads for reading in readings})
    return tuple(_joined([one for one in readings if one.threads == count]) for count in threads)


def _joined(readings: Sequence[Reading]) -> Reading:
    known = [reading.busy for reading in readings if reading.busy is not None]
    return replace(
        readings[0],
        rounds=tuple(found for reading in readings for found in reading.rounds),
        busy=statistics.fmean(known) if known else None,
    )


def buffer_mebibytes(*, cache: int, free: int) -> int:
    """A buffer of several times the largest `cache`, and of a quarter of the `free` bytes at most; 0 is not known."""
    wanted = max(_USUAL_BUFFER, _CACHES * cache // _MIB)
    most = min(_MOST_BUFFER, free // 4 // _MIB) if free else _UNKNOWN_BUFFER
    return max(_LEAST_BUFFER, min(wanted, most))


def bandwidths(readings: Sequence[Reading], *, source: str) -> tuple[Bandwidth, ...]:
    """What a profile says of a sweep that goes from one core to all big ones."""
    kinds = {BandwidthKind.READ_ALL: readings[-1], BandwidthKind.READ: readings[0]} if readings else {}
    return tuple(
        Bandwidth(kind=kind, gbs=round(reading.median, 2), how=f"median of {reading.words}", source=source)
        for kind, reading in kinds.items()
    )
