"""edgepack's tokens/s against llama-bench's: the same GGUF and threads, in turns, each in a process of its own.

    python -m tests.bench.bench_speed --llama-bench PATH [--weights GGUF] [--threads N] [--rounds N]

Without `--weights`, synthetic ones of Qwen2.5-0.5B's shape are made: speed does not depend on the values. Both sides
should be built from the same source with the same flags; both leave threads unpinned.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgepack.domain.measurement import Workload
from edgepack.engines.llamacpp import measure, runtime
from tests.bench.workloads import USUAL, speed_options, weights_like

TARGET = (0.97, 1.03)


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """Median tokens/s by test of one run of each side."""

    edgepack: dict[str, float]
    llama_bench: dict[str, float]


def main() -> int:
    arguments = parse()
    if arguments.child:
        print(json.dumps(edgepack_rates(arguments)))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.weights is None:
            arguments.weights = weights_like(USUAL, Path(scratch))
        print(f"edgepack runs {runtime().build}; {arguments.threads} threads, {arguments.rounds} rounds", flush=True)
        rounds = [one_round(arguments, number) for number in range(arguments.rounds)]
    return report(rounds)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama-bench", type=Path, required=True, help="the program")
    speed_options(parser)
    return parser.parse_args()


def one_round(arguments: argparse.Namespace, number: int) -> Round:
    """Both sides once; who goes first alternates."""
    words = ["-p", str(arguments.p), "-n", str(arguments.n), "-r", str(arguments.r)]
    child = [
        sys.executable, "-m", "tests.bench.bench_speed", "--child", "--llama-bench", str(arguments.llama_bench),
        "--weights", str(arguments.weights), "--threads", str(arguments.threads), *words,
    ]  # fmt: skip
    theirs = [
        str(arguments.llama_bench), "-m", str(arguments.weights), "-t", str(arguments.threads), "-o", "json", *words,
    ]  # fmt: skip
    if number % 2:
        found = llama_bench_rates(output(theirs))
        mine = json.loads(output(child))
    else:
        mine = json.loads(output(child))
        found = llama_bench_rates(output(theirs))
    print(f"round {number + 1}: edgepack {shown(mine)}; llama-bench {shown(found)}", flush=True)
    return Round(edgepack=mine, llama_bench=found)


def output(words: list[str]) -> str:
    """What a program prints; both programs load the very same libraries, those of the bindings."""
    libraries = str(Path(importlib.util.find_spec("llama_cpp").origin).parent / "lib")
    environment = {**os.environ, "LD_LIBRARY_PATH": libraries}
    return subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout


def edgepack_rates(arguments: argparse.Namespace) -> dict[str, float]:
    workload = Workload(
        prompt_tokens=arguments.p, generated_tokens=arguments.n, repeats=arguments.r, least_seconds=0.0
    )
    found = measure(arguments.weights, workload=workload, threads=arguments.threads)
    return {series.name: series.median for series in found}


def llama_bench_rates(text: str) -> dict[str, float]:
    return {
        f"pp{test['n_prompt']}" if test["n_prompt"] else f"tg{test['n_gen']}": statistics.median(test["samples_ts"])
        for test in json.loads(text)
    }


def report(rounds: list[Round]) -> int:
    """A line a test; 1 when a pairwise ratio leaves the target."""
    print(f"\n{'test':8} {'edgepack':>10} {'llama-bench':>12} {'of medians':>11} {'pairwise':>9}  target 0.97-1.03")
    missed = False
    for test in rounds[0].edgepack:
        mine = [one.edgepack[test] for one in rounds]
        theirs = [one.llama_bench[test] for one in rounds]
        pairwise = statistics.median(own / other for own, other in zip(mine, theirs, strict=True))
        ratio = statistics.median(mine) / statistics.median(theirs)
        inside = TARGET[0] <= pairwise <= TARGET[1]
        missed |= not inside
        print(
            f"{test:8} {statistics.median(mine):10.2f} {statistics.median(theirs):12.2f} {ratio:11.3f} "
            f"{pairwise:9.3f}  {'met' if inside else 'MISSED'}"
        )
    return int(missed)


def shown(rates: dict[str, float]) -> str:
    return ", ".join(f"{test} {rate:.2f}" for test, rate in rates.items())


if __name__ == "__main__":
    sys.exit(main())
