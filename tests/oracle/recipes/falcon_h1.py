"""Falcon-H1: Mamba 2 beside attention, multipliers in the weights, norms over groups or none.

The multiplied weights are no longer bfloat16: the oracle's first step writes float32 for a bfloat16 checkpoint.
Of the seeds, see `qwen3_5.py`.
"""

from collections.abc import Mapping
from typing import Any

from tests.fakes.checkpoints import Recipe


def _tensors(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, wide, inner = config["hidden_size"], config["intermediate_size"], config["mamba_d_ssm"]
    query = config["num_attention_heads"] * config["head_dim"]
    narrow = config["num_key_value_heads"] * config["head_dim"]
    heads, mixed = config["mamba_n_heads"], inner + 2 * config["mamba_n_groups"] * config["mamba_d_state"]
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config["vocab_size"], hidden)}
    if not config["tie_word_embeddings"]:
        found["lm_head.weight"] = (config["vocab_size"], hidden)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        found |= {
            f"{prefix}feed_forward.gate_proj.weight": (wide, hidden),
            f"{prefix}feed_forward.up_proj.weight": (wide, hidden),
            f"{prefix}feed_forward.down_proj.weight": (hidden, wide),
            f"{prefix}input_layernorm.weight": (hidden,),
            f"{prefix}mamba.A_log": (heads,),
            f"{prefix}mamba.D": (heads,),
            f"{prefix}mamba.conv1d.weight": (mixed, 1, config["mamba_d_conv"]),
            f"{prefix}mamba.conv1d.bias": (mixed,),
            f"{prefix}mamba.dt_bias": (heads,),
            f"{prefix}mamba.in_proj.weight": (inner + mixed + heads, hidden),
            f"{prefix}mamba.out_proj.weight": (hidden, inner),
            f"{prefix}pre_ff_layernorm.weight": (hidden,),
            f"{prefix}self_attn.q_proj.weight": (query, hidden),
            f"{prefix}self_attn.k_proj.weight": (narrow, hidden),
            f"{prefix}self_attn.v_proj.weight": (narrow, hidden),
            f"{prefix}self_attn.o_proj.weight": (hidden, query),
        }
        if config["mamba_rms_norm"]:
            found[f"{prefix}mamba.norm.weight"] = (inner,)
    return found | {"model.final_layernorm.weight": (hidden,)}


def _config(**sizes: Any) -> dict[str, Any]:
    return {
        "architectures": ["FalconH1ForCausalLM"], "model_type": "falcon_h1", "attention_bias": False,
        "attn_layer_indices": None, "bos_token_id": 50256, "eos_token_id": 50256, "pad_token_id": 0,
        "hidden_act": "silu", "mamba_conv_bias": True, "mamba_d_conv": 4, "mamba_expand": 2, "mamba_proj_bias": False,
        "mamba_norm_before_gate": False, "mamba_use_mlp": True, "mlp_bias": False, "projectors_bias": False,
        "rms_norm_eps": 1e-5, "rope_scaling": None, **sizes,
    }  # fmt: skip


RECIPES: tuple[Recipe, ...] = (
    # Falcon-H1-0.5B's: its multipliers, one group, no norm, a head of its own.
    Recipe(
        name="falcon-h1-seeded", vocabulary="gpt2", dtype="BF16", outtype="F32", spread=0.08, tensors=_tensors,
        config=_config(
            hidden_size=256, intermediate_size=512, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
            head_dim=64, mamba_chunk_size=128, mamba_d_head=64, mamba_d_ssm=384, mamba_d_state=128, mamba_n_groups=1,
            mamba_n_heads=6, mamba_rms_norm=False, rope_theta=100000000000.0, max_position_embeddings=16384,
            tie_word_embeddings=False, torch_dtype="bfloat16", attention_in_multiplier=1.0,
            attention_out_multiplier=0.9375, embedding_multiplier=5.656854249492381,
            key_multiplier=0.39062499999999994, lm_head_multiplier=0.0390625,
            mlp_multipliers=[0.8838834764831844, 0.5859375], ssm_in_multiplier=1.25,
            ssm_multipliers=[0.3535533905932738, 0.25, 0.3535533905932738, 0.5, 0.3535533905932738],
            ssm_out_multiplier=0.23570226039551587,
        ),
    ),
    # Norms over two groups behind the gate; float16, which rounds each product; narrow heads of attention.
    Recipe(
        name="falcon-h1-awkward-f16", vocabulary="gpt2", dtype="F16", spread=0.08, tensors=_tensors,
        config=_config(
            hidden_size=144, intermediate_size=352, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1,
            head_dim=32, mamba_chunk_size=16, mamba_d_head=28, mamba_d_ssm=168, mamba_d_state=24, mamba_n_groups=2,
            mamba_n_heads=6, mamba_rms_norm=True, rope_theta=10000.0, max_position_embeddings=4096,
            tie_word_embeddings=True, torch_dtype="float16", attention_in_multiplier=0.7,
            attention_out_multiplier=1.3, embedding_multiplier=0.9, key_multiplier=0.3, lm_head_multiplier=0.9,
            mlp_multipliers=[0.6, 1.7], ssm_in_multiplier=1.1, ssm_multipliers=[0.9, 0.8, 1.2, 1.3, 0.7],
            ssm_out_multiplier=0.4,
        ),
    ),
    # Falcon-H1-7B's norm over one group, tied without multipliers, a wider kernel; float32 in shards.
    Recipe(
        name="falcon-h1-normed-f32", vocabulary="gpt2", dtype="F32", spread=0.08, tensors=_tensors, shards=2,
        config=_config(
            hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4,
            head_dim=32, mamba_chunk_size=32, mamba_d_conv=5, mamba_d_head=32, mamba_d_ssm=256, mamba_d_state=32,
            mamba_n_groups=1, mamba_n_heads=8, mamba_rms_norm=True, rope_theta=100000.0,
            max_position_embeddings=8192, tie_word_embeddings=True, torch_dtype="float32",
            attention_in_multiplier=1.0, attention_out_multiplier=1.0, embedding_multiplier=1.0, key_multiplier=1.0,
            lm_head_multiplier=1.0, mlp_multipliers=[1.0, 1.0], ssm_in_multiplier=1.0,
            ssm_multipliers=[1.0, 1.0, 1.0, 1.0, 1.0], ssm_out_multiplier=1.0,
        ),
    ),
)  # fmt: skip
