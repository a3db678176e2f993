"""Tokens/s of synthetic weights against converted ones of the same shape, types and threads, in turn.

    python -m tests.bench.bench_synthetic --llama-cpp SOURCE [--rounds N] [--quants Q4_0,Q8_0,Q4_K_M] [MODEL …]

The converted ones are a checkpoint with a published model's sizes and seeded random weights, which our converter
quantizes in earnest, and the demo, whose weights were trained. A ratio is the median of the rounds' own ratios.

Which pages of memory a file lies on changes its speed by up to a tenth, that of a mere copy included. So both are
measured on the same pages: one file in memory, overwritten in turn.

Exits with 1 where one is off by more than 2 %.
"""

import argparse
import statistics
import sys
from multiprocessing import Process
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory

import edgepack
from edgepack.convert.config import read_config
from edgepack.convert.outline import outline
from edgepack.convert.synthetic import write_synthetic
from edgepack.domain.measurement import Workload
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.engines.llamacpp import measure
from edgepack.stages.convert import convert_to, open_directory
from tests.bench.bench_memory import MODELS, make

TARGET = 0.02
DEMO = "demo-5m"
USUAL = (DEMO, "ERNIE-4.5-0.3B", "Gemma-3-1B")


def pair(checkpoint: Path, quant: Quant, place: Path) -> tuple[Path, Path]:
    """The converted file and the synthetic one."""
    real, made = place / "real.gguf", place / "synthetic.gguf"
    conversion = open_directory(checkpoint, checkpoint.name, allow_over_3b=True)
    convert_to(real, conversion, quant, threads=2, progress=Silent())
    made.unlink(missing_ok=True)
    write_synthetic(outline(read_config(checkpoint)), checkpoint.name, quant, made, progress=Silent())
    return real, made


def rates(weights: Path, workload: Workload, threads: int) -> dict[str, float]:
    return {series.name: series.median for series in measure(weights, workload=workload, threads=threads)}


def overwrite(place: Path, file: Path) -> None:
    """The same bytes as `file`, on the pages that `place` has already."""
    with place.open("r+b" if place.exists() else "wb") as target, file.open("rb") as source:
        copyfileobj(source, target, 1 << 20)
        target.truncate()


def compare(name: str, quant: Quant, files: tuple[Path, Path], slot: Path, options: argparse.Namespace) -> bool:
    """Whether each test's ratio is within the target."""
    workload = Workload(prompt_tokens=256, generated_tokens=64, repeats=3)
    rounds = []
    for number in range(options.rounds):
        found = {}
        for file in files if number % 2 else files[::-1]:
            overwrite(slot, file)
            found[file] = rates(slot, workload, options.threads)
        rounds.append((found[files[0]], found[files[1]]))
    met = True
    for test in rounds[0][0]:
        real, made = (statistics.median(pair[side][test] for pair in rounds) for side in (0, 1))
        ratio = statistics.median(made[test] / real[test] for real, made in rounds)
        met &= abs(ratio - 1) <= TARGET
        print(f"{name:16} {quant:7} {test:6} {real:9.2f} {made:9.2f} {ratio:7.3f}", flush=True)
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama-cpp", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quants", default="Q4_0,Q8_0,Q4_K_M")
    parser.add_argument("--scratch", type=Path, help="a directory with 5 GB free; default: the system's")
    parser.add_argument("--memory", type=Path, default=Path("/dev/shm"), help="a file system in memory")
    parser.add_argument("models", nargs="*", metavar="MODEL", default=USUAL)
    options = parser.parse_args()
    print(
        f"{'':16} {'':7} {'test':6} {'converted':>9} {'synthetic':>9} {'ratio':>7}  "
        f"tokens/s, {options.threads} threads"
    )
    met = True
    for name in options.models:
        with TemporaryDirectory(dir=options.scratch) as scratch, TemporaryDirectory(dir=options.memory) as memory:
            checkpoint = Path(edgepack.__file__).parent / "data" / name
            if name != DEMO:
                checkpoint = Path(scratch) / name
                model = next(model for model in MODELS if model.name == name)
                maker = Process(
                    target=make, args=(model, checkpoint, options.llama_cpp / "models"), kwargs={"repeating": False}
                )
                maker.start()
                maker.join()
            for quant in map(Quant, options.quants.split(",")):
                met &= compare(
                    name, quant, pair(checkpoint, quant, Path(scratch)), Path(memory) / "weights.gguf", options
                )
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
