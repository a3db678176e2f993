"""One pass against the pinned llama.cpp's two steps: wall time, peak memory and bytes written, in turn.

    python -m tests.bench.bench_convert --llama-cpp SOURCE --quantize LLAMA_QUANTIZE --python PYTHON

PYTHON is the oracle's environment (docs/oracle.md). The checkpoint has Llama 3.2 1B's shape and vocabulary, and
random bf16 weights. Each figure is the median over the rounds; a ratio is the median of the rounds' own ratios.
"""

import argparse
import os
import statistics
import sys
import time
from dataclasses import dataclass
from multiprocessing import Process
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fakes.checkpoints import Recipe, make_checkpoint

LLAMA_1B = Recipe(
    name="Llama-3.2-1B-random", vocabulary="llama3", dtype="BF16",
    config={
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 2048,
        "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8,
        "head_dim": 64, "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
        "rope_scaling": {
            "factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3",
        },
        "bos_token_id": 128000, "eos_token_id": 128009, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
    },
)  # fmt: skip
# Rounds of each; upstream's IQ4_NL takes minutes.
QUANTS = {"Q4_0": 3, "Q8_0": 3, "Q4_K_M": 3, "IQ4_NL": 1}


@dataclass(frozen=True)
class Cost:
    """What one process, or two in a row, took: the larger peak, the sum of the rest."""

    wall: float
    cpu: float
    peak: int
    """Bytes of resident memory."""
    written: int
    """Bytes of all files it made."""

    def then(self, other: "Cost") -> "Cost":
        return Cost(
            self.wall + other.wall, self.cpu + other.cpu, max(self.peak, other.peak), self.written + other.written
        )


def run(command: list[str | Path], made: Path, environment: dict[str, str]) -> Cost:
    """Run a command to its end; the operating system's own accounting of it."""
    words = [str(word) for word in command]
    devnull = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, devnull, descriptor) for descriptor in (0, 1, 2)]
    began = time.perf_counter()
    child = os.posix_spawn(words[0], words, environment, file_actions=actions)
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - began
    os.close(devnull)
    if status:
        raise SystemExit(f"failed: {' '.join(words)}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, made.stat().st_size)


def ours(checkpoint: Path, quant: str, place: Path) -> Cost:
    out = place / "ours.gguf"
    command: list[str | Path] = [sys.executable, "-m", "edgepack", "convert", checkpoint]
    return run([*command, "--quant", quant, "--out", out, "--threads", "2"], out, dict(os.environ))


def theirs(checkpoint: Path, quant: str, place: Path, tools: argparse.Namespace) -> Cost:
    full, out = place / "full.gguf", place / "theirs.gguf"
    environment = {**os.environ, "PYTHONPATH": str(tools.llama_cpp / "gguf-py"), "HF_HUB_OFFLINE": "1"}
    convert = [tools.python, tools.llama_cpp / "convert_hf_to_gguf.py", checkpoint, "--outtype", "bf16"]
    first = run([*convert, "--outfile", full], full, environment)
    return first.then(run([tools.quantize, full, out, quant, "2"], out, dict(os.environ)))


def compare(checkpoint: Path, quant: str, place: Path, tools: argparse.Namespace) -> tuple[Cost, Cost]:
    """One round; the two results must be the same file."""
    costs = ours(checkpoint, quant, place), theirs(checkpoint, quant, place, tools)
    same = _same(place / "ours.gguf", place / "theirs.gguf")
    for file in place.iterdir():
        file.unlink()
    if not same:
        raise SystemExit(f"{quant}: the two files differ")
    return costs


def _same(one: Path, other: Path) -> bool:
    with one.open("rb") as left, other.open("rb") as right:
        while left_bytes := left.read(1 << 22):
            if left_bytes != right.read(1 << 22):
                return False
        return not right.read(1)


def show(quant: str, rounds: list[tuple[Cost, Cost]]) -> None:
    def middle(values: list[float]) -> float:
        return statistics.median(values)

    our, their = [pair[0] for pair in rounds], [pair[1] for pair in rounds]
    print(
        f"{quant:8} wall {middle([c.wall for c in our]):6.1f} / {middle([c.wall for c in their]):6.1f} s"
        f" = {middle([a.wall / b.wall for a, b in rounds]):.3f}"
        f"   cpu {middle([c.cpu for c in our]):6.1f} / {middle([c.cpu for c in their]):6.1f} s"
        f"   peak {middle([c.peak for c in our]) / 1e6:6.0f} / {middle([c.peak for c in their]) / 1e6:6.0f} MB"
        f" = {middle([a.peak / b.peak for a, b in rounds]):.3f}"
        f"   written {our[0].written / 1e6:.0f} / {their[0].written / 1e6:.0f} MB",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama-cpp", type=Path, required=True)
    parser.add_argument("--quantize", type=Path, required=True)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--rounds", type=int, help="of each quantization; default: 3, and 1 of IQ4_NL")
    parser.add_argument("--scratch", type=Path, help="a directory with 8 GB free; default: the system's")
    parser.add_argument("--quants", default=",".join(QUANTS))
    tools = parser.parse_args()
    with TemporaryDirectory(dir=tools.scratch) as scratch:
        checkpoint = Path(scratch) / LLAMA_1B.name
        # In a process of its own: a child starts with its parent's peak memory on its account.
        maker = Process(target=make_checkpoint, args=(LLAMA_1B, checkpoint, tools.llama_cpp / "models"))
        maker.start()
        maker.join()
        place = Path(scratch) / "made"
        place.mkdir()
        print("edgepack convert / convert_hf_to_gguf.py + llama-quantize, two threads; the files are equal")
        for quant in tools.quants.split(","):
            show(
                quant, [compare(checkpoint, quant, place, tools) for _ in range(tools.rounds or QUANTS.get(quant, 3))]
            )


if __name__ == "__main__":
    main()
