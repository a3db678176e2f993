"""The machine around a measurement: the CPUs it is on, waited for until quiet, looked at before and after."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from edgepack.domain.measurement import BUSY_LIMIT, Conditions
from edgepack.domain.progress import Progress
from edgepack.domain.settling import Patience
from edgepack.infra.load import (
    Heat,
    LoadMeter,
    Program,
    busiest,
    governor,
    heat,
    peak_memory,
    reset_peak_memory,
    system_name,
    throttled,
    with_siblings,
)
from edgepack.infra.machine import big_cpus, host_profile, memory_available


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """One measuring: the CPUs used, pinned to and watched, and who waits and listens."""

    big: tuple[int, ...]
    pinned: tuple[int, ...] | None
    watched: tuple[int, ...] | None
    patience: Patience
    progress: Progress
    root: Path

    def meter(self) -> LoadMeter:
        """Of what others do on the watched CPUs."""
        return LoadMeter(self.watched, root=self.root)


@dataclass(frozen=True, kw_only=True, slots=True)
class Before:
    """The machine before the first sample."""

    date: datetime
    busy: float | None
    free: int
    heat: Heat

    @property
    def quiet(self) -> bool:
        """Whether others left the CPUs alone, or nobody can say."""
        return self.busy is None or self.busy <= BUSY_LIMIT


def surroundings(threads: Sequence[int], *, patience: Patience, progress: Progress, root: Path) -> Surroundings:
    """For as many threads as any of `threads`, kept on the big cores where there are enough."""
    big = big_cpus(root)
    # More threads than big cores would wait for each other there: such a run is left to the scheduler.
    pinned = big if max(threads) <= len(big) else None
    watched = with_siblings(big, root=root) if pinned else None
    return Surroundings(big=big, pinned=pinned, watched=watched, patience=patience, progress=progress, root=root)


def look(around: Surroundings) -> Before:
    """Wait for a quiet machine, then note how it is; the peak of memory begins anew."""
    busy = wait_for_quiet(around)
    reset_peak_memory()
    return Before(
        date=datetime.now(UTC).replace(microsecond=0), busy=busy, free=memory_available(around.root),
        heat=heat(around.big, root=around.root),
    )  # fmt: skip


def wait_for_quiet(around: Surroundings) -> float | None:
    """Return once others leave the watched CPUs alone, or patience ends; cores' worth of their work then."""
    until = monotonic() + around.patience.quiet_seconds
    told = False
    while True:
        meter = around.meter()
        programs = busiest(around.patience.look_seconds, root=around.root)
        busy = meter.lap()
        if busy is None or busy <= BUSY_LIMIT:
            return busy
        who = f"other programs use {busy:.0%} of a core{_named(programs)}"
        if monotonic() >= until:
            around.progress.warn(f"{who}; going on all the same")
            return busy
        if not told:
            around.progress.step(f"wait up to {around.patience.quiet_seconds:g} s for a quiet machine: {who}")
            told = True


def conditions(around: Surroundings, before: Before, *, peak: int | None = None) -> Conditions:
    """As they were meanwhile; `peak` is the largest resident set, if it is not the one since `look`."""
    after = heat(around.big, root=around.root)
    host = host_profile(around.root)
    return Conditions(
        machine=host.soc.text,
        cpu=", ".join(f"{cluster.count} x {cluster.microarchitecture}" for cluster in host.clusters),
        system=system_name(),
        governor=governor(around.big, root=around.root),
        celsius_before=before.heat.celsius,
        celsius_after=after.celsius,
        mhz_after=after.mhz,
        mhz_limit=after.mhz_limit,
        throttled=throttled(before.heat, after),
        busy_before=before.busy,
        memory_free_before=before.free,
        peak_rss=peak or peak_memory(),
    )


def _named(programs: Sequence[Program]) -> str:
    """The three busiest, where there are any to name."""
    found = [f"{program.name} {program.cores:.0%}" for program in programs[:3] if program.cores >= 0.01]
    return f" ({', '.join(found)})" if found else ""
