"""`bench --engine`: which engine measures, and what is shown where both did."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.cli.records import write_record
from edgepack.cli.tables import aligned
from edgepack.domain.engine import Engine
from edgepack.domain.engine_choice import EngineChoice, seconds
from edgepack.domain.errors import UsageError
from edgepack.domain.measurement import Measurement, Workload
from edgepack.domain.measurement_json import measurement_json

if TYPE_CHECKING:
    from edgepack.cli.output import Output
    from edgepack.domain.weights import Weights


class BenchEngine(StrEnum):
    """What --engine takes."""

    LLAMA_CPP = Engine.LLAMA_CPP.value
    ONNX = Engine.ONNX.value
    BOTH = "both"
    """In alternation."""


def refuse_elsewhere(engine: BenchEngine, *, here: bool, threads: tuple[int, ...] | None) -> None:
    """Raise UsageError for onnxruntime on a device, and for several numbers of threads that both would have."""
    if engine is not BenchEngine.LLAMA_CPP and not here:
        raise UsageError(
            f"--engine {engine}: not with --device, --runtime, --profile or --sustained",
            hint="onnxruntime is measured on this machine: run it there",
        )
    if engine is BenchEngine.BOTH and threads and len(threads) > 1:
        raise UsageError("--engine both: one number of --threads", hint="both engines are measured with the same")


def measured_onnx(
    weights: "Weights", workload: Workload, threads: tuple[int, ...] | None, strict: bool, output: "Output"
) -> Measurement:
    """The GGUF's decoder in ONNX alone."""
    from edgepack.pipeline.engines import bench_onnx

    return bench_onnx(weights, workload=workload, threads=threads, strict=strict, progress=output)


def show_both(
    weights: "Weights", name: str, workload: Workload, threads: tuple[int, ...] | None, strict: bool,
    out: Path | None, output: "Output",
) -> None:  # fmt: skip
    """Measure with both, and show both and who is kept; what is written is of that one."""
    from edgepack.pipeline.engines import bench_both

    choice = bench_both(
        weights, workload=workload, threads=threads[0] if threads else None, strict=strict, progress=output
    )
    record = measurement_json(choice.measurement)
    if out:
        write_record(out, record)
    data = {
        "weights": name, "out": out and str(out), "measurement": record,
        "engines": {engine.value: measurement_json(one) for engine, one in choice.measured.items()},
        "cosine": choice.cosine, "kept": choice.kept.value, "because": choice.because,
    }  # fmt: skip
    output.result("bench", data, lambda: _shown(choice, out))


def _shown(choice: EngineChoice, out: Path | None) -> str:
    first = choice.measurement
    names = [series.name for series in first.series]
    rows = [_row(engine, one) for engine, one in choice.measured.items()]
    lines = [
        f"{first.weights.name}, {first.weights.quant or 'unknown quantization'}, "
        f"{first.weights.parameters / 1e6:,.1f} M parameters: both engines in turn, {first.threads} threads",
        "",
        aligned(
            ("engine", *(f"{name} tokens/s" for name in names), "workload", "memory", "file", ""), rows,
            right=frozenset(range(1, len(names) + 4)),
        ),
        "",
        f"logits: cosine {choice.cosine:.5f}",
        f"kept: {choice.kept}; {choice.because}",
    ]  # fmt: skip
    return "\n".join([*lines, *([f"written to {out}"] if out else [])])


def _row(engine: Engine, one: Measurement) -> tuple[str, ...]:
    peak = one.conditions.peak_rss
    return (
        engine.value, *(f"{series.median:,.2f}" for series in one.series), f"{seconds(one):,.2f} s",
        f"{peak / 1e6:,.0f} MB" if peak else "", f"{one.weights.size / 1e6:,.0f} MB",
        "stable" if one.stable else "UNSTABLE",
    )  # fmt: skip
