"""Granite 3.x, SmolLM3, OLMo 2, and Falcon3, which is a LLaMA."""

from collections.abc import Mapping
from typing import Any

from tests.fakes.checkpoints import Recipe, shapes


def _olmo2(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden = config["hidden_size"]
    narrow = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    found = {name: shape for name, shape in _llama(config).items() if ".input_layernorm." not in name}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        found[f"{prefix}post_feedforward_layernorm.weight"] = (hidden,)
        found[f"{prefix}self_attn.q_norm.weight"] = (hidden,)
        found[f"{prefix}self_attn.k_norm.weight"] = (narrow,)
    return found


def _llama(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return shapes(Recipe(name="", vocabulary="", dtype="", config=config), config)


def _config(kind: str, model_type: str, **sizes: Any) -> dict[str, Any]:
    return {
        "architectures": [f"{kind}ForCausalLM"], "model_type": model_type, "hidden_act": "silu",
        "torch_dtype": "bfloat16", "bos_token_id": 1, "eos_token_id": 2, "rms_norm_eps": 1e-5, **sizes,
    }  # fmt: skip


_NARROW = {"hidden_size": 160, "intermediate_size": 288, "num_attention_heads": 10, "num_key_value_heads": 2}
_PLAIN = {"hidden_size": 256, "intermediate_size": 512, "num_attention_heads": 8, "num_key_value_heads": 2}
_MULTIPLIERS = {
    "embedding_multiplier": 12.0, "logits_scaling": 8.0, "residual_multiplier": 0.22,
    "attention_multiplier": 0.015625,
}  # fmt: skip

RECIPES: tuple[Recipe, ...] = (
    # Granite 3.3 2B's: byte-level, tied.
    Recipe(
        name="granite-3-seeded", vocabulary="gpt2", dtype="BF16", tensors=_llama, spread=0.08,
        config=_config(
            "Granite", "granite", **_MULTIPLIERS, hidden_size=128, intermediate_size=256, num_attention_heads=4,
            num_key_value_heads=1, num_hidden_layers=3, rope_theta=10000000.0, max_position_embeddings=131072,
            tie_word_embeddings=True, attention_bias=False, mlp_bias=False, rope_scaling=None,
        ),
    ),
    # As many tokens as make the oracle begin no text with one, whatever other files say; head_dim is dropped.
    Recipe(
        name="granite-3-awkward-f16", vocabulary="few-pieces", dtype="F16", tensors=_llama, spread=0.08,
        config=_config(
            "Granite", "granite", **_NARROW, **_MULTIPLIERS, num_hidden_layers=3, head_dim=16,
            max_position_embeddings=4096, tie_word_embeddings=False, vocab_size=49152,
        ),
    ),
    Recipe(
        name="smollm3-seeded", vocabulary="few-pieces", dtype="BF16", tensors=_llama, spread=0.08,
        config=_config(
            "SmolLM3", "smollm3", **_PLAIN, num_hidden_layers=5, rope_theta=5000000.0, tie_word_embeddings=True,
            max_position_embeddings=65536, pad_token_id=0, no_rope_layer_interval=4,
        ),
    ),
    Recipe(
        name="smollm3-awkward-f32", vocabulary="few-pieces", dtype="F32", tensors=_llama, spread=0.08, shards=2,
        config=_config("SmolLM3", "smollm3", **_NARROW, num_hidden_layers=4, pad_token_id=0,
                       tie_word_embeddings=False),
    ),
    Recipe(
        name="olmo-2-seeded", vocabulary="gpt2", dtype="F32", tensors=_olmo2, spread=0.08,
        config=_config(
            "Olmo2", "olmo2", hidden_size=128, intermediate_size=256, num_attention_heads=4, num_key_value_heads=4,
            num_hidden_layers=3, rope_theta=500000, max_position_embeddings=4096, tie_word_embeddings=False,
        ),
    ),
    Recipe(
        name="olmo-2-awkward", vocabulary="gpt2", dtype="BF16", tensors=_olmo2, spread=0.08,
        config=_config("Olmo2", "olmo2", **_NARROW, num_hidden_layers=2, tie_word_embeddings=False,
                       max_position_embeddings=4096),
    ),
    # Falcon3 is a LLaMA whose heads are wider than hidden/heads.
    Recipe(
        name="Falcon3-seeded", vocabulary="few-pieces", dtype="BF16", tensors=_llama, spread=0.08,
        config=_config(
            "Llama", "llama", **_PLAIN, head_dim=64, num_hidden_layers=3, rope_theta=1000042,
            max_position_embeddings=8192, tie_word_embeddings=False, mlp_bias=False, attention_bias=False,
        ),
    ),
)  # fmt: skip
