"""EXAONE 4: norms behind what they norm and over heads; Llama 3's rope."""

from collections.abc import Mapping
from typing import Any

from tests.fakes.checkpoints import Recipe


def _tensors(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, wide = config["hidden_size"], config["intermediate_size"]
    head = hidden // config["num_attention_heads"]
    narrow = head * config["num_key_value_heads"]
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config["vocab_size"], hidden)}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        found |= {
            f"{prefix}self_attn.q_proj.weight": (hidden, hidden),
            f"{prefix}self_attn.k_proj.weight": (narrow, hidden),
            f"{prefix}self_attn.v_proj.weight": (narrow, hidden),
            f"{prefix}self_attn.o_proj.weight": (hidden, hidden),
            f"{prefix}self_attn.q_norm.weight": (head,),
            f"{prefix}self_attn.k_norm.weight": (head,),
            f"{prefix}mlp.gate_proj.weight": (wide, hidden),
            f"{prefix}mlp.up_proj.weight": (wide, hidden),
            f"{prefix}mlp.down_proj.weight": (hidden, wide),
            f"{prefix}post_attention_layernorm.weight": (hidden,),
            f"{prefix}post_feedforward_layernorm.weight": (hidden,),
        }
    found["model.norm.weight"] = (hidden,)
    if not config["tie_word_embeddings"]:
        found["lm_head.weight"] = (config["vocab_size"], hidden)
    return found


def _config(**sizes: Any) -> dict[str, Any]:
    return {
        "architectures": ["Exaone4ForCausalLM"], "model_type": "exaone4", "hidden_act": "silu",
        "torch_dtype": "bfloat16", "bos_token_id": 1, "eos_token_id": 361, "pad_token_id": 0, "rms_norm_eps": 1e-5,
        "sliding_window": None, "sliding_window_pattern": None, "tie_word_embeddings": True, **sizes,
    }  # fmt: skip


RECIPES: tuple[Recipe, ...] = (
    # As the 1.2B: tied, attending to everything, Llama 3's factors.
    Recipe(
        name="exaone-4-seeded", vocabulary="gpt2", dtype="BF16", tensors=_tensors, spread=0.08,
        config=_config(
            hidden_size=128, intermediate_size=256, num_hidden_layers=4, num_attention_heads=4,
            num_key_value_heads=1, head_dim=32, max_position_embeddings=65536, rope_theta=1000000,
            layer_types=["full_attention"] * 4,
            rope_scaling={"rope_type": "llama3", "factor": 16.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                          "original_max_position_embeddings": 8192},
        ),
    ),
    # Heads that are no power of two, rows of 160, an untied head; a config that says little.
    Recipe(
        name="exaone-4-awkward-f16", vocabulary="gpt2", dtype="F16", tensors=_tensors, spread=0.08, shards=2,
        config=_config(
            hidden_size=160, intermediate_size=304, num_hidden_layers=3, num_attention_heads=5,
            num_key_value_heads=5, tie_word_embeddings=False, layer_types=["full_attention"] * 3,
        ),
    ),
)  # fmt: skip
