"""Tuned flags against llama.cpp's defaults: 4 models at 3 quantizations, each tuned, then run in alternation.

    python -m tests.bench.bench_tune --runtime DIR [--models DIR] [--only NAME] [--budget S] [--runs N]

A model is tuned for `--budget` seconds; then flags and defaults take turns, `--runs` times each, in processes of
their own, who goes first changing with each turn. The ratio of a phase is that of the medians. Where the tuner
ended with the defaults both sides are the same command, and the ratio is 1 without running it: what two runs of
one command differ by is noise, which `--noise` shows.
"""

import argparse
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgepack.domain.bundle import RuntimeFlags
from edgepack.domain.device import LocalDevice
from edgepack.domain.flags import bench_arguments
from edgepack.domain.measurement import Phase, Workload
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.domain.tuned import Subject
from edgepack.engines.llamacpp import identify
from edgepack.stages.device_bench import prepared, tuning_subject
from edgepack.stages.tune import tune
from tests.bench.shapes import make_all

FLOOR = 0.98
REQUEST = Workload()


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One model at one quantization: ratios above 1 are gains."""

    name: str
    flags: str
    prefill: float
    decode: float
    request: float

    @property
    def least(self) -> float:
        return min(self.prefill, self.decode, self.request)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", type=Path, required=True, help="the directory of llama or llama-bench")
    parser.add_argument("--models", type=Path, help="where the models lie, or shall")
    parser.add_argument("--only", default="", help="models whose names have this in them")
    parser.add_argument("--budget", type=float, default=75.0, help="seconds for each search")
    parser.add_argument("--runs", type=int, default=7, help="of each side")
    parser.add_argument("--noise", action="store_true", help="run both sides even where they are one command")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        paths = make_all(arguments.models or Path(scratch))
        print(f"{'model':26} {'prompt':>7} {'answer':>7} {'request':>8}  flags", flush=True)
        rows = [row(name, quant, path, arguments) for (name, quant), path in paths.items() if arguments.only in name]
    return report(rows)


def row(name: str, quant: Quant, path: Path, arguments: argparse.Namespace) -> Row:
    weights = identify(path)
    with prepared(LocalDevice(), weights, runtime=arguments.runtime, need=weights.size, progress=Silent()) as bench:
        ready = tuning_subject(bench, weights)
        found = tune(ready, workload=REQUEST, budget=arguments.budget, progress=Silent()).found
        prefill, decode, request = 1.0, 1.0, 1.0
        if found.changed or arguments.noise:
            prefill, decode, request = alternated(ready, found.flags, found.defaults, arguments.runs)
    words = " ".join(bench_arguments(found.flags))
    if found.flags.threads_batch:
        words += f" (prompt: {found.flags.threads_batch})"
    unseen = f" (no time for {', '.join(found.left_out)})" if found.left_out else ""
    made = Row(
        name=f"{name} {quant}", flags=(words if found.changed else "defaults") + unseen, prefill=prefill,
        decode=decode, request=request,
    )  # fmt: skip
    print(f"{made.name:26} {prefill:7.3f} {decode:7.3f} {request:8.3f}  {made.flags}", flush=True)
    return made


def alternated(ready: Subject, flags: RuntimeFlags, defaults: RuntimeFlags, runs: int) -> tuple[float, float, float]:
    """Ratios of the medians: prompt, answer, and the whole request."""
    sizes = sized(ready, defaults)
    seconds: dict[bool, dict[Phase, list[float]]] = {side: {phase: [] for phase in Phase} for side in (True, False)}
    for turn in range(runs):
        for tuned in (True, False) if turn % 2 else (False, True):
            for series in ready.trial(flags if tuned else defaults, sizes):
                seconds[tuned][series.phase].append(1 / series.median)
    medians = {
        side: {phase: statistics.median(found) for phase, found in phases.items()} for side, phases in seconds.items()
    }
    whole = {
        side: sum(REQUEST.tokens(phase) * found for phase, found in phases.items())
        for side, phases in medians.items()
    }
    return (
        medians[False][Phase.PREFILL] / medians[True][Phase.PREFILL],
        medians[False][Phase.DECODE] / medians[True][Phase.DECODE],
        whole[False] / whole[True],
    )


def sized(ready: Subject, defaults: RuntimeFlags) -> Workload:
    """llama-bench's workload, shorter where a sample would take more than a second."""
    rates = {series.phase: series.median for series in ready.trial(defaults, REQUEST.quick)}
    return Workload(
        prompt_tokens=max(64, min(512, int(rates[Phase.PREFILL]))),
        generated_tokens=max(16, min(128, int(rates[Phase.DECODE]))),
        repeats=3,
    )


def report(rows: list[Row]) -> int:
    """1 where any ratio is below the floor."""
    requests = [one.request for one in rows]
    least = min(one.least for one in rows)
    print(
        f"\nrequest: median {statistics.median(requests):.3f}, best {max(requests):.3f}; "
        f"the least of all ratios is {least:.3f}, target {FLOOR} or more: {'met' if least >= FLOOR else 'MISSED'}"
    )
    return int(least < FLOOR)


if __name__ == "__main__":
    sys.exit(main())
