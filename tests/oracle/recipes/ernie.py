"""ERNIE 4.5 0.3B: rotary pairs as they are stored, heads of their own width, both spellings of the class."""

import json
from collections.abc import Mapping
from typing import Any

from tests.fakes.checkpoints import Recipe


def _tensors(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, wide, head = config["hidden_size"], config["intermediate_size"], config.get("head_dim", 128)
    query, narrow = head * config["num_attention_heads"], head * config["num_key_value_heads"]
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config["vocab_size"], hidden)}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        found |= {
            f"{prefix}input_layernorm.weight": (hidden,),
            f"{prefix}post_attention_layernorm.weight": (hidden,),
            f"{prefix}self_attn.q_proj.weight": (query, hidden),
            f"{prefix}self_attn.k_proj.weight": (narrow, hidden),
            f"{prefix}self_attn.v_proj.weight": (narrow, hidden),
            f"{prefix}self_attn.o_proj.weight": (hidden, query),
            f"{prefix}mlp.gate_proj.weight": (wide, hidden),
            f"{prefix}mlp.up_proj.weight": (wide, hidden),
            f"{prefix}mlp.down_proj.weight": (hidden, wide),
        }
    found["model.norm.weight"] = (hidden,)
    if config.get("tie_word_embeddings") is False:
        found["lm_head.weight"] = (config["vocab_size"], hidden)
    return found


def _config(kind: str, **sizes: Any) -> dict[str, Any]:
    return {
        "architectures": [kind], "model_type": "ernie4_5", "hidden_act": "silu", "torch_dtype": "bfloat16",
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "use_bias": False, "use_cache": False, **sizes,
    }  # fmt: skip


RECIPES: tuple[Recipe, ...] = (
    Recipe(
        name="ernie-4.5-seeded", vocabulary="few-pieces", dtype="BF16", tensors=_tensors, spread=0.08,
        config=_config(
            "Ernie4_5ForCausalLM", hidden_size=256, intermediate_size=512, num_hidden_layers=4,
            num_attention_heads=4, num_key_value_heads=1, head_dim=128, max_position_embeddings=131072,
            rms_norm_eps=1e-5, rope_theta=500000, tie_word_embeddings=True,
        ),
    ),
    # The older spelling, a head of its own, rows of 208, and what no space goes before.
    Recipe(
        name="ernie-4.5-awkward-f16", vocabulary="few-pieces", dtype="F16", tensors=_tensors, spread=0.08, shards=2,
        config=_config(
            "Ernie4_5_ForCausalLM", hidden_size=208, intermediate_size=336, num_hidden_layers=3,
            num_attention_heads=6, num_key_value_heads=3, head_dim=32, tie_word_embeddings=False,
        ),
        added={"<|im_start|>": 700, "\u2581of text": 701},
        files={"tokenizer_config.json": json.dumps({
            "add_prefix_space": False, "bos_token": "<s>", "eos_token": "</s>",
            "added_tokens_decoder": {"700": {"content": "<|im_start|>", "special": False},
                                     "701": {"content": "\u2581of text", "special": False}},
        })},
    ),
)  # fmt: skip
