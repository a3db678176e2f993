"""Qwen 3.5: delta nets between layers that attend, alone or beside eyes, with a layer that looks ahead or without.

torch's float32 exponential depends on the processor in its last bit; the seeds here give decays on which the
recorded one agrees with the nearest number, which edgepack writes everywhere.
"""

from collections.abc import Mapping
from typing import Any

from tests.fakes.checkpoints import Recipe


def _block(config: Mapping[str, Any], prefix: str, *, recurs: bool) -> dict[str, tuple[int, ...]]:
    hidden, wide, head = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    query, narrow = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    heads = config["linear_num_value_heads"]
    value = heads * config["linear_value_head_dim"]
    mixed = 2 * config["linear_num_key_heads"] * config["linear_key_head_dim"] + value
    found: dict[str, tuple[int, ...]] = {
        f"{prefix}mlp.gate_proj.weight": (wide, hidden),
        f"{prefix}mlp.up_proj.weight": (wide, hidden),
        f"{prefix}mlp.down_proj.weight": (hidden, wide),
        f"{prefix}input_layernorm.weight": (hidden,),
        f"{prefix}post_attention_layernorm.weight": (hidden,),
    }
    if recurs:
        return found | {
            f"{prefix}linear_attn.dt_bias": (heads,),
            f"{prefix}linear_attn.A_log": (heads,),
            f"{prefix}linear_attn.conv1d.weight": (mixed, 1, config["linear_conv_kernel_dim"]),
            f"{prefix}linear_attn.norm.weight": (config["linear_value_head_dim"],),
            f"{prefix}linear_attn.out_proj.weight": (hidden, value),
            f"{prefix}linear_attn.in_proj_qkv.weight": (mixed, hidden),
            f"{prefix}linear_attn.in_proj_z.weight": (value, hidden),
            f"{prefix}linear_attn.in_proj_b.weight": (heads, hidden),
            f"{prefix}linear_attn.in_proj_a.weight": (heads, hidden),
        }
    return found | {
        f"{prefix}self_attn.q_proj.weight": (2 * query, hidden),
        f"{prefix}self_attn.k_proj.weight": (narrow, hidden),
        f"{prefix}self_attn.v_proj.weight": (narrow, hidden),
        f"{prefix}self_attn.o_proj.weight": (hidden, query),
        f"{prefix}self_attn.q_norm.weight": (head,),
        f"{prefix}self_attn.k_norm.weight": (head,),
    }


def _text(config: Mapping[str, Any], *, prefix: str = "model.") -> dict[str, tuple[int, ...]]:
    hidden, step = config["hidden_size"], config["full_attention_interval"]
    found: dict[str, tuple[int, ...]] = {f"{prefix}embed_tokens.weight": (config["vocab_size"], hidden)}
    for layer in range(config["num_hidden_layers"]):
        found |= _block(config, f"{prefix}layers.{layer}.", recurs=(layer + 1) % step > 0)
    return found | {f"{prefix}norm.weight": (hidden,)}


