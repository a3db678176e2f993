"""GGUFs of known shapes with random weights, quantized by llama.cpp: speed does not depend on the values.

    python -m tests.bench.shapes DIRECTORY

makes what is not there yet. demo-5m is the model that the package carries, with its real weights.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgepack.cli.main import run
from edgepack.domain.quant import Quant

QUANTS = (Quant.Q4_0, Quant.Q8_0, Quant.Q4_K_M)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What decides how fast a llama is."""

    name: str
    hidden: int
    feed_forward: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int

    def matrices(self) -> Iterator[tuple[str, int, int]]:
        """Name, rows and columns of each."""
        kv = self.hidden // self.heads * self.kv_heads
        yield "token_embd", self.vocabulary, self.hidden
        for layer in range(self.layers):
            for name, rows, columns in (
                ("attn_q", self.hidden, self.hidden), ("attn_k", kv, self.hidden), ("attn_v", kv, self.hidden),
                ("attn_output", self.hidden, self.hidden), ("ffn_gate", self.feed_forward, self.hidden),
                ("ffn_up", self.feed_forward, self.hidden), ("ffn_down", self.hidden, self.feed_forward),
            ):  # fmt: skip
                yield f"blk.{layer}.{name}", rows, columns


SHAPES = (
    Shape(name="160M", hidden=768, feed_forward=3072, layers=12, heads=12, kv_heads=12, vocabulary=32_000),
    Shape(name="Qwen2.5-0.5B", hidden=896, feed_forward=4864, layers=24, heads=14, kv_heads=2, vocabulary=151_936),
    Shape(name="Llama-3.2-1B", hidden=2048, feed_forward=8192, layers=16, heads=32, kv_heads=8, vocabulary=128_256),
)
NAMES = ("demo-5m", *(shape.name for shape in SHAPES))


def make_all(directory: Path) -> dict[tuple[str, Quant], Path]:
    """Every shape at every quantization."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = {(name, quant): directory / f"{name}-{quant}.gguf" for name in NAMES for quant in QUANTS}
    for quant in QUANTS:
        if not paths["demo-5m", quant].exists():
            _convert(quant, paths["demo-5m", quant])
    for shape in SHAPES:
        missing = [quant for quant in QUANTS if not paths[shape.name, quant].exists()]
        if missing:
            full = directory / f".{shape.name}.f16"
            _write(shape, full)
            for quant in missing:
                _quantize(full, paths[shape.name, quant], quant)
            full.unlink()
    return paths


def _convert(quant: Quant, path: Path) -> None:
    if run(["convert", "demo-5m", "--quant", quant, "--out", str(path), "--quiet"]):
        raise SystemExit(f"{path}: not converted")


def _write(shape: Shape, path: Path) -> None:
    """In half precision, without a vocabulary."""
    import gguf
    import numpy as np

    random = np.random.default_rng(0)
    pool = (random.standard_normal(1 << 22) * 0.02).astype(np.float16)
    writer = gguf.GGUFWriter(path, "llama", use_temp_file=True)
    writer.add_name(shape.name)
    writer.add_context_length(32768)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(1)
    writer.add_tokenizer_model("no_vocab")
    for name, rows, columns in shape.matrices():
        start = int(random.integers(0, 1 << 20))
        flat = np.resize(np.roll(pool, start), rows * columns)
        writer.add_tensor(f"{name}.weight", flat.reshape(rows, columns))
    norms = ["output_norm", *(f"blk.{n}.{kind}_norm" for n in range(shape.layers) for kind in ("attn", "ffn"))]
    for name in norms:
        writer.add_tensor(f"{name}.weight", np.ones(shape.hidden, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _quantize(source: Path, target: Path, quant: Quant) -> None:
    import llama_cpp

    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{quant.name}")
    partial = target.with_suffix(".part")
    status = llama_cpp.llama_model_quantize(str(source).encode(), str(partial).encode(), parameters)
    if status != 0:
        raise SystemExit(f"{source}: llama_model_quantize gave {status}")
    partial.replace(target)


if __name__ == "__main__":
    for path in make_all(Path(sys.argv[1])).values():
        print(path)
