"""Granite 4 without experts and state spaces, as the 350M and the 1B are."""

from collections.abc import Mapping
from typing import Any

from tests.fakes.checkpoints import Recipe


def _tensors(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, wide = config["hidden_size"], config["shared_intermediate_size"]
    narrow = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config["vocab_size"], hidden)}
    if not config["tie_word_embeddings"]:
        found["lm_head.weight"] = (config["vocab_size"], hidden)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        found |= {
            f"{prefix}input_layernorm.weight": (hidden,),
            f"{prefix}post_attention_layernorm.weight": (hidden,),
            f"{prefix}self_attn.q_proj.weight": (hidden, hidden),
            f"{prefix}self_attn.k_proj.weight": (narrow, hidden),
            f"{prefix}self_attn.v_proj.weight": (narrow, hidden),
            f"{prefix}self_attn.o_proj.weight": (hidden, hidden),
            f"{prefix}shared_mlp.input_linear.weight": (2 * wide, hidden),
            f"{prefix}shared_mlp.output_linear.weight": (hidden, wide),
        }
    return found | {"model.norm.weight": (hidden,)}


def _config(layers: int, wide: int, **sizes: Any) -> dict[str, Any]:
    return {
        "architectures": ["GraniteMoeHybridForCausalLM"], "model_type": "granitemoehybrid", "hidden_act": "silu",
        "torch_dtype": "bfloat16", "rms_norm_eps": 1e-5, "attention_bias": False, "attention_multiplier": 0.015625,
        "embedding_multiplier": 12, "residual_multiplier": 0.263, "logits_scaling": 4, "init_method": "mup",
        "num_hidden_layers": layers, "layer_types": ["attention"] * layers, "intermediate_size": wide,
        "shared_intermediate_size": wide, "normalization_function": "rmsnorm", "num_experts_per_tok": 0,
        "num_local_experts": 0, "output_router_logits": False, "position_embedding_type": "rope",
        "rope_scaling": None, "mamba_chunk_size": 256, "mamba_conv_bias": True, "mamba_d_conv": 4,
        "mamba_d_state": 128, "mamba_expand": 2, "mamba_n_groups": 1, "mamba_proj_bias": False, **sizes,
    }  # fmt: skip


RECIPES: tuple[Recipe, ...] = (
    Recipe(
        name="granite-4.0-seeded", vocabulary="gpt2", dtype="BF16", tensors=_tensors, spread=0.08,
        config=_config(
            3, 256, hidden_size=128, num_attention_heads=4, num_key_value_heads=2, rope_theta=10000000,
            max_position_embeddings=32768, tie_word_embeddings=True, mamba_d_head=64, mamba_n_heads=4,
            bos_token_id=50256, eos_token_id=50256, pad_token_id=50256,
        ),
    ),
    # A head of its own, SentencePiece, rows that no block of 256 fits, no word on experts per token.
    Recipe(
        name="granite-4.0-awkward-f16", vocabulary="few-pieces", dtype="F16", tensors=_tensors, spread=0.08,
        config=_config(
            2, 336, hidden_size=160, num_attention_heads=10, num_key_value_heads=5, rope_theta=10000.0,
            max_position_embeddings=131072, tie_word_embeddings=False, mamba_d_head=32, mamba_n_heads=10,
            num_experts_per_tok=None, bos_token_id=1, eos_token_id=2,
        ),
    ),
)  # fmt: skip
