"""Hunyuan dense: norms behind the rotary embeddings, a base raised by alpha, a tied head that is stored again."""

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
            f"{prefix}self_attn.query_layernorm.weight": (head,),
            f"{prefix}self_attn.key_layernorm.weight": (head,),
            f"{prefix}mlp.gate_proj.weight": (wide, hidden),
            f"{prefix}mlp.up_proj.weight": (wide, hidden),
            f"{prefix}mlp.down_proj.weight": (hidden, wide),
        }
    found["model.norm.weight"] = (hidden,)
    found["lm_head.weight"] = (config["vocab_size"], hidden)
    return found


def _config(**sizes: Any) -> dict[str, Any]:
    return {
        "architectures": ["HunYuanDenseV1ForCausalLM"], "model_type": "hunyuan_v1_dense", "hidden_act": "silu",
        "torch_dtype": "bfloat16", "bos_token_id": 1, "eos_token_id": 2, "eod_token_id": 3, "pad_token_id": 4,
        "attention_bias": False, "use_qk_norm": True, "use_cla": False, "mlp_bias": False, **sizes,
    }  # fmt: skip


RECIPES: tuple[Recipe, ...] = (
    Recipe(
        name="hunyuan-seeded", vocabulary="gpt2", dtype="BF16", tensors=_tensors, spread=0.08,
        config=_config(
            hidden_size=128, intermediate_size=256, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, head_dim=64, max_position_embeddings=32768, rms_norm_eps=1e-5,
            rope_theta=10000.0, tie_word_embeddings=True,
            rope_scaling={"type": "dynamic", "alpha": 1000.0, "factor": 1.0, "beta_fast": 32, "beta_slow": 1,
                          "mscale": 1.0, "mscale_all_dim": 1.0},
        ),
        generation={"eos_token_id": [50255, 50256], "top_k": 20, "top_p": 0.8, "repetition_penalty": 1.05},
    ),
    # No scaling, an untied head, rows of 144.
    Recipe(
        name="hunyuan-awkward-f32", vocabulary="gpt2", dtype="F32", tensors=_tensors, spread=0.08,
        config=_config(
            hidden_size=144, intermediate_size=272, num_hidden_layers=2, num_attention_heads=6,
            num_key_value_heads=6, head_dim=32, tie_word_embeddings=False, rope_scaling=None,
        ),
        generation={"eos_token_id": 50256},
    ),
)  # fmt: skip
