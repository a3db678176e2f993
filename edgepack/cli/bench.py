"""`edgepack bench`: reads the words, calls the stage, shows the measurement."""

from pathlib import Path

import click

from edgepack.cli.engines import BenchEngine, measured_onnx, refuse_elsewhere, show_both
from edgepack.cli.options import output_of, output_options
from edgepack.cli.output import Output
from edgepack.cli.records import identified_gguf, refuse_unwritable, write_record
from edgepack.cli.runtimes import runtime_for
from edgepack.cli.tables import aligned
from edgepack.domain.device import LocalDevice, parse_device
from edgepack.domain.errors import UsageError
from edgepack.domain.measurement import Measurement, Series, Sustained, Workload
from edgepack.domain.measurement_json import measurement_json
from edgepack.domain.weights import Weights
from edgepack.infra.library import load_profile

_MOST_THREADS = 512  # ggml.h: GGML_MAX_N_THREADS


def _thread_counts(context: click.Context, parameter: click.Parameter, words: str | None) -> tuple[int, ...] | None:
    """Numbers of threads with commas between, each once."""
    if words is None:
        return None
    parts = words.split(",")
    if not all(part.isdecimal() and 0 < int(part) <= _MOST_THREADS for part in parts):
        raise click.BadParameter(
            f"{words!r}: expected numbers from 1 to {_MOST_THREADS} with commas between, as in 1,2,4",
            ctx=context, param=parameter,
        )  # fmt: skip
    return tuple(dict.fromkeys(int(part) for part in parts))


