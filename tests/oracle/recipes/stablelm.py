"""StableLM 2: sequential and parallel residuals, with and without biases, heads that share keys."""

from collections.abc import Mapping
from typing import Any

from tests.fakes.checkpoints import Recipe


def _tensors(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, wide = config["hidden_size"], config["intermediate_size"]
    narrow = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    found: dict[str, tuple[int, ...]] = {
        "lm_head.weight": (config["vocab_size"], hidden),
        "model.embed_tokens.weight": (config["vocab_size"], hidden),
    }
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        norms = ["input_layernorm"] if config["use_parallel_residual"] else [
            "input_layernorm", "post_attention_layernorm"
        ]  # fmt: skip
        for norm in norms:
            found |= {f"{prefix}{norm}.weight": (hidden,), f"{prefix}{norm}.bias": (hidden,)}
        found |= {
            f"{prefix}mlp.gate_proj.weight": (wide, hidden),
            f"{prefix}mlp.up_proj.weight": (wide, hidden),
            f"{prefix}mlp.down_proj.weight": (hidden, wide),
            f"{prefix}self_attn.o_proj.weight": (hidden, hidden),
        }
        for part, rows in {"q": hidden, "k": narrow, "v": narrow}.items():
            found[f"{prefix}self_attn.{part}_proj.weight"] = (rows, hidden)
            if config["use_qkv_bias"]:
                found[f"{prefix}self_attn.{part}_proj.bias"] = (rows,)
    return found | {"model.norm.weight": (hidden,), "model.norm.bias": (hidden,)}


def _config(**sizes: Any) -> dict[str, Any]:
    return {
        "architectures": ["StableLmForCausalLM"], "model_type": "stablelm", "hidden_act": "silu",
        "torch_dtype": "float16", "tie_word_embeddings": False, "bos_token_id": 50256, "eos_token_id": 50256,
        "layer_norm_eps": 1e-5, "use_parallel_residual": False, "use_qkv_bias": True, **sizes,
    }  # fmt: skip


RECIPES: tuple[Recipe, ...] = (
    # StableLM 2 1.6B's: biases on q, k and v, a quarter of each head turned.
    Recipe(
        name="stablelm-2-seeded", vocabulary="gpt2", dtype="F16", tensors=_tensors, spread=0.08,
        config=_config(
            hidden_size=128, intermediate_size=256, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=4, max_position_embeddings=4096, rope_theta=10000, partial_rotary_factor=0.25,
            rope_scaling=None, qk_layernorm=False,
        ),
    ),
    # One norm for attention and feed-forward, as in the 12B; rows that no block of 256 fits.
    Recipe(
        name="stablelm-awkward-bf16", vocabulary="gpt2", dtype="BF16", tensors=_tensors, spread=0.08, shards=2,
        config=_config(
            hidden_size=96, intermediate_size=272, num_hidden_layers=2, num_attention_heads=6,
            num_key_value_heads=2, use_parallel_residual=True, use_qkv_bias=False, partial_rotary_factor=0.5,
        ),
    ),
)  # fmt: skip
