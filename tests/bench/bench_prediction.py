"""Predicted from a probed profile, then measured: six pairs of model and quantization that the probe did not see.

    edgepack profile probe --out host.toml
    python -m tests.bench.bench_prediction host.toml [--threads N] [--rounds N] [MODEL:QUANT …]

Weights are synthetic; each round measures every pair once with llama-bench's loop, and the medians count.
"""

import argparse
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from edgepack.domain.measurement import Phase, Workload
from edgepack.domain.memory import Need, buffers
from edgepack.domain.quant import Quant
from edgepack.domain.speed import DeviceSpeed, predicted
from edgepack.engines.llamacpp import measure
from edgepack.infra.library import load_sizes, read_profile
from edgepack.stages.pick import device_speed
from tests.bench.workloads import weights_like

TARGET = 0.07
PAIRS = (
    "smollm2-360m-instruct:Q8_0",
    "h2o-danube3-500m-chat:Q4_K_M",
    "gemma-3-1b-it:Q4_0",
    "llama-3.2-1b-instruct:Q6_K",
    "lfm2-1.2b:Q4_0",
    "qwen2.5-1.5b-instruct:Q5_K_M",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("profile", type=Path, help="what `edgepack profile probe --out` wrote")
    parser.add_argument("--threads", type=int, help="default: those of the profile's calibrations")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("pairs", nargs="*", metavar="MODEL:QUANT", default=PAIRS)
    options = parser.parse_args()
    profile = read_profile(options.profile)
    speed = device_speed(profile)
    assert speed, "a probed profile has calibrations"
    threads = options.threads or profile.calibrations[0].threads
    seen = {f"{row.model}:{row.quant}" for row in profile.calibrations}
    if again := seen & set(options.pairs):
        raise SystemExit(f"the probe has seen {', '.join(sorted(again))}")
    plans = {pair: plan(pair, speed) for pair in options.pairs}
    with TemporaryDirectory() as scratch:
        paths = {pair: weights_like(pair, Path(scratch)) for pair in options.pairs}
        rounds = [{pair: rates(path, threads) for pair, path in paths.items()} for _ in range(options.rounds)]
    return report(plans, rounds, threads)


WORKLOAD = Workload(prompt_tokens=512, generated_tokens=128, repeats=3)


def plan(pair: str, speed: DeviceSpeed) -> dict[Phase, float]:
    """Tokens/s as `pick` plans them, for llama-bench's tests."""
    name, quant = pair.split(":")
    sizes = load_sizes()[name]
    kept = buffers(sizes.memory, Need(context=WORKLOAD.generated_tokens // 2)).kv_cache
    found = predicted(sizes.quants[Quant(quant)].work, speed, prompt=WORKLOAD.prompt_tokens, kv_read=kept)
    return {Phase.PREFILL: found.prefill, Phase.DECODE: found.decode}


def rates(weights: Path, threads: int) -> dict[Phase, float]:
    return {series.phase: series.median for series in measure(weights, workload=WORKLOAD, threads=threads)}


def report(plans: dict[str, dict[Phase, float]], rounds: list[dict[str, dict[Phase, float]]], threads: int) -> int:
    """1 where the median error of decoding is over the target."""
    errors: dict[Phase, list[float]] = {Phase.PREFILL: [], Phase.DECODE: []}
    print(f"{'':32} {'':8} {'predicted':>9} {'measured':>9} {'error':>7}  tokens/s, {threads} threads")
    for pair, found in plans.items():
        for phase, guess in found.items():
            seen = statistics.median(one[pair][phase] for one in rounds)
            errors[phase].append(guess / seen - 1)
            print(f"{pair:32} {phase:8} {guess:9.1f} {seen:9.1f} {errors[phase][-1]:+7.1%}")
    medians = {phase: statistics.median(map(abs, found)) for phase, found in errors.items()}
    for phase, median in medians.items():
        print(f"median error, {phase}: {median:.1%}")
    return int(medians[Phase.DECODE] > TARGET)


if __name__ == "__main__":
    sys.exit(main())