@click.command(name="bench")
@click.argument("weights", type=click.Path(path_type=Path), required=False)
@click.option("--synthetic", metavar="M:Q", help="Made-up weights of model M at Q in place of WEIGHTS: no download.")
@click.option(
    "--threads",
    metavar="N[,N…]",
    callback=_thread_counts,
    help="Take the best of these.  [default: 1 to all big cores]",
)
@click.option(
    "-p", "--prompt-tokens", type=click.IntRange(0, 1_000_000), default=512, show_default=True, help="0: no prefill."
)
@click.option(
    "-n", "--generate-tokens", type=click.IntRange(0, 1_000_000), default=128, show_default=True, help="0: no decode."
)
@click.option("-r", "--repeats", type=click.IntRange(1), default=5, show_default=True, help="Samples of each.")
@click.option("--strict", is_flag=True, help="Exit with 6 rather than record an unstable measurement.")
@click.option("--device", default="local", show_default=True, help="Where to run: local, ssh://HOST, adb://SERIAL.")
@click.option("--profile", metavar="P", help="What the device should be; says where it differs.")
@click.option(
    "--runtime", type=click.Path(path_type=Path), help="Directory with llama or llama-bench for the device."
)
@click.option(
    "--sustained",
    metavar="[MINUTES]",
    is_flag=False,
    flag_value="10",
    type=click.FloatRange(0, 24 * 60, min_open=True),
    help="Decode on for so long, and tell what is left of the speed.  [10 without a number]",
)
@click.option(
    "--engine", type=click.Choice([engine.value for engine in BenchEngine]), default=BenchEngine.LLAMA_CPP.value,
    show_default=True, help="onnx: the same blocks under onnxruntime; both: in turn, and who is kept.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="Write the measurement, every sample in it, as JSON.")
@output_options
@click.pass_context
def command(
    context: click.Context,
    weights: Path | None,
    synthetic: str | None,
    threads: tuple[int, ...] | None,
    prompt_tokens: int,
    generate_tokens: int,
    repeats: int,
    strict: bool,
    device: str,
    profile: str | None,
    runtime: Path | None,
    sustained: float | None,
    engine: str,
    out: Path | None,
) -> None:
    """Measure tokens/s of the GGUF WEIGHTS, with llama-bench's loop and defaults; or of a model's like.

    It waits a while for a quiet machine, tries numbers of threads, pins them to the big cores, and measures
    again when other programs or a wide spread of samples spoil a series. On another device, and with
    --runtime, --profile or --sustained, llama-bench itself does it. --engine both says whether onnxruntime,
    with the same blocks, is quicker here by a tenth or more.
    """
    _check(prompt_tokens, generate_tokens, out)
    where = parse_device(device)
    output = output_of(context)
    chosen, simple = BenchEngine(engine), runtime is None and profile is None and sustained is None
    refuse_elsewhere(chosen, here=simple and isinstance(where, LocalDevice), threads=threads)
    wanted = _identified(weights, synthetic, output)
    workload = Workload(prompt_tokens=prompt_tokens, generated_tokens=generate_tokens, repeats=repeats)
    if chosen is BenchEngine.BOTH:
        show_both(wanted, synthetic or str(weights), workload, threads, strict, out, output)
        return
    expected = load_profile(profile) if profile else None
    if chosen is BenchEngine.ONNX:
        measurement = measured_onnx(wanted, workload, threads, strict, output)
    elif simple and isinstance(where, LocalDevice):
        from edgepack.stages.bench import bench

        measurement = bench(wanted, threads=threads, progress=output, strict=strict, workload=workload)
    else:
        from edgepack.stages.device_bench import bench_device

        measurement = bench_device(
            where, wanted, runtime=runtime_for(where, runtime, expected, output), workload=workload,
            threads=threads, progress=output, expected=expected, sustained=sustained or 0.0, strict=strict,
        )  # fmt: skip
    record = measurement_json(measurement)
    if out:
        write_record(out, record)
    output.result(
        "bench", {"weights": synthetic or str(weights), "out": out and str(out), "measurement": record},
        lambda: shown(measurement, out),
    )  # fmt: skip


def _identified(weights: Path | None, wanted: str | None, output: Output) -> Weights:
    """The file, hashed, or weights that are made up now unless the store has them."""
    if weights is not None and wanted is None:
        return identified_gguf(weights, output)
    if wanted is None or weights is not None:
        raise UsageError(
            "bench: expected WEIGHTS or --synthetic, one of the two", hint="give a .gguf, or --synthetic MODEL:QUANT"
        )
    from edgepack.infra.pins import llama_cpp_pin
    from edgepack.infra.store import Store, home
    from edgepack.stages.synthetic import synthetic

    return synthetic(wanted, llama_cpp=llama_cpp_pin().version, store=Store(home()), progress=output)


def _check(prompt_tokens: int, generate_tokens: int, out: Path | None) -> None:
    if not prompt_tokens and not generate_tokens:
        raise UsageError("-p 0 -n 0: nothing to measure", hint="leave out one of the two")
    refuse_unwritable(out)


def shown(measurement: Measurement, out: Path | None = None) -> str:
    """A measurement for people: a line a test, then what it was taken on."""
    weights = measurement.weights
    name = f"{weights.name} (synthetic)" if weights.synthetic else weights.name
    lines = [
        f"{name}, {weights.quant or 'unknown quantization'}, {weights.parameters / 1e6:,.1f} M parameters, "
        f"{weights.size / 1e6:,.1f} MB: measured, {'stable' if measurement.stable else 'UNSTABLE'}",
        *(f"  unstable: {reason}" for reason in measurement.unstable_because),
        "",
        aligned(
            ("test", "threads", "tokens/s", "spread", "samples"),
            [_row(series) for series in measurement.series],
            right=frozenset({1, 2, 3, 4}),
        ),
        *_lasting(measurement.sustained),
        "",
        *_surroundings(measurement),
    ]
    if out:
        lines += ["", f"written to {out}"]
    return "\n".join(lines)


def _row(series: Series) -> tuple[str, ...]:
    return (
        series.name, str(series.threads), f"{series.median:,.2f}", f"± {series.spread / 2:.1%}",
        str(len(series.samples)),
    )  # fmt: skip


def _lasting(sustained: Sustained | None) -> list[str]:
    if sustained is None:
        return []
    return [
        "",
        f"sustained {sustained.samples[-1].at / 60:.1f} min: {sustained.first:,.2f} tokens/s in the first minute, "
        f"{sustained.last:,.2f} in the last third ({sustained.ratio:.0%})",
    ]


def _surroundings(measurement: Measurement) -> list[str]:
    seen, runtime = measurement.conditions, measurement.runtime
    cpus = "not pinned" if measurement.cpus is None else f"on CPUs {', '.join(map(str, measurement.cpus))}"
    facts = [
        ("machine", f"{seen.machine}; {seen.cpu}; {seen.system}"),
        ("threads", f"{measurement.threads}, {cpus}{_swept(measurement.sweep)}"),
        ("others", None if seen.busy_before is None else f"{seen.busy_before:.0%} of a core before"),
        ("clocks", _clocks(measurement)),
        ("heat", _heat(seen.celsius_before, seen.celsius_after)),
        ("memory", f"{seen.peak_rss / 1e6:,.0f} MB at the most" if seen.peak_rss else None),
        ("runtime", f"{runtime.name} {runtime.version}, {runtime.build}"),
        ("date", measurement.date.isoformat()),
    ]
    return [f"  {name.ljust(8)} {text}" for name, text in facts if text]


def _swept(sweep: tuple[Series, ...]) -> str:
    """What each number of threads gave in the quick look."""
    if not sweep:
        return ""
    counts = dict.fromkeys(series.threads for series in sweep)
    looks = (
        f"{count}: " + " / ".join(f"{series.median:,.1f}" for series in sweep if series.threads == count)
        for count in counts
    )
    return f" (tried {', '.join(looks)} tokens/s)"


def _clocks(measurement: Measurement) -> str | None:
    seen = measurement.conditions
    parts = [
        f"governor {seen.governor}" if seen.governor else None,
        f"{seen.mhz_after:,.0f} of {seen.mhz_limit:,.0f} MHz after" if seen.mhz_after and seen.mhz_limit else None,
        None if seen.throttled is None else "throttled" if seen.throttled else "not throttled",
    ]
    return ", ".join(part for part in parts if part) or None


def _heat(before: float | None, after: float | None) -> str | None:
    if before is None or after is None:
        return None
    return f"{before:.0f} °C before, {after:.0f} °C after"
