"""Time to the first token behind a long system prompt, with the bundle's prompt state and without, in turns.

    python -m tests.bench.bench_state --llama PROGRAM [--tokens N] [--rounds N] [--threads N]

The model has Llama-3.2-1B's shape, random Q4_0 weights and a small vocabulary in a matrix of the real size:
speed does not depend on the values. Each request goes to a fresh server, the bundle's own `run`.
"""

import argparse
import http.client
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from edgepack.cli.main import run as edgepack
from tests.fakes.serving import served, with_runtime

TARGET = 10.0
HIDDEN, FEED_FORWARD, LAYERS, HEADS, KV_HEADS, VOCABULARY = 2048, 8192, 16, 32, 8, 128_256
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"


def main() -> int:
    arguments = parse()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["EDGEPACK_HOME"] = f"{scratch}/home"
        bundle = make(Path(scratch), arguments)
        state = json.loads((bundle / "manifest.json").read_text())["state"]
        size = (bundle / "state/prefix.bin").stat().st_size
        print(f"{state['tokens']} tokens, a state of {size / 1e6:.1f} MB, {arguments.threads} threads", flush=True)
        rounds = [one_round(bundle, arguments, number) for number in range(arguments.rounds)]
    return report(rounds)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama", type=Path, required=True, help="a static `llama` for this machine")
    parser.add_argument("--tokens", type=int, default=1000, help="of the system prompt, about")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    return parser.parse_args()


def make(scratch: Path, arguments: argparse.Namespace) -> Path:
    weights = write_random(scratch / "random-q4_0.gguf")
    (scratch / "system.txt").write_text("the cat sat on a mat " * (arguments.tokens // 20))
    edgepack([
        "build", "--profile", "host", "--model", str(weights), "--ctx", "2048", "--no-bench", "--force",
        "--runtime", "none", "--system-prompt", str(scratch / "system.txt"), "--out", str(scratch / "bundle"),
    ])  # fmt: skip
    return with_runtime(scratch / "bundle", arguments.llama)


def one_round(bundle: Path, arguments: argparse.Namespace, number: int) -> dict[str, tuple[float, str]]:
    """Seconds to the first token, and the text of 16 tokens, of both; who goes first alternates."""
    order = ("with", "without") if number % 2 else ("without", "with")
    return {which: first_token(bundle, arguments, which) for which in order}


def first_token(bundle: Path, arguments: argparse.Namespace, which: str) -> tuple[float, str]:
    without = "1" if which == "without" else ""
    with served(bundle, EDGEPACK_NO_STATE=without, EDGEPACK_THREADS=str(arguments.threads)) as running:
        messages = [
            {"role": "system", "content": (bundle / "state/system.txt").read_text()},
            {"role": "user", "content": "where is it"},
        ]
        body = {"messages": messages, "max_tokens": 16, "temperature": 0, "stream": True, "return_tokens": True}
        connection = http.client.HTTPConnection(running.url.removeprefix("http://"))
        began = time.perf_counter()
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        answer, to_first, said = connection.getresponse(), 0.0, ""
        for line in answer:
            if line.startswith(b"data: {"):
                delta = json.loads(line[6:])["choices"][0]["delta"]
                if delta.get("content"):
                    to_first = to_first or time.perf_counter() - began
                    said += delta["content"]
    print(f"{which:8} {to_first:.3f} s to the first token", flush=True)
    return to_first, said


def report(rounds: list[dict[str, tuple[float, str]]]) -> int:
    """1 where the state saves less than it shall, or changes the answer."""
    without, with_it = (statistics.median(one[which][0] for one in rounds) for which in ("without", "with"))
    same = len({one[which][1] for one in rounds for which in one}) == 1
    ratio = without / with_it
    print(f"medians: {without:.3f} s without, {with_it:.3f} s with, {ratio:.1f} times sooner (target {TARGET:.0f})")
    print(f"the same greedy continuation: {'yes' if same else 'NO'}: {rounds[0]['with'][1]!r}")
    return int(ratio < TARGET or not same)


def write_random(path: Path) -> Path:
    """Blocks of random nibbles with small scales; words for the vocabulary's first rows, fillers for the others."""
    import gguf
    import numpy as np

    random = np.random.default_rng(0)
    kv = HIDDEN // HEADS * KV_HEADS
    q4_0 = gguf.GGMLQuantizationType.Q4_0
    letters = ["▁", *"abcdefghijklmnopqrstuvwxyz", *(f"▁w{number}" for number in range(VOCABULARY - 286))]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("random")
    writer.add_context_length(8192)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_file_type(2)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *letters])
    writer.add_token_scores([0.0] * 259 + [-float(rank) for rank in range(len(letters))])
    writer.add_token_types([2, 3, 3, *[6] * 256, *[1] * len(letters)])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
    writer.add_chat_template(TEMPLATE)

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
