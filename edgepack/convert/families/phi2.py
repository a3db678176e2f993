"""Phi-1, 1.5 and 2: attention and feed-forward side by side behind one norm, biases everywhere."""

from edgepack.convert import blocks
from edgepack.convert.blocks import feed_forward, heads, hidden, layer, query, vocabulary
from edgepack.convert.config import Config
from edgepack.convert.family import Family, Key, KeyType, Row, Size
from edgepack.convert.hyperparameters import first
from edgepack.convert.requirements import heads_fill_hidden, only, rope_base, tanh_gelu
from edgepack.convert.vocabularies.byte_level import byte_level


def _with_bias(stored: str, written: str, *shape: Size) -> tuple[Row, Row]:
    return (
        layer(f"{stored}.weight", f"{written}.weight", *shape),
        layer(f"{stored}.bias", f"{written}.bias", shape[0]),
    )


def _every_head_its_own(config: Config) -> None:
    only("num_key_value_heads", heads(config))(config)


def _four_times_as_wide(config: Config) -> None:
    only("intermediate_size", 4 * hidden(config))(config)


PHI2 = Family(
    architecture="phi2",
    classes={
        "PhiForCausalLM": {
            "max_position_embeddings": 2048, "layer_norm_eps": 1e-5, "vocab_size": 51200, "num_attention_heads": 32,
            "intermediate_size": 8192, "partial_rotary_factor": 0.5,
        },
    },
    requires=(
        tanh_gelu("hidden_act"), only("qk_layernorm", False), rope_base(10000.0), heads_fill_hidden,
        _every_head_its_own, _four_times_as_wide,
    ),
    keys=(
        first("context_length", KeyType.UINT32, ("max_position_embeddings",)),
        Key("embedding_length", KeyType.UINT32, hidden),
        Key("feed_forward_length", KeyType.UINT32, feed_forward),
        Key("block_count", KeyType.UINT32, blocks.layers),
        Key("attention.head_count", KeyType.UINT32, heads),
        Key("attention.head_count_kv", KeyType.UINT32, heads),
        first("attention.layer_norm_epsilon", KeyType.FLOAT32, ("layer_norm_eps",)),
        Key("rope.dimension_count", KeyType.UINT32, blocks.rotary_width),
        Key("tokenizer.ggml.add_bos_token", KeyType.BOOL, lambda _config: False),
    ),
    vocabularies=(byte_level,),
    rows=(
        Row(stored="model.embed_tokens.weight", written="token_embd.weight", shape=(vocabulary, hidden)),
        Row(stored="model.final_layernorm.weight", written="output_norm.weight", shape=(hidden,)),
        Row(stored="model.final_layernorm.bias", written="output_norm.bias", shape=(hidden,)),
        # Never tied: llama.cpp asks for a head.
        Row(stored="lm_head.weight", written="output.weight", shape=(vocabulary, hidden)),
        Row(stored="lm_head.bias", written="output.bias", shape=(vocabulary,)),
        *_with_bias("input_layernorm", "attn_norm", hidden),
        *_with_bias("self_attn.q_proj", "attn_q", query, hidden),
        *_with_bias("self_attn.k_proj", "attn_k", query, hidden),
        *_with_bias("self_attn.v_proj", "attn_v", query, hidden),
        *_with_bias("self_attn.dense", "attn_output", hidden, query),
        *_with_bias("mlp.fc1", "ffn_up", feed_forward, hidden),
        *_with_bias("mlp.fc2", "ffn_down", hidden, feed_forward),
    ),
)  # fmt: skip
