"""The seam between a measurement and the engines: weights opened to be timed, and a phase repeated until enough."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeAlias

from edgepack.domain.measurement import Phase, Sample, Series, Workload

Once: TypeAlias = Callable[[], float]
"""Runs a phase once, from its beginning, and gives the seconds that it took."""
OnSample: TypeAlias = Callable[[Phase, Sample], None]
Busy: TypeAlias = Callable[[], float | None]


class Timed(Protocol):
    """Weights in memory."""

    def phase(
        self, phase: Phase, *, workload: Workload, threads: int, cpus: tuple[int, ...] | None
    ) -> AbstractContextManager[Once]:
        """A phase made ready, and warmed up where the workload says so; on `cpus`, or wherever the system likes."""


def nobody(_phase: Phase, _sample: Sample) -> None:
    """Nobody listens."""


def unknown() -> float | None:
    """Nobody looks at the machine's load."""
    return None


def repeated(
    once: Once,
    phase: Phase,
    *,
    workload: Workload,
    threads: int,
    on_sample: OnSample = nobody,
    busy: Busy = unknown,
) -> Series:
    """A series of as many samples as the workload wants.

    `busy` is asked before the first and after every sample for the load of others since it was last asked.
    """
    samples: list[Sample] = []
    busy()
    while not workload.enough([sample.seconds for sample in samples]):
        seconds = once()
        samples.append(Sample(seconds=seconds, busy=busy()))
        on_sample(phase, samples[-1])
    return Series(phase=phase, tokens=workload.tokens(phase), threads=threads, samples=tuple(samples))