def _ahead(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden = config["hidden_size"]
    return _block(config, "mtp.layers.0.", recurs=False) | {
        "mtp.fc.weight": (hidden, 2 * hidden),
        "mtp.norm.weight": (hidden,),
        "mtp.pre_fc_norm_embedding.weight": (hidden,),
        "mtp.pre_fc_norm_hidden.weight": (hidden,),
    }


def _eyes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    vision, block = config["vision_config"], "model.visual.blocks.0."
    hidden, wide, merged = vision["hidden_size"], vision["intermediate_size"], 4 * vision["hidden_size"]
    found: dict[str, tuple[int, ...]] = {
        "model.visual.patch_embed.proj.weight": (hidden, 3, 2, 16, 16),
        "model.visual.pos_embed.weight": (vision["num_position_embeddings"], hidden),
        f"{block}attn.qkv.weight": (3 * hidden, hidden),
        f"{block}attn.proj.weight": (hidden, hidden),
        f"{block}mlp.linear_fc1.weight": (wide, hidden),
        f"{block}mlp.linear_fc2.weight": (hidden, wide),
        "model.visual.merger.linear_fc1.weight": (merged, merged),
        "model.visual.merger.linear_fc2.weight": (vision["out_hidden_size"], merged),
    } | {f"{norm}.weight": (hidden,) for norm in (f"{block}norm1", f"{block}norm2", "model.visual.merger.norm")}
    unbiased = "model.visual.pos_embed.weight"
    biases = {f"{name[:-6]}bias": shape[:1] for name, shape in found.items() if name != unbiased}
    return found | biases


def _text_config(**sizes: Any) -> dict[str, Any]:
    return {
        "model_type": "qwen3_5_text", "vocab_size": 50257, "hidden_act": "silu", "attention_bias": False,
        "attn_output_gate": True, "rms_norm_eps": 1e-6, "linear_conv_kernel_dim": 4, "mamba_ssm_dtype": "float32",
        "max_position_embeddings": 262144, "mtp_num_hidden_layers": 1, "mtp_use_dedicated_embeddings": False,
        "eos_token_id": 50256, **sizes,
    }  # fmt: skip


_ROPE = {
    "mrope_interleaved": True, "mrope_section": [11, 11, 10], "partial_rotary_factor": 0.25,
    "rope_theta": 10000000, "rope_type": "default",
}  # fmt: skip
_FLOAT32 = (".A_log", ".linear_attn.norm.weight")

RECIPES: tuple[Recipe, ...] = (
    # Qwen3.5-0.8B's: beside eyes, as many key heads as value heads, layers listed, some tensors in float32.
    Recipe(
        name="qwen3.5-seeded", vocabulary="gpt2", dtype="BF16", spread=0.08, float32=_FLOAT32,
        tensors=lambda config: _text(config["text_config"], prefix="model.language_model.") | _eyes(config)
        | _ahead(config["text_config"]),
        config={
            "architectures": ["Qwen3_5ForConditionalGeneration"], "model_type": "qwen3_5", "image_token_id": 50000,
            "video_token_id": 50001, "vision_start_token_id": 50002, "vision_end_token_id": 50003,
            "tie_word_embeddings": True,
            "text_config": _text_config(
                dtype="bfloat16", hidden_size=256, intermediate_size=512, num_hidden_layers=4, num_attention_heads=2,
                num_key_value_heads=1, head_dim=128, linear_num_key_heads=4, linear_num_value_heads=4,
                linear_key_head_dim=64, linear_value_head_dim=64, full_attention_interval=4,
                layer_types=["linear_attention"] * 3 + ["full_attention"], rope_parameters=_ROPE,
                tie_word_embeddings=True,
            ),
            "vision_config": {
                "model_type": "qwen3_5", "depth": 1, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2,
                "out_hidden_size": 256, "num_position_embeddings": 16, "patch_size": 16, "in_channels": 3,
                "spatial_merge_size": 2, "temporal_patch_size": 2,
            },
        },
    ),
    # Fine-tuned: the layer that looks ahead is lost; two value heads a key head, unlisted layers, a head of its own.
    Recipe(
        name="qwen3.5-awkward-f16", vocabulary="gpt2", dtype="F16", spread=0.08, options=("--no-mtp",),
        tensors=lambda config: _text(config) | {"lm_head.weight": (config["vocab_size"], config["hidden_size"])},
        config={
            "architectures": ["Qwen3_5ForCausalLM"], "tie_word_embeddings": False,
            **_text_config(
                dtype="float16", hidden_size=144, intermediate_size=352, num_hidden_layers=5, num_attention_heads=3,
                num_key_value_heads=3, head_dim=64, linear_num_key_heads=3, linear_num_value_heads=6,
                linear_key_head_dim=40, linear_value_head_dim=40, full_attention_interval=2, rope_theta=10000.0,
                partial_rotary_factor=0.5,
            ),
        },
    ),
    # Qwen3.5-4B's groups, three value heads a key head here, with the layer that looks ahead; float32.
    Recipe(
        name="qwen3.5-grouped-f32", vocabulary="gpt2", dtype="F32", spread=0.08, shards=2,
        tensors=lambda config: _text(config) | _ahead(config),
        config={
            "architectures": ["Qwen3_5ForCausalLM"], "tie_word_embeddings": True,
            **_text_config(
                dtype="float32", hidden_size=128, intermediate_size=256, num_hidden_layers=3, num_attention_heads=2,
                num_key_value_heads=1, head_dim=64, linear_num_key_heads=2, linear_num_value_heads=6,
                linear_key_head_dim=32, linear_value_head_dim=32, full_attention_interval=3,
                layer_types=["linear_attention"] * 2 + ["full_attention"], rope_parameters=_ROPE,
            ),
        },
    ),
)  # fmt: skip
