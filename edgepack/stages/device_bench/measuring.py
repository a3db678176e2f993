"""Tokens/s of one GGUF on a device, by llama.cpp's own llama-bench; how commands get there is not its business."""

from collections.abc import Sequence
from datetime import UTC, datetime

from edgepack.domain.bundle import RuntimeFlags
from edgepack.domain.device import Device
from edgepack.domain.llama_bench import NAME, BenchOutput
from edgepack.domain.measurement import (
    BUSY_LIMIT,
    Conditions,
    Measurement,
    Phase,
    Runtime,
    Series,
    Workload,
    best_threads,
    measured_weights,
    threads_to_try,
)
from edgepack.domain.profile import Profile
from edgepack.domain.progress import Progress
from edgepack.domain.settling import Patience, counted, judged, settle
from edgepack.domain.weights import Weights
from edgepack.infra.load import governor, heat, throttled
from edgepack.stages.device_bench.ready import DeviceBench, RuntimeFor, memory_need, prepared
from edgepack.stages.device_bench.watching import let_cool, run_phase, sustain, wait_for_quiet
from edgepack.transports.facts import refresh


def bench_device(
    device: Device,
    weights: Weights,
    *,
    runtime: RuntimeFor,
    workload: Workload,
    threads: tuple[int, ...] | None,
    progress: Progress,
    expected: Profile | None = None,
    sustained: float = 0.0,
    strict: bool = False,
    patience: Patience | None = None,
) -> Measurement:
    """Measure `weights` there, by the rules of `stages/bench.py`; `sustained` is in minutes, 0 for none."""
    need = memory_need(weights, workload)
    with prepared(
        device, weights, runtime=runtime, need=need, progress=progress, expected=expected, patience=patience
    ) as this:
        candidates = threads or threads_to_try(len(this.big))
        pinned = this.big if max(candidates) <= len(this.big) else None
        date, busy = datetime.now(UTC).replace(microsecond=0), wait_for_quiet(this)
        sweep = _sweep(this, candidates, workload, pinned)
        chosen = best_threads(sweep) if sweep else candidates[0]
        flags = _flags(workload, chosen, pinned)
        progress.step(f"measure with {counted(chosen)}")
        runs = _Runs(this, workload, flags)
        settled = [runs.settle(phase) for phase in workload.phases]
        conditions = _conditions(this, busy)
        lasting = sustain(this, workload, flags, sustained) if sustained else None
    series = tuple(kept for kept, _ in settled)
    return Measurement(
        date=date, weights=measured_weights(weights), runtime=_runtime(runs.outputs[0]), conditions=conditions,
        workload=workload, threads=chosen, cpus=pinned, series=series, sweep=sweep,
        rejected=tuple(one for _, rejected in settled for one in rejected),
        unstable_because=judged(weights.name, series, strict=strict, progress=progress),
        device=str(device).partition(":")[0], sustained=lasting,
    )  # fmt: skip


class _Runs:
    """Series with fixed flags, and what llama-bench said beside them."""

    def __init__(self, this: DeviceBench, workload: Workload, flags: RuntimeFlags) -> None:
        self.outputs: list[BenchOutput] = []
        self._this = this
        self._workload = workload
        self._flags = flags

    def settle(self, phase: Phase) -> tuple[Series, tuple[Series, ...]]:
        return settle(lambda: self._measure(phase), attempts=self._this.patience.attempts, calm=self._calm)

    def _measure(self, phase: Phase) -> Series:
        let_cool(self._this)
        self.outputs.append(run_phase(self._this, phase, self._workload, self._flags))
        return self.outputs[-1].series[0]

    def _calm(self, reason: str) -> bool:
        self._this.progress.step(f"measure again: {reason}")
        return (wait_for_quiet(self._this) or 0.0) <= BUSY_LIMIT


def _sweep(
    this: DeviceBench, candidates: Sequence[int], workload: Workload, pinned: tuple[int, ...] | None
) -> tuple[Series, ...]:
    """A quick look at each number of threads; none where there is nothing to choose."""
    if len(candidates) < 2:
        return ()
    this.progress.step(f"try {', '.join(map(str, candidates))} threads")
    return tuple(
        run_phase(this, phase, workload.quick, _flags(workload, count, pinned)).series[0]
        for count in candidates
        for phase in workload.phases
    )


def _flags(workload: Workload, threads: int, pinned: tuple[int, ...] | None) -> RuntimeFlags:
    context = max(workload.prompt_tokens, workload.generated_tokens)
    return RuntimeFlags(
        context=context, threads=threads, batch=workload.batch, micro_batch=workload.micro_batch, cpus=pinned
    )


def _conditions(this: DeviceBench, busy: float | None) -> Conditions:
    refresh(this.transport, this.facts.root)
    after = heat(this.big, root=this.facts.root)
    clusters = this.profile.clusters if this.profile else ()
    cpu = ", ".join(f"{cluster.count} x {cluster.microarchitecture}" for cluster in clusters)
    return Conditions(
        machine=this.profile.soc.text if this.profile else this.facts.machine,
        cpu=cpu or f"{len(this.facts.cpus)} CPUs",
        system=this.facts.system,
        governor=governor(this.big, root=this.facts.root),
        celsius_before=this.start.celsius, celsius_after=after.celsius,
        mhz_after=after.mhz, mhz_limit=after.mhz_limit, throttled=throttled(this.start, after),
        busy_before=busy, memory_free_before=this.free or None, peak_rss=None,
    )  # fmt: skip


def _runtime(output: BenchOutput) -> Runtime:
    return Runtime(
        name=NAME, version=output.build, build=output.backends, system_info=output.cpu or "not told by llama-bench"
    )
