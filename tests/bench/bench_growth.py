"""How a conversion grows: wall time, CPU time and peak memory from 0.1 to 2.6 billion weights, each model in turn.

    python -m tests.bench.bench_growth --llama-cpp SOURCE [--quant Q4_K_M] [--scratch DIR]

Checkpoints of a llama with 1 to 42 layers of Llama 3.2 1B's shape and a vocabulary of 32,000, random bf16 weights:
up to 7 GB of disk, one checkpoint at a time. What a billion weights take should not depend on how many there are,
but for the second in which the program starts; the peak should not grow.
"""

import argparse
import sys
from dataclasses import replace
from multiprocessing import Process
from os import environ
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.bench_convert import LLAMA_1B, run
from tests.fakes.checkpoints import make_checkpoint

# 60.8 million weights a layer, and 65.5 million in the embeddings.
LAYERS = (1, 5, 19, 42)
CONFIG = {**LLAMA_1B.config, "bos_token_id": 1, "eos_token_id": 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama-cpp", type=Path, required=True)
    parser.add_argument("--quant", default="Q4_K_M")
    parser.add_argument("--scratch", type=Path, help="a directory with 8 GB free; default: the system's")
    asked = parser.parse_args()
    print(f"edgepack convert to {asked.quant}, two threads")
    for layers in LAYERS:
        with TemporaryDirectory(dir=asked.scratch) as scratch:
            checkpoint, out = Path(scratch) / "llama", Path(scratch) / "out.gguf"
            recipe = replace(LLAMA_1B, vocabulary="sentencepiece", config={**CONFIG, "num_hidden_layers": layers})
            maker = Process(target=make_checkpoint, args=(recipe, checkpoint, asked.llama_cpp / "models"))
            maker.start()
            maker.join()
            weights = sum(file.stat().st_size for file in checkpoint.glob("*.safetensors")) / 2e9
            command: list[str | Path] = [sys.executable, "-m", "edgepack", "convert", checkpoint]
            cost = run([*command, "--quant", asked.quant, "--out", out, "--threads", "2"], out, dict(environ))
            print(
                f"{weights:5.2f} B weights   wall {cost.wall:5.1f} s   cpu {cost.cpu:5.1f} s"
                f" = {cost.cpu / weights:5.2f} s a billion   peak {cost.peak / 1e6:4.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
