"""Both engines on the same decoders, sample by sample in turn: tokens/s, memory, and who would be kept.

    python -m tests.bench.bench_decoders [--models M,M] [--quants Q,Q] [--threads N] [-p P] [-n N] [-r R]

Weights are made up, of published models' shapes; with --weights a GGUF of one's own is taken. Times mean something on
a quiet machine only.
"""

import argparse
import os
import tempfile
from pathlib import Path

from edgepack.domain.engine import Engine
from edgepack.domain.engine_choice import choose_engine
from edgepack.domain.measurement import Workload
from edgepack.domain.progress import Silent
from edgepack.domain.settling import Patience
from edgepack.domain.weights import Weights
from edgepack.engines.llamacpp import identify
from edgepack.infra.store import Store
from edgepack.stages.decoder import decoder_of
from edgepack.stages.engines import bench_engines, same_logits
from tests.bench.workloads import weights_like

MODELS = "smollm2-135m-instruct,qwen2.5-0.5b-instruct,qwen3-0.6b,llama-3.2-1b-instruct"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, action="append", help="a GGUF; more than once for several")
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--quants", default="Q4_0,Q8_0")
    parser.add_argument("--threads", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("-p", type=int, default=512)
    parser.add_argument("-n", type=int, default=64)
    parser.add_argument("-r", type=int, default=7, help="samples of each engine")
    words = parser.parse_args()
    workload = Workload(prompt_tokens=words.p, generated_tokens=words.n, repeats=words.r)
    names = [f"{model}:{quant}" for model in words.models.split(",") for quant in words.quants.split(",")]
    print(f"pp{words.p} and tg{words.n}, {words.threads} threads, medians of {words.r} samples of each, in turn")
    for name in words.weights or names:
        # One at a time: a directory of them all would be tens of gigabytes.
        with tempfile.TemporaryDirectory() as scratch:
            path = name if isinstance(name, Path) else weights_like(name, Path(scratch) / "weights")
            _compare(str(name), identify(path), workload, words.threads, Path(scratch))


def _compare(name: str, weights: Weights, workload: Workload, threads: int, scratch: Path) -> None:
    decoder = decoder_of(weights, store=Store(scratch / "decoders"), progress=Silent())
    patience = Patience(quiet_seconds=60.0)
    files = {Engine.LLAMA_CPP: weights, Engine.ONNX: decoder}
    cosine = same_logits(files, threads=threads, progress=Silent())
    measured = bench_engines(files, workload=workload, threads=threads, progress=Silent(), patience=patience)
    choice = choose_engine(measured, cosine=cosine)
    for engine, found in choice.measured.items():
        rates = "  ".join(f"{one.name} {one.median:8.1f} ± {one.spread / 2:.0%}" for one in found.series)
        memory = (found.conditions.peak_rss or 0) / 1e6
        print(f"{name:32} {engine:9} {rates}  {memory:6.0f} MB  {found.weights.size / 1e6:6.0f} MB file", flush=True)
    print(f"{'':32} kept: {choice.kept}; {choice.because}; logits cosine {cosine:.5f}", flush=True)


if __name__ == "__main__":
    main()
