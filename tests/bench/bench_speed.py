"""edgepack's tokens/s against llama-bench's: the same GGUF and threads, in turns, each in a process of its own.

    python -m tests.bench.bench_speed --llama-bench PATH [--weights GGUF] [--threads N] [--rounds N]

Without `--weights`, a GGUF of Qwen2.5-0.5B's size with random Q4_0 weights is made: speed does not depend on
the values. Both sides should be built from the same source with the same flags; both leave threads unpinned.
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

TARGET = (0.97, 1.03)
HIDDEN, FEED_FORWARD, LAYERS, HEADS, KV_HEADS, VOCABULARY = 896, 4864, 24, 14, 2, 151_936


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
            arguments.weights = write_random(Path(scratch) / "random-q4_0.gguf")
        print(f"edgepack runs {runtime().build}; {arguments.threads} threads, {arguments.rounds} rounds", flush=True)
        rounds = [one_round(arguments, number) for number in range(arguments.rounds)]
    return report(rounds)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama-bench", type=Path, required=True, help="the program")
    parser.add_argument("--weights", type=Path, help="a GGUF")
    parser.add_argument("--threads", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-p", type=int, default=512, help="prompt tokens")
    parser.add_argument("-n", type=int, default=128, help="generated tokens")
    parser.add_argument("-r", type=int, default=3, help="repeats in a round")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
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


def write_random(path: Path) -> Path:
    """A llama of Qwen2.5-0.5B's size without a vocabulary; blocks of random nibbles with small scales."""
    import gguf
    import numpy as np

    random = np.random.default_rng(0)
    kv = HIDDEN // HEADS * KV_HEADS
    q4_0 = gguf.GGMLQuantizationType.Q4_0
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("random")
    writer.add_context_length(32768)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(VOCABULARY)
    writer.add_file_type(2)
    writer.add_tokenizer_model("no_vocab")

    def add(name: str, rows: int, columns: int) -> None:
        blocks = random.integers(0, 256, (rows, columns // 32, 18), dtype=np.uint8)
        blocks[:, :, :2] = np.frombuffer(np.float16(0.004).tobytes(), dtype=np.uint8)
        writer.add_tensor(name, blocks.reshape(rows, -1), raw_dtype=q4_0)

    add("token_embd.weight", VOCABULARY, HIDDEN)
    writer.add_tensor("output_norm.weight", np.ones(HIDDEN, np.float32))
    for layer in range(LAYERS):
        for name, rows, columns in (
            ("attn_q", HIDDEN, HIDDEN), ("attn_k", kv, HIDDEN), ("attn_v", kv, HIDDEN),
            ("attn_output", HIDDEN, HIDDEN), ("ffn_gate", FEED_FORWARD, HIDDEN),
            ("ffn_up", FEED_FORWARD, HIDDEN), ("ffn_down", HIDDEN, FEED_FORWARD),
        ):  # fmt: skip
            add(f"blk.{layer}.{name}.weight", rows, columns)
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(HIDDEN, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


if __name__ == "__main__":
    sys.exit(main())
