"""StableLM 2 and 3B-4E1T: norms with means and biases, a quarter of each head turned, SwiGLU."""

from edgepack.convert import blocks
from edgepack.convert.blocks import attention, gated_feed_forward, head_width, hidden, layer, vocabulary
from edgepack.convert.config import Config
from edgepack.convert.family import Family, Key, KeyType, Row
from edgepack.convert.hyperparameters import first
from edgepack.convert.requirements import SILU, heads_fill_hidden, only, rope_base
from edgepack.convert.vocabularies.byte_level import byte_level


def _rotary_width(config: Config) -> int:
    width = int(blocks.rope_settings(config).positive("partial_rotary_factor") * head_width(config))
    if width % 2 or not 0 < width <= head_width(config):
        raise config.wrong("partial_rotary_factor", f"an even part of {head_width(config)}", width)
    return width


def _has_feed_forward_norm(config: Config, _layer: int) -> bool:
    """Where attention and feed-forward stand side by side, one norm serves both."""
    return not config.flag("use_parallel_residual")


STABLELM = Family(
    architecture="stablelm",
    classes={
        "StableLmForCausalLM": {
            "max_position_embeddings": 4096, "layer_norm_eps": 1e-5, "rope_theta": 10000.0, "vocab_size": 50304,
            "num_attention_heads": 32, "num_key_value_heads": 32, "partial_rotary_factor": 0.25,
            "use_parallel_residual": False,
        },
    },
    keys=(
        first("context_length", KeyType.UINT32, ("max_position_embeddings",)),
        Key("embedding_length", KeyType.UINT32, blocks.hidden),
        Key("block_count", KeyType.UINT32, blocks.layers),
        Key("feed_forward_length", KeyType.UINT32, blocks.feed_forward),
        Key("rope.dimension_count", KeyType.UINT32, _rotary_width),
        Key("attention.head_count", KeyType.UINT32, blocks.heads),
        Key("attention.head_count_kv", KeyType.UINT32, blocks.key_value_heads),
        Key("use_parallel_residual", KeyType.BOOL, lambda config: config.flag("use_parallel_residual")),
        first("attention.layer_norm_epsilon", KeyType.FLOAT32, ("layer_norm_eps",)),
    ),
    requires=(SILU, only("qk_layernorm", False), heads_fill_hidden, rope_base(10000.0)),
    vocabularies=(byte_level,),
    rows=(
        Row(stored="model.embed_tokens.weight", written="token_embd.weight", shape=(vocabulary, hidden)),
        Row(stored="model.norm.weight", written="output_norm.weight", shape=(hidden,)),
        Row(stored="model.norm.bias", written="output_norm.bias", shape=(hidden,)),
        # Never tied: llama.cpp asks for a head.
        Row(stored="lm_head.weight", written="output.weight", shape=(vocabulary, hidden)),
        layer("input_layernorm.weight", "attn_norm.weight", hidden),
        layer("input_layernorm.bias", "attn_norm.bias", hidden),
        *attention(rotary=False, biased=False)[:-1],  # the output has no bias
        layer("post_attention_layernorm.weight", "ffn_norm.weight", hidden, layers=_has_feed_forward_norm),
        layer("post_attention_layernorm.bias", "ffn_norm.bias", hidden, layers=_has_feed_forward_norm),
        *gated_feed_forward()[1:],
    ),
)  # fmt: skip
