"""Peak memory of `edgepack convert` for every family, at a published model's real sizes.

    python -m tests.bench.bench_memory --llama-cpp SOURCE [--quants Q8_0,Q4_K_M] [MODEL …]

Each checkpoint is a recipe's with real sizes, a vocabulary of the real length and arbitrary weights; one at a time,
up to 8 GB. The peak is the operating system's account of the whole process: mapped pages count.
Exits with 1 where one reaches 400 MB.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from multiprocessing import Process
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edgepack.convert.config import read_config
from edgepack.convert.outline import outline
from edgepack.convert.safetensors import StoredTensor
from tests.bench.bench_convert import run
from tests.fakes.checkpoints import encode, make_checkpoint, random_weights, write_safetensors
from tests.fakes.large_vocabularies import extend_byte_level, extend_pieces, extend_unigram
from tests.oracle.recipes import RECIPES

LIMIT = 400.0
"""Megabytes."""
_PATTERN = 1 << 22
"""Weights after which the random ones begin again."""


@dataclass(frozen=True)
class Real:
    """A published model: the recipe that is its like, and what differs in its config and its vocabulary."""

    name: str
    like: str
    tokens: int
    sizes: Mapping[str, Any]
    vocabulary: str = ""


def _real(
    name: str,
    like: str,
    tokens: int,
    layers: int,
    hidden: int,
    wide: int,
    heads: tuple[int, int],
    *,
    vocabulary: str = "",
    **more: Any,
) -> Real:
    return Real(name, like, tokens, {
        "hidden_size": hidden, "intermediate_size": wide, "num_attention_heads": heads[0],
        "num_key_value_heads": heads[1], "num_hidden_layers": layers, "vocab_size": tokens, **more,
    }, vocabulary)  # fmt: skip


def _longrope(pairs: int) -> dict[str, Any]:
    factors = [1.0 + place / 8 for place in range(pairs)]
    return {"type": "longrope", "short_factor": factors, "long_factor": factors}


# The largest below 3 billion parameters of each family; of Phi-3 and SmolLM3, whose models are all larger, the usual.
MODELS = (
    _real("Gemma-2-2B", "gemma-2-seeded", 256000, 26, 2304, 9216, (8, 4), head_dim=256, query_pre_attn_scalar=256),
    _real("Phi-2", "phi-2-seeded-f16", 51200, 32, 2560, 10240, (32, 32), partial_rotary_factor=0.4),
    _real("Gemma-3-1B", "gemma-3-seeded", 262144, 26, 1152, 6912, (4, 1), head_dim=256, sliding_window=512,
          query_pre_attn_scalar=256),
    _real("Gemma-2B", "gemma-seeded", 256000, 18, 2048, 16384, (8, 1), head_dim=256),
    _real("Qwen3.5-2B", "qwen3.5-seeded", 248320, 24, 2048, 6144, (8, 2), head_dim=256, linear_num_key_heads=16,
          linear_num_value_heads=16, linear_key_head_dim=128, linear_value_head_dim=128,
          layer_types=(["linear_attention"] * 3 + ["full_attention"]) * 6),
    _real("MiniCPM-2B", "minicpm-2b-seeded", 122753, 40, 2304, 5760, (36, 36), dim_model_base=256),
    _real("LFM2-2.6B", "lfm2-seeded", 65536, 30, 2048, 10752, (32, 8), block_dim=2048, conv_dim=2048,
          conv_dim_out=2048, num_heads=32, block_ff_dim=10752, block_auto_adjust_ff_dim=False,
          full_attn_idxs=[2, 5, 9, 12, 15, 19, 22, 26]),
    _real("Granite-3.1-2B", "granite-3-seeded", 50257, 40, 2048, 8192, (32, 8)),
    _real("MiniCPM5-2B", "MiniCPM5-seeded", 130560, 42, 2048, 6144, (16, 2), head_dim=128),
    _real("Granite-4.0-1B", "granite-4.0-seeded", 100352, 40, 2048, 4096, (16, 4), shared_intermediate_size=4096,
          layer_types=["attention"] * 40, mamba_d_head=64, mamba_n_heads=64),
    _real("InternLM2.5-1.8B", "internlm-2.5-seeded", 92544, 24, 2048, 8192, (16, 8)),
    _real("Hunyuan-1.8B", "hunyuan-seeded", 120818, 32, 2048, 6144, (16, 4), head_dim=128),
    _real("R1-Distill-Qwen-1.5B", "DeepSeek-R1-Distill-Qwen-seeded", 151936, 28, 1536, 8960, (12, 2)),
    _real("Qwen3-1.7B", "Qwen3-seeded-f16", 151936, 28, 2048, 6144, (16, 8), head_dim=128, tie_word_embeddings=True),
    _real("StableLM-2-1.6B", "stablelm-2-seeded", 100352, 24, 2048, 5632, (32, 32)),
    _real("Falcon-H1-1.5B", "falcon-h1-seeded", 65537, 24, 2048, 4096, (8, 2), head_dim=128, mamba_d_ssm=3072,
          mamba_n_heads=48, mamba_d_head=64, mamba_d_state=256),
    _real("OLMo-2-1B", "olmo-2-awkward", 100352, 16, 2048, 8192, (16, 16)),
    _real("EXAONE-4.0-1.2B", "exaone-4-seeded", 102400, 30, 2048, 4096, (32, 8), head_dim=64),
    _real("SmolLM3-3B", "smollm3-seeded", 128256, 36, 2048, 11008, (16, 4), vocabulary="llama3",
          bos_token_id=128000, eos_token_id=128009),
    _real("Phi-4-mini", "phi-4-mini-seeded", 200064, 32, 3072, 8192, (24, 8), rope_scaling=_longrope(48)),
    _real("Phi-3.5-mini", "phi-3.5-awkward-f16", 32064, 32, 3072, 8192, (32, 32), rope_scaling=_longrope(48)),
    _real("ERNIE-4.5-0.3B", "ernie-4.5-seeded", 103424, 18, 1024, 3072, (16, 2)),
    _real("BGE-M3", "xlm-roberta-awkward", 250002, 24, 1024, 4096, (16, 16), max_position_embeddings=8194,
          pad_token_id=1),
    _real("BGE-large", "bge-seeded-bf16", 30522, 24, 1024, 4096, (16, 16)),
)  # fmt: skip


def make(model: Real, directory: Path, vocabularies: Path, *, repeating: bool = True) -> None:
    """Write the checkpoint of `model`; with `repeating` weights quickly, but it says one thing whatever it reads."""
    recipe = next(recipe for recipe in RECIPES if recipe.name.startswith(model.like))
    config = resized(recipe.config, model.sizes)
    vocabulary = model.vocabulary or {"few-pieces": "sentencepiece"}.get(recipe.vocabulary, recipe.vocabulary)
    bare = replace(recipe, config=config, vocabulary=vocabulary, tensors=lambda _config: {}, shards=1, added={})
    make_checkpoint(bare, directory, vocabularies)
    if vocabulary == "sentencepiece":
        extend_pieces(directory, 32000, model.tokens)
    elif vocabulary == "gpt2":
        extend_byte_level(directory, model.tokens)
    elif vocabulary.startswith("unigram"):
        extend_unigram(directory, model.tokens)
    _fill(recipe.dtype, directory, repeating=repeating)


def resized(config: Mapping[str, Any], sizes: Mapping[str, Any]) -> dict[str, Any]:
    """With `sizes` in the place where the sizes are."""
    if "text_config" in config:
        return {**config, "text_config": {**config["text_config"], **sizes}}
    return {**config, **sizes}


def _fill(dtype: str, directory: Path, *, repeating: bool) -> None:
    """Write the tensors that the config describes, with one block of weights again and again, or with none twice."""
    sources = outline(read_config(directory)).plan.sources
    stored = {
        each.origin.name: (dtype, each.origin.shape) for each in sources if isinstance(each.origin, StoredTensor)
    }
    random = np.random.default_rng(1)
    block = encode(random_weights(random, (_PATTERN,)), dtype)

    def values(name: str) -> bytes:
        if not repeating:
            return encode(random_weights(random, stored[name][1]), dtype)
        size = prod(stored[name][1]) * len(block) // _PATTERN
        return (block * (size // len(block) + 1))[:size]

    write_safetensors(directory / "model.safetensors", stored, values)


def peak(checkpoint: Path, quant: str) -> float:
    """Megabytes."""
    out = checkpoint.parent / "out.gguf"
    environment = {**os.environ, "EDGEPACK_HOME": str(checkpoint.parent / "home")}
    command: list[str | Path] = [sys.executable, "-m", "edgepack", "convert", checkpoint, "--quant", quant]
    cost = run([*command, "--out", out, "--allow-over-3b"], out, environment)
    out.unlink()
    return cost.peak / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama-cpp", type=Path, required=True)
    parser.add_argument("--quants", default="Q8_0,Q4_K_M")
    parser.add_argument("--scratch", type=Path, help="a directory with 16 GB free; default: the system's")
    parser.add_argument("models", nargs="*", metavar="MODEL", help="beginnings of names; default: all")
    options = parser.parse_args()
    large = []
    for model in MODELS:
        if model.name.startswith(tuple(options.models) or ""):
            with TemporaryDirectory(dir=options.scratch) as scratch:
                checkpoint = Path(scratch) / model.name
                # In a process of its own: a child starts with its parent's peak memory on its account.
                maker = Process(target=make, args=(model, checkpoint, options.llama_cpp / "models"))
                maker.start()
                maker.join()
                size = (checkpoint / "model.safetensors").stat().st_size
                for quant in options.quants.split(","):
                    used = peak(checkpoint, quant)
                    print(f"{model.name:22} {size / 1e9:5.2f} GB  {quant:7} {used:5.0f} MB", flush=True)
                    large += [f"{model.name} {quant}"] * (used >= LIMIT)
    sys.exit(f"{LIMIT:.0f} MB or more: {', '.join(large)}" if large else 0)


if __name__ == "__main__":
    main()
