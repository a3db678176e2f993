"""Tokens/s of one GGUF on this machine, measured with an eye on what else the machine does."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgepack.domain.adapter import AdapterWeights
from edgepack.domain.measurement import (
    BUSY_LIMIT,
    Measurement,
    Phase,
    Runtime,
    Series,
    Workload,
    best_threads,
    measured_weights,
    threads_to_try,
)
from edgepack.domain.progress import Progress
from edgepack.domain.settling import Patience, counted, judged, settle
from edgepack.domain.weights import Weights, WeightsFormat
from edgepack.engines.timed import Timed, repeated
from edgepack.infra.load import ROOT
from edgepack.infra.machine import big_cpus
from edgepack.infra.surroundings import Surroundings, conditions, look, surroundings, wait_for_quiet

USUAL_PATIENCE = Patience()


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
    candidates = threads or threads_to_try(len(big_cpus(root)))
    around = surroundings(candidates, patience=patience or USUAL_PATIENCE, progress=progress, root=root)
    before = look(around)
    progress.step(f"load {weights.name}")
    with _opened(weights, adapter, quiet=before.quiet) as timed:
        sweep = _sweep(around, timed, candidates, workload)
        chosen = best_threads(sweep) if sweep else candidates[0]
        progress.step(f"measure with {counted(chosen)}")
        settled = [_settle(around, timed, phase, workload, chosen) for phase in workload.phases]
        seen = conditions(around, before)
    series = tuple(kept for kept, _ in settled)
    return Measurement(
        date=before.date, weights=measured_weights(weights, adapter=adapter.sha256 if adapter else None),
        runtime=_runtime(weights), conditions=seen,
        workload=workload, threads=chosen, cpus=around.pinned, series=series, sweep=sweep,
        rejected=tuple(one for _, rejected in settled for one in rejected),
        unstable_because=judged(weights.name, series, strict=strict, progress=progress),
    )  # fmt: skip


@contextmanager
def _opened(weights: Weights, adapter: AdapterWeights | None, *, quiet: bool) -> Iterator[Timed]:
    if weights.format is WeightsFormat.ONNX:
        from edgepack.engines.onnxruntime_timing import opened_timed as opened_onnx

        with opened_onnx(weights.path, spinning=quiet) as timed_onnx:
            yield timed_onnx
        return
    from edgepack.engines.llamacpp_timing import opened_timed

    with opened_timed(weights.path, adapter=adapter.path if adapter else None) as timed:
        yield timed


def _runtime(weights: Weights) -> Runtime:
    if weights.format is WeightsFormat.ONNX:
        from edgepack.engines.onnxruntime_library import runtime as runtime_onnx

        return runtime_onnx()
    from edgepack.engines.llamacpp import runtime

    return runtime()


def _sweep(around: Surroundings, timed: Timed, candidates: Sequence[int], workload: Workload) -> tuple[Series, ...]:
    """A quick look at each number of threads; none where there is nothing to choose."""
    if len(candidates) < 2:
        return ()
    around.progress.step(f"try {', '.join(map(str, candidates))} threads")
    return tuple(
        _measure(around, timed, phase, workload.quick, count) for count in candidates for phase in workload.phases
    )


def _settle(
    around: Surroundings, timed: Timed, phase: Phase, workload: Workload, threads: int
) -> tuple[Series, tuple[Series, ...]]:
    def calm(reason: str) -> bool:
        around.progress.step(f"measure again: {reason}")
        return (wait_for_quiet(around) or 0.0) <= BUSY_LIMIT

    return settle(
        lambda: _measure(around, timed, phase, workload, threads), attempts=around.patience.attempts, calm=calm
    )


def _measure(around: Surroundings, timed: Timed, phase: Phase, workload: Workload, threads: int) -> Series:
    label = f"{phase}{workload.tokens(phase)}, {counted(threads)}"
    meter = around.meter()
    with (
        around.progress.bar(label, workload.repeats, "sample") as bar,
        timed.phase(phase, workload=workload, threads=threads, cpus=around.pinned) as once,
    ):
        return repeated(
            once, phase, workload=workload, threads=threads, on_sample=lambda _phase, _sample: bar.advance(1),
            busy=meter.lap,
        )  # fmt: skip
