"""Tokens/s of one GGUF on this machine, measured with an eye on what else the machine does."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from edgepack.domain.adapter import AdapterWeights
from edgepack.domain.measurement import (
    BUSY_LIMIT,
    Conditions,
    Measurement,
    Phase,
    Series,
    Workload,
    best_threads,
    measured_weights,
    threads_to_try,
)
from edgepack.domain.progress import Progress
from edgepack.domain.settling import Patience, counted, judged, settle
from edgepack.domain.weights import Weights
from edgepack.engines.llamacpp import OpenModel, measure_phase, opened, runtime
from edgepack.infra.load import (
    ROOT,
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

USUAL_PATIENCE = Patience()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Bench:
    """One measuring: the CPUs used, pinned to and watched, and who waits and listens."""

    big: tuple[int, ...]
    pinned: tuple[int, ...] | None
    watched: tuple[int, ...] | None
    patience: Patience
    progress: Progress
    root: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class _Before:
    """The machine before the first sample."""

    date: datetime
    busy: float | None
    free: int
    heat: Heat


def bench(
    weights: Weights,
    *,
    workload: Workload,
    threads: tuple[int, ...] | None,
    progress: Progress,
    adapter: AdapterWeights | None = None,
    patience: Patience | None = None,
    strict: bool = False,
    root: Path = ROOT,
) -> Measurement:
    """Measure `weights`, with `adapter`, at the best of `threads`, or of 1 to all big cores, pinned to those.

    A series that is not stable is measured again; one that stays so is kept and says why, or with `strict`
    ends in DeviceError. Raises BadInputError for what llama.cpp cannot load, NoSpaceError out of memory.
    """
    big = big_cpus(root)
    candidates = threads or threads_to_try(len(big))
    # More threads than big cores would wait for each other there: such a run is left to the scheduler.
    pinned = big if max(candidates) <= len(big) else None
    this = _Bench(
        big=big, pinned=pinned, watched=with_siblings(big, root=root) if pinned else None,
        patience=patience or USUAL_PATIENCE, progress=progress, root=root,
    )  # fmt: skip
    before = _look(this)
    progress.step(f"load {weights.name}")
    with opened(weights.path, adapter=adapter.path if adapter else None) as model:
        sweep = _sweep(this, model, candidates, workload)
        chosen = best_threads(sweep) if sweep else candidates[0]
        progress.step(f"measure with {counted(chosen)}")
        settled = [_settle(this, model, phase, workload, chosen) for phase in workload.phases]
        conditions = _conditions(this, before)
    series = tuple(kept for kept, _ in settled)
    return Measurement(
        date=before.date, weights=measured_weights(weights, adapter=adapter.sha256 if adapter else None),
        runtime=runtime(), conditions=conditions,
        workload=workload, threads=chosen, cpus=pinned, series=series, sweep=sweep,
        rejected=tuple(one for _, rejected in settled for one in rejected),
        unstable_because=judged(weights.name, series, strict=strict, progress=progress),
    )  # fmt: skip


def _look(this: _Bench) -> _Before:
    """Wait for a quiet machine, then note how it is."""
    busy = _wait_for_quiet(this)
    reset_peak_memory()
    return _Before(
        date=datetime.now(UTC).replace(microsecond=0), busy=busy, free=memory_available(this.root),
        heat=heat(this.big, root=this.root),
    )  # fmt: skip


def _wait_for_quiet(this: _Bench) -> float | None:
    """Return once others leave the watched CPUs alone, or patience ends; cores' worth of their work then."""
    until = monotonic() + this.patience.quiet_seconds
    told = False
    while True:
        meter = LoadMeter(this.watched, root=this.root)
        programs = busiest(this.patience.look_seconds, root=this.root)
        busy = meter.lap()
        if busy is None or busy <= BUSY_LIMIT:
            return busy
        who = f"other programs use {busy:.0%} of a core{_named(programs)}"
        if monotonic() >= until:
            this.progress.warn(f"{who}; going on all the same")
            return busy
        if not told:
            this.progress.step(f"wait up to {this.patience.quiet_seconds:g} s for a quiet machine: {who}")
            told = True


def _named(programs: Sequence[Program]) -> str:
    """The three busiest, where there are any to name."""
    found = [f"{program.name} {program.cores:.0%}" for program in programs[:3] if program.cores >= 0.01]
    return f" ({', '.join(found)})" if found else ""


def _sweep(this: _Bench, model: OpenModel, candidates: Sequence[int], workload: Workload) -> tuple[Series, ...]:
    """A quick look at each number of threads; none where there is nothing to choose."""
    if len(candidates) < 2:
        return ()
    this.progress.step(f"try {', '.join(map(str, candidates))} threads")
    return tuple(
        _measure(this, model, phase, workload.quick, count) for count in candidates for phase in workload.phases
    )


def _settle(
    this: _Bench, model: OpenModel, phase: Phase, workload: Workload, threads: int
) -> tuple[Series, tuple[Series, ...]]:
    def calm(reason: str) -> bool:
        this.progress.step(f"measure again: {reason}")
        return (_wait_for_quiet(this) or 0.0) <= BUSY_LIMIT

    return settle(lambda: _measure(this, model, phase, workload, threads), attempts=this.patience.attempts, calm=calm)


def _measure(this: _Bench, model: OpenModel, phase: Phase, workload: Workload, threads: int) -> Series:
    label = f"{phase}{workload.tokens(phase)}, {counted(threads)}"
    meter = LoadMeter(this.watched, root=this.root)
    with this.progress.bar(label, workload.repeats, "sample") as bar:
        return measure_phase(
            model, phase, workload=workload, threads=threads, cpus=this.pinned,
            on_sample=lambda _phase, _sample: bar.advance(1), busy=meter.lap,
        )  # fmt: skip


def _conditions(this: _Bench, before: _Before) -> Conditions:
    after = heat(this.big, root=this.root)
    host = host_profile(this.root)
    return Conditions(
        machine=host.soc.text,
        cpu=", ".join(f"{cluster.count} x {cluster.microarchitecture}" for cluster in host.clusters),
        system=system_name(),
        governor=governor(this.big, root=this.root),
        celsius_before=before.heat.celsius,
        celsius_after=after.celsius,
        mhz_after=after.mhz,
        mhz_limit=after.mhz_limit,
        throttled=throttled(before.heat, after),
        busy_before=before.busy,
        memory_free_before=before.free,
        peak_rss=peak_memory(),
    )
