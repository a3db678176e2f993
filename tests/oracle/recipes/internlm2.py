"""InternLM2: q, k and v in one tensor, a class that transformers does not have, a vocabulary of its own kind."""

import json
from collections.abc import Mapping
from typing import Any

from tests.fakes.checkpoints import CHAT_TEMPLATE, Recipe


def _tensors(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, wide, rows = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    heads = config["num_attention_heads"] + 2 * config["num_key_value_heads"]
    found: dict[str, tuple[int, ...]] = {"model.tok_embeddings.weight": (rows, hidden)}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        found |= {
            f"{prefix}attention.wqkv.weight": (heads * (hidden // config["num_attention_heads"]), hidden),
            f"{prefix}attention.wo.weight": (hidden, hidden),
            f"{prefix}feed_forward.w1.weight": (wide, hidden),
            f"{prefix}feed_forward.w3.weight": (wide, hidden),
            f"{prefix}feed_forward.w2.weight": (hidden, wide),
            f"{prefix}attention_norm.weight": (hidden,),
            f"{prefix}ffn_norm.weight": (hidden,),
        }
    return found | {"model.norm.weight": (hidden,), "output.weight": (rows, hidden)}


def _config(**sizes: Any) -> dict[str, Any]:
    return {
        "architectures": ["InternLM2ForCausalLM"], "model_type": "internlm2", "hidden_act": "silu", "bias": False,
        "auto_map": {"AutoConfig": "configuration_internlm2.InternLM2Config"}, "torch_dtype": "bfloat16",
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2, "rms_norm_eps": 1e-5, "pretraining_tp": 1,
        "tie_word_embeddings": False, **sizes,
    }  # fmt: skip


def _entry(text: str, *, special: bool) -> dict[str, Any]:
    return {"content": text, "special": special, "normalized": False, "lstrip": False, "rstrip": False}


RECIPES: tuple[Recipe, ...] = (
    # As 2.5's 1.8B: grouped heads, a base of a million, contexts stretched beyond what was trained.
    Recipe(
        name="internlm-2.5-seeded", vocabulary="few-pieces", dtype="BF16", tensors=_tensors, spread=0.08,
        config=_config(
            hidden_size=256, intermediate_size=512, num_hidden_layers=4, num_attention_heads=8,
            num_key_value_heads=4, max_position_embeddings=32768, rope_theta=1000000,
            rope_scaling={"type": "dynamic", "factor": 2.0},
        ),
    ),
    # One key head for five, rows of 160; a zero, unused pieces, the end of a turn over one of them.
    Recipe(
        name="internlm-2-awkward-f16", vocabulary="odd-pieces", dtype="F16", tensors=_tensors, spread=0.08, shards=2,
        config=_config(
            hidden_size=160, intermediate_size=304, num_hidden_layers=3, num_attention_heads=5,
            num_key_value_heads=1, max_position_embeddings=4096, rope_scaling=None,
        ),
        files={
            "tokenizer_config.json": json.dumps({
                "bos_token": "<s>", "eos_token": "</s>", "add_bos_token": True, "chat_template": CHAT_TEMPLATE,
                "added_tokens_decoder": {
                    "691": _entry("<|im_end|>", special=True), "650": _entry("\u2581as it stands", special=False),
                },
            }),
            "tokenizer.json": json.dumps({
                "added_tokens": [{"id": 693, **_entry("<|im_start|>", special=True)}], "model": {"type": "BPE"},
            }),
        },
    ),
)  # fmt: skip
