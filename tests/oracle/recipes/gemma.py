"""Gemma 1 and 2: norms plus one, wide heads, a head that is stored and not wanted, soft caps, windows."""

from collections.abc import Mapping
from typing import Any

from tests.fakes.checkpoints import Recipe


def _tensors(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, wide, head = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    query, narrow = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config["vocab_size"], hidden)}
    norms = ["input_layernorm", "post_attention_layernorm"]
    if config["model_type"] == "gemma2":
        norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        found |= {f"{prefix}{norm}.weight": (hidden,) for norm in norms}
        found |= {
            f"{prefix}self_attn.q_proj.weight": (query, hidden),
            f"{prefix}self_attn.k_proj.weight": (narrow, hidden),
            f"{prefix}self_attn.v_proj.weight": (narrow, hidden),
            f"{prefix}self_attn.o_proj.weight": (hidden, query),
            f"{prefix}mlp.gate_proj.weight": (wide, hidden),
            f"{prefix}mlp.up_proj.weight": (wide, hidden),
            f"{prefix}mlp.down_proj.weight": (hidden, wide),
        }
    return found | {"model.norm.weight": (hidden,)}


def _config(number: str, **sizes: Any) -> dict[str, Any]:
    return {
        "architectures": [f"Gemma{number}ForCausalLM"], "model_type": f"gemma{number}",
        "hidden_activation": "gelu_pytorch_tanh", "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
        "rms_norm_eps": 1e-6, "torch_dtype": "bfloat16", "tie_word_embeddings": True, **sizes,
    }  # fmt: skip


RECIPES: tuple[Recipe, ...] = (
    # Gemma 2B's: one head for all keys, heads wider than hidden/heads.
    Recipe(
        name="gemma-seeded", vocabulary="few-pieces", dtype="BF16", tensors=_tensors, spread=0.08,
        config=_config(
            "", hidden_size=256, intermediate_size=512, num_hidden_layers=3, num_attention_heads=2,
            num_key_value_heads=1, head_dim=256, max_position_embeddings=8192, rope_theta=10000.0,
        ),
    ),
    # Rows that no block of 256 fits, float16 norms, a head stored beside the embedding.
    Recipe(
        name="gemma-awkward-f16", vocabulary="few-pieces", dtype="F16", spread=0.08,
        tensors=lambda config: _tensors(config) | {"lm_head.weight": (config["vocab_size"], config["hidden_size"])},
        config=_config(
            "", hidden_size=160, intermediate_size=352, num_hidden_layers=2, num_attention_heads=5,
            num_key_value_heads=5, head_dim=48,
        ),
    ),
    Recipe(
        name="gemma-2-seeded", vocabulary="few-pieces", dtype="BF16", tensors=_tensors, spread=0.08,
        config=_config(
            "2", hidden_size=256, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4,
            num_key_value_heads=2, head_dim=128, sliding_window=4096, attn_logit_softcapping=50.0,
            final_logit_softcapping=30.0, query_pre_attn_scalar=128, max_position_embeddings=8192,
        ),
        generation={"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0},
    ),
    Recipe(
        name="gemma-2-awkward-f32", vocabulary="few-pieces", dtype="F32", tensors=_tensors, spread=0.08, shards=2,
        config=_config(
            "2", hidden_size=224, intermediate_size=288, num_hidden_layers=3, num_attention_heads=6,
            num_key_value_heads=3, head_dim=64, sliding_window=16, query_pre_attn_scalar=64,
        ),
    ),
)  # fmt: skip
