"""llama-bench's command line, and its output as types; it knows neither where it runs nor how it is started."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from edgepack.domain.bundle import RuntimeFlags
from edgepack.domain.errors import DeviceError
from edgepack.domain.flags import bench_arguments
from edgepack.domain.measurement import Phase, Sample, Series, Workload

NAME = "llama-bench"

Kind = TypeVar("Kind")


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchOutput:
    """What one call of llama-bench found."""

    series: tuple[Series, ...]
    build: str
    """llama.cpp's build number and commit."""
    cpu: str
    """The processor's name as llama.cpp reads it; "" where it says none."""
    backends: str


def bench_words(model: str, phase: Phase, workload: Workload, flags: RuntimeFlags) -> tuple[str, ...]:
    """Arguments for one phase; batches are the flags', not the workload's."""
    tokens = {one: str(workload.tokens(one)) if one is phase else "0" for one in Phase}
    warm_up = () if workload.warm_up else ("--no-warmup",)
    return (
        "-m", model, "-p", tokens[Phase.PREFILL], "-n", tokens[Phase.DECODE], "-r", str(workload.repeats), *warm_up,
        "-o", "jsonl", *bench_arguments(flags, phase),
    )  # fmt: skip


def parse_bench(text: str, *, busy: float | None = None) -> BenchOutput:
    """What `-o jsonl` printed; `busy` is what others did meanwhile, for every sample alike.

    Lines that are no objects are passed over: some builds log to stdout. Raises DeviceError for anything else
    that is not llama-bench's, and where there is no result.
    """
    rows = [_row(line) for line in text.splitlines() if line.startswith("{")]
    if not rows:
        raise _unreadable("no result")
    return BenchOutput(
        series=tuple(_series(row, busy) for row in rows),
        build=f"build {_field(rows[0], 'build_number', int)} ({_field(rows[0], 'build_commit', str)})",
        cpu=_field(rows[0], "cpu_info", str),
        backends=_field(rows[0], "backends", str),
    )


def _row(line: str) -> Mapping[str, object]:
    try:
        row: object = json.loads(line)
    except ValueError as error:
        raise _unreadable(f"no JSON: {line[:80]!r}") from error
    assert isinstance(row, dict), "it begins with a brace"
    return row


def _series(row: Mapping[str, object], busy: float | None) -> Series:
    prompt, generated = _field(row, "n_prompt", int), _field(row, "n_gen", int)
    if (prompt > 0) == (generated > 0):
        raise _unreadable(f"n_prompt {prompt} and n_gen {generated} are not one phase")
    samples = _field(row, "samples_ns", list)
    if not samples or not all(type(sample) is int and sample > 0 for sample in samples):
        raise _unreadable(f"samples_ns {samples!r}"[:100])
    return Series(
        phase=Phase.PREFILL if prompt else Phase.DECODE, tokens=prompt or generated,
        threads=_field(row, "n_threads", int),
        samples=tuple(Sample(seconds=sample / 1e9, busy=busy) for sample in samples),
    )  # fmt: skip


def _field(row: Mapping[str, object], name: str, kind: type[Kind]) -> Kind:
    value = row.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _unreadable(f"{name}: expected {kind.__name__}, got {value!r}"[:100])
    return value


def _unreadable(what: str) -> DeviceError:
    return DeviceError(
        f"{NAME}'s output: {what}", hint="use a runtime of the pinned llama.cpp, or see what it prints with -o jsonl"
    )
