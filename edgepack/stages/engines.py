"""One decoder under both engines, in alternation: the same prompt, tokens, threads and CPUs, sample by sample."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random
from time import process_time, sleep

from edgepack.domain.engine import Engine
from edgepack.domain.measurement import (
    Conditions,
    Measurement,
    Phase,
    Sample,
    Series,
    Workload,
    measured_weights,
)
from edgepack.domain.progress import Progress
from edgepack.domain.settling import Patience, counted, judged
from edgepack.domain.weights import Weights
from edgepack.engines import llamacpp_timing, onnxruntime_timing
from edgepack.engines.agreeing import agreements
from edgepack.engines.llamacpp import runtime as llamacpp_runtime
from edgepack.engines.onnxruntime_library import runtime as onnxruntime_runtime
from edgepack.engines.timed import Once, Timed
from edgepack.infra.load import ROOT, peak_memory, reset_peak_memory
from edgepack.infra.machine import big_cpus
from edgepack.infra.surroundings import Surroundings, conditions, look, surroundings

_RUNTIMES = {Engine.LLAMA_CPP: llamacpp_runtime, Engine.ONNX: onnxruntime_runtime}
USUAL_PATIENCE = Patience()
_STEPS, _FEW_TOKENS = 16, 256
"""Steps, and tokens that every vocabulary has."""
_LOOK, _LOOKS = 0.005, 200
"""Seconds, and how often at the most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Run:
    """One comparison."""

    weights: Mapping[Engine, Weights]
    workload: Workload
    threads: int
    around: Surroundings
    quiet: bool
    """Whether nobody else works on the machine."""


def bench_engines(
    weights: Mapping[Engine, Weights],
    *,
    workload: Workload,
    threads: int | None,
    progress: Progress,
    patience: Patience | None = None,
    strict: bool = False,
    root: Path = ROOT,
) -> dict[Engine, Measurement]:
    """Measure each engine's file, with all big cores if `threads` says nothing.

    Memory is of each engine alone, before both are open. Raises what opening either raises, and with `strict`
    DeviceError for a series that is not stable.
    """
    count = threads or len(big_cpus(root))
    around = surroundings([count], patience=patience or USUAL_PATIENCE, progress=progress, root=root)
    before = look(around)
    run = _Run(weights=weights, workload=workload, threads=count, around=around, quiet=before.quiet)
    peaks = {engine: _peak(run, engine) for engine in weights}
    progress.step(f"measure both engines in turn, with {counted(count)}")
    phases = [_in_turn(run, phase) for phase in workload.phases]
    return {
        engine: _measurement(
            run, engine, tuple(found[engine] for found in phases), conditions(around, before, peak=peaks[engine]),
            before.date, strict,
        )
        for engine in weights
    }  # fmt: skip


def same_logits(weights: Mapping[Engine, Weights], *, threads: int | None, progress: Progress) -> float:
    """The mean cosine of both engines' logits over some steps behind seeded tokens."""
    progress.step("compare what both expect")
    random = Random(1)
    steps = [(random.randrange(_FEW_TOKENS),) for _ in range(_STEPS)]
    gguf, decoder = weights[Engine.LLAMA_CPP].path, weights[Engine.ONNX].path
    (found,) = agreements(decoder, [gguf], steps, threads=threads or len(big_cpus(ROOT)))
    return found.cosine


def _peak(run: _Run, engine: Engine) -> int:
    """Bytes of this process while no other engine has the weights."""
    run.around.progress.step(f"load {run.weights[engine].name} with {engine}")
    reset_peak_memory()
    with _opened(run, engine) as timed:
        for phase in run.workload.phases:
            with _ready(run, timed, phase) as once:
                once()
    return peak_memory()


def _in_turn(run: _Run, phase: Phase) -> dict[Engine, Series]:
    """A sample of each, and then each the other way about: neither always comes second."""
    samples: dict[Engine, list[Sample]] = {engine: [] for engine in run.weights}
    meter, progress = run.around.meter(), run.around.progress
    label = f"{phase}{run.workload.tokens(phase)}, {counted(run.threads)}"
    with ExitStack() as stack:
        bar = stack.enter_context(progress.bar(label, run.workload.repeats, "round"))
        ready = {engine: _opened_and_ready(run, engine, phase, stack) for engine in run.weights}
        order = list(ready)
        meter.lap()
        while not all(_enough(run.workload, found) for found in samples.values()):
            for engine in order:
                _fall_asleep()
                samples[engine].append(Sample(seconds=ready[engine](), busy=meter.lap()))
            order.reverse()
            bar.advance(1)
    return {
        engine: Series(
            phase=phase, tokens=run.workload.tokens(phase), threads=run.threads, samples=tuple(found)
        )
        for engine, found in samples.items()
    }  # fmt: skip


def _fall_asleep() -> None:
    """Return once the other engine's threads, which spin for a while when their work is done, do no more."""
    for _ in range(_LOOKS):
        before = process_time()
        sleep(_LOOK)
        if process_time() - before < _LOOK / 4:
            return


def _enough(workload: Workload, samples: list[Sample]) -> bool:
    return workload.enough([sample.seconds for sample in samples])


def _opened_and_ready(run: _Run, engine: Engine, phase: Phase, stack: ExitStack) -> Once:
    return stack.enter_context(_ready(run, stack.enter_context(_opened(run, engine)), phase))


def _ready(run: _Run, timed: Timed, phase: Phase) -> AbstractContextManager[Once]:
    return timed.phase(phase, workload=run.workload, threads=run.threads, cpus=run.around.pinned)


def _opened(run: _Run, engine: Engine) -> AbstractContextManager[Timed]:
    path = run.weights[engine].path
    match engine:
        case Engine.LLAMA_CPP:
            return llamacpp_timing.opened_timed(path)
        case Engine.ONNX:
            return onnxruntime_timing.opened_timed(path, spinning=run.quiet)


def _measurement(
    run: _Run, engine: Engine, series: tuple[Series, ...], seen: Conditions, date: datetime, strict: bool
) -> Measurement:
    weights = run.weights[engine]
    return Measurement(
        date=date, weights=measured_weights(weights), runtime=_RUNTIMES[engine](), conditions=seen,
        workload=run.workload, threads=run.threads, cpus=run.around.pinned, series=series, sweep=(), rejected=(),
        unstable_because=judged(
            f"{weights.name} with {engine}", series, strict=strict, progress=run.around.progress
        ),
    )  # fmt: skip
