"""The kernels against ggml's own functions: one core, the same weights, in turn.

    python -m tests.bench.bench_kernels [--rounds 5] [--weights 1e6] [--types Q4_K,IQ4_NL] [--weighed]

Normally distributed weights, 2,048 a row; each round times both, the ratio is the median of the rounds' own ratios.
Times are CPU seconds of this thread, on one core. The results must be the same.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edgepack.convert.ggml import load_ggml
from edgepack.domain.quant import TensorType
from edgepack.kernels.library import MADE, runnable
from tests.kernels.kernel_cases import opened

COLUMNS = 2048


def seconds(call: Callable[[], object]) -> float:
    began = time.thread_time()
    call()
    return time.thread_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--weights", type=float, default=1e6)
    parser.add_argument("--types", default=",".join(type.name for type in sorted(MADE)))
    parser.add_argument("--weighed", action="store_true", help="with an importance matrix")
    asked = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rows, random = int(asked.weights) // COLUMNS, np.random.default_rng(1)
    weights = random.standard_normal(rows * COLUMNS, np.float32) * np.float32(0.02)
    importance = random.lognormal(0, 1, COLUMNS).astype(np.float32) if asked.weighed else None
    ggml = load_ggml()
    with TemporaryDirectory() as scratch:
        variants = [opened(variant, Path(scratch)) for variant in runnable()]
        print("million weights a second on one core, and how many times ggml's" + " (weighed)" * asked.weighed)
        for type in (TensorType[name] for name in asked.types.split(",")):
            ggml.prepare(type)
            blocks = [np.zeros(rows * type.row_bytes(COLUMNS), np.uint8) for _ in range(2)]

            def once(by: object, target: int, type: TensorType = type, blocks: list[np.ndarray] = blocks) -> None:
                by.quantize(type, weights, blocks[target], rows, importance)  # type: ignore[attr-defined]

            told = [f"{type.name:7}"]
            for kernels in variants:
                ours, theirs = [], []
                for _ in range(asked.rounds):
                    ours.append(seconds(lambda kernels=kernels: once(kernels, 0)))  # type: ignore[misc]
                    theirs.append(seconds(lambda: once(ggml, 1)))
                assert np.array_equal(*blocks), f"{type.name}: {kernels.variant} differs"
                if len(told) == 1:
                    told.append(f"ggml {weights.size / statistics.median(theirs) / 1e6:6.1f}")
                ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
                told.append(f"{kernels.variant} {weights.size / statistics.median(ours) / 1e6:7.1f} = {ratio:5.1f}x")
            print("   ".join(told), flush=True)


if __name__ == "__main__":
    main()
