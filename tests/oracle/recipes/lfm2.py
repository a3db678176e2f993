"""LFM2: layers that convolve between layers that attend, feed-forward widths that the config leaves to arithmetic."""

from collections.abc import Mapping
from typing import Any

from tests.fakes.checkpoints import Recipe


def _tensors(config: Mapping[str, Any], *, wide: int, attending: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    hidden, kernel = config["hidden_size"], config.get("conv_L_cache", 3)
    head = hidden // config["num_attention_heads"]
    narrow = head * config["num_key_value_heads"]
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config["vocab_size"], hidden)}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        if layer in attending:
            found |= {
                f"{prefix}self_attn.q_proj.weight": (hidden, hidden),
                f"{prefix}self_attn.k_proj.weight": (narrow, hidden),
                f"{prefix}self_attn.v_proj.weight": (narrow, hidden),
                f"{prefix}self_attn.out_proj.weight": (hidden, hidden),
                f"{prefix}self_attn.q_layernorm.weight": (head,),
                f"{prefix}self_attn.k_layernorm.weight": (head,),
            }
        else:
            found |= {
                f"{prefix}conv.conv.weight": (hidden, 1, kernel),
                f"{prefix}conv.in_proj.weight": (3 * hidden, hidden),
                f"{prefix}conv.out_proj.weight": (hidden, hidden),
            }
        found |= {
            f"{prefix}feed_forward.w1.weight": (wide, hidden),
            f"{prefix}feed_forward.w2.weight": (hidden, wide),
            f"{prefix}feed_forward.w3.weight": (wide, hidden),
            f"{prefix}operator_norm.weight": (hidden,),
            f"{prefix}ffn_norm.weight": (hidden,),
        }
    return found | {"model.embedding_norm.weight": (hidden,)}


def _config(**sizes: Any) -> dict[str, Any]:
    return {
        "architectures": ["Lfm2ForCausalLM"], "model_type": "lfm2", "bos_token_id": 50256, "eos_token_id": 50256,
        "pad_token_id": 0, "norm_eps": 1e-5, "max_position_embeddings": 128000, "use_cache": True, **sizes,
    }  # fmt: skip


RECIPES: tuple[Recipe, ...] = (
    # LFM2-350M's config: its first names for things, widths before they are cut to two thirds.
    Recipe(
        name="lfm2-seeded", vocabulary="gpt2", dtype="BF16", spread=0.08,
        tensors=lambda config: _tensors(config, wide=512, attending=(1, 3)),
        config=_config(
            hidden_size=256, num_hidden_layers=5, num_attention_heads=4, num_key_value_heads=2,
            block_auto_adjust_ff_dim=True, block_dim=256, block_ff_dim=640, block_ffn_dim_multiplier=1.0,
            block_multiple_of=256, block_norm_eps=1e-5, block_use_swiglu=True, conv_L_cache=3, conv_bias=False,
            conv_dim=256, conv_dim_out=256, full_attn_idxs=[1, 3], num_heads=4, rope_theta=1000000.0, theta=1000000.0,
            tie_embedding=True, use_pos_enc=True, torch_dtype="bfloat16",
        ),
        generation={"bos_token_id": 50256, "eos_token_id": 50256, "temperature": 0.3, "min_p": 0.15,
                    "repetition_penalty": 1.05},
    ),
    # LFM2.5's: layers by name, rotary settings in a table; rows that not even 32 divides, a head of its own.
    Recipe(
        name="lfm2.5-awkward-f16", vocabulary="gpt2", dtype="F16", spread=0.08, shards=2,
        tensors=lambda config: _tensors(config, wide=336, attending=(0, 2))
        | {"lm_head.weight": (config["vocab_size"], config["hidden_size"])},
        config=_config(
            hidden_size=144, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=3, conv_L_cache=4,
            intermediate_size=400, block_multiple_of=48, block_ffn_dim_multiplier=1.25,
            layer_types=["full_attention", "conv", "full_attention"],
            rope_parameters={"rope_theta": 500000.0, "rope_type": "default"}, rope_theta=500000.0,
            tie_word_embeddings=False, dtype="float16",
        ),
    ),
    # Width as it stands, float32, and a config that leaves out what its class knows.
    Recipe(
        name="lfm2-terse-f32", vocabulary="gpt2", dtype="F32", spread=0.08,
        tensors=lambda config: _tensors(config, wide=320, attending=(1,)),
        config={
            "architectures": ["Lfm2ForCausalLM"], "model_type": "lfm2", "hidden_size": 128, "num_hidden_layers": 3,
            "num_attention_heads": 4, "num_key_value_heads": 1, "intermediate_size": 320,
            "block_auto_adjust_ff_dim": False, "full_attn_idxs": [1],
        },
    ),
)  # fmt: skip
