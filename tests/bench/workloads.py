"""What the benchmarks of speed share: their options, and weights of known shapes, made up where none are given."""

import argparse
import os
from pathlib import Path

from edgepack.domain.progress import Silent
from edgepack.infra.pins import llama_cpp_pin
from edgepack.infra.store import Store
from edgepack.stages.synthetic import synthetic

USUAL = "qwen2.5-0.5b-instruct:Q4_0"


def speed_options(parser: argparse.ArgumentParser) -> None:
    """Those of every benchmark that lets two programs take turns on one GGUF."""
    parser.add_argument("--weights", type=Path, help=f"a GGUF; default: synthetic weights, {USUAL}")
    parser.add_argument("--threads", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-p", type=int, default=512, help="prompt tokens")
    parser.add_argument("-n", type=int, default=128, help="generated tokens")
    parser.add_argument("-r", type=int, default=3, help="repeats in a round")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)


def weights_like(text: str, directory: Path) -> Path:
    """Synthetic weights of MODEL:QUANTIZATION, in a store of the benchmark's own below `directory`."""
    store = Store(directory)
    return synthetic(text, llama_cpp=llama_cpp_pin().version, store=store, progress=Silent()).path
