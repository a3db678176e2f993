"""Phi-3, 3.5 and 4-mini: q, k and v in one tensor, gate and up in another, and factors for long contexts."""

import math

from edgepack.convert import blocks
from edgepack.convert.blocks import decoder, feed_forward, heads, hidden, key_value, layer, long_rope_factors, query
from edgepack.convert.config import Config
from edgepack.convert.family import Family, Key, KeyType
from edgepack.convert.hyperparameters import first, original_context, rope_base
from edgepack.convert.requirements import SILU, heads_fill_hidden, rope_types
from edgepack.convert.vocabularies.phi3 import phi3


def _attention_factor(config: Config) -> float | None:
    """By how much a stretched context sharpens attention (LongRoPE, arXiv:2402.13753, section 3.2)."""
    if not blocks.rope_settings(config).has("long_factor"):
        return None
    original = original_context(config)
    scale = config.count("max_position_embeddings") / original
    return math.sqrt(1 + math.log(scale) / math.log(original)) if scale > 1 else 1.0


def _long_or_plain(config: Config) -> None:
    """LongRoPE, by whichever name its age gave it, comes with its factors and with the context that it stretches."""
    rope = blocks.rope_settings(config)
    rope_types("longrope", "su", "yarn")(config)
    if rope.has("long_factor") != ((rope.text("rope_type") or "default") != "default"):
        raise rope.wrong("long_factor", "LongRoPE's factors with its type", rope.table.get("long_factor"))
    if rope.has("long_factor") and original_context(config) < 2:
        raise rope.wrong("original_max_position_embeddings", "at least 2", original_context(config))


PHI3 = Family(
    architecture="phi3",
    classes={
        "Phi3ForCausalLM": {
            "max_position_embeddings": 4096, "original_max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0, "vocab_size": 32064, "num_attention_heads": 32, "num_key_value_heads": heads,
            "partial_rotary_factor": 1.0,
        },
    },
    requires=(SILU, heads_fill_hidden, _long_or_plain),
    keys=(
        first("context_length", KeyType.UINT32, ("max_position_embeddings",)),
        Key("rope.scaling.original_context_length", KeyType.UINT32, original_context),
        Key("embedding_length", KeyType.UINT32, hidden),
        Key("feed_forward_length", KeyType.UINT32, feed_forward),
        Key("block_count", KeyType.UINT32, blocks.layers),
        Key("attention.head_count", KeyType.UINT32, heads),
        Key("attention.head_count_kv", KeyType.UINT32, blocks.key_value_heads),
        first("attention.layer_norm_rms_epsilon", KeyType.FLOAT32, ("rms_norm_eps",)),
        Key("rope.dimension_count", KeyType.UINT32, blocks.rotary_width),
        Key("rope.freq_base", KeyType.FLOAT32, rope_base),
        # No window is written as 0: so llama.cpp tells Phi-4 from Phi-3.
        Key("attention.sliding_window", KeyType.UINT32,
            lambda config: config.count("sliding_window") if config.has("sliding_window") else 0),
    ),
    vocabularies=(phi3,),
    rows=decoder(
        layer("self_attn.qkv_proj.weight", "attn_qkv.weight",
              lambda config: query(config) + 2 * key_value(config), hidden),
        layer("self_attn.o_proj.weight", "attn_output.weight", hidden, query),
        layer("post_attention_layernorm.weight", "ffn_norm.weight", hidden),
        layer("mlp.gate_up_proj.weight", "ffn_up.weight", lambda config: 2 * feed_forward(config), hidden),
        layer("mlp.down_proj.weight", "ffn_down.weight", hidden, feed_forward),
    ),
    generated=long_rope_factors(blocks.rotary_width),
    keys_before=(Key("rope.scaling.attn_factor", KeyType.FLOAT32, _attention_factor),),
)  # fmt: skip
