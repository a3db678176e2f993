"""A runtime's llama-bench against edgepack's own loop over the bindings: the same GGUF and threads, in turns.

    python -m tests.bench.bench_runtime --runtime DIR [--weights GGUF] [--threads N] [--rounds N]

DIR holds llama or llama-bench as a bundle for this machine has it (`edgepack runtime --profile host --out DIR`). It
is started as `edgepack bench --runtime DIR` starts it; both sides leave threads unpinned. On a quiet machine the
medians are within 3 % of each other.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from edgepack.domain.bundle import RuntimeFlags
from edgepack.domain.llama_bench import bench_words, parse_bench
from edgepack.domain.measurement import Phase, Workload
from edgepack.engines.llamacpp import measure, runtime
from edgepack.stages.device_bench import find_bench
from tests.bench.workloads import USUAL, speed_options, weights_like

TARGET = (0.97, 1.03)


def main() -> int:
    arguments = parse()
    workload = Workload(
        prompt_tokens=arguments.p, generated_tokens=arguments.n, repeats=arguments.r, least_seconds=0.0
    )
    if arguments.child:
        found = measure(arguments.weights, workload=workload, threads=arguments.threads)
        print(json.dumps({series.name: series.median for series in found}))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.weights is None:
            arguments.weights = weights_like(USUAL, Path(scratch))
        print(f"bindings: {runtime().build}; {arguments.threads} threads, {arguments.rounds} rounds", flush=True)
        return report([one_round(arguments, workload, number) for number in range(arguments.rounds)])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", type=Path, required=True, help="a directory with llama or llama-bench")
    speed_options(parser)
    return parser.parse_args()


def one_round(arguments: argparse.Namespace, workload: Workload, number: int) -> dict[str, float]:
    """The ratio of theirs to ours by test; who goes first alternates."""
    if number % 2:
        theirs = of_runtime(arguments, workload)
        ours = of_bindings(arguments)
    else:
        ours = of_bindings(arguments)
        theirs = of_runtime(arguments, workload)
    ratios = {name: theirs[name] / ours[name] for name in ours}
    for name, ratio in ratios.items():
        print(
            f"round {number + 1}: {name}: runtime {theirs[name]:.2f}, bindings {ours[name]:.2f}: {ratio:.3f}",
            flush=True,
        )
    return ratios


def of_bindings(arguments: argparse.Namespace) -> dict[str, float]:
    words = [sys.executable, "-m", "tests.bench.bench_runtime", "--child", "--runtime", str(arguments.runtime)]
    words += ["--weights", str(arguments.weights), "--threads", str(arguments.threads)]
    words += ["-p", str(arguments.p), "-n", str(arguments.n), "-r", str(arguments.r)]
    rates: dict[str, float] = json.loads(output(words))
    return rates


def of_runtime(arguments: argparse.Namespace, workload: Workload) -> dict[str, float]:
    program, verb = find_bench(arguments.runtime)
    flags = RuntimeFlags(context=max(arguments.p, arguments.n), threads=arguments.threads)
    found = [
        parse_bench(output([str(program), *verb, *bench_words(str(arguments.weights), phase, workload, flags)]))
        for phase in (Phase.PREFILL, Phase.DECODE)
    ]
    return {one.series[0].name: one.series[0].median for one in found}


def output(words: list[str]) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def report(rounds: list[dict[str, float]]) -> int:
    medians = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    for name, median in medians.items():
        print(f"{name}: runtime / bindings, median of {len(rounds)} rounds: {median:.3f}")
    return 0 if all(TARGET[0] <= median <= TARGET[1] for median in medians.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
