"""OLMo 2: norms behind attention and feed-forward instead of before them, and over all query and key heads."""

from edgepack.convert.blocks import (
    attention,
    decoder,
    gated_feed_forward,
    hidden,
    key_value,
    layer,
    query,
    vocabulary,
)
from edgepack.convert.family import Family, Row
from edgepack.convert.hyperparameters import DECODER_KEYS
from edgepack.convert.requirements import NO_ATTENTION_BIAS, SILU, heads_fill_hidden, rope_types
from edgepack.convert.vocabularies.byte_level import byte_level

OLMO2 = Family(
    architecture="olmo2",
    classes={
        "Olmo2ForCausalLM": {
            "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "vocab_size": 50304,
        },
    },
    keys=DECODER_KEYS,
    requires=(SILU, NO_ATTENTION_BIAS, heads_fill_hidden, rope_types("linear", "dynamic")),
    vocabularies=(byte_level,),
    rows=decoder(
        *attention(rotary=False, biased=False),
        layer("self_attn.q_norm.weight", "attn_q_norm.weight", query),
        layer("self_attn.k_norm.weight", "attn_k_norm.weight", key_value),
        layer("post_attention_layernorm.weight", "post_attention_norm.weight", hidden),
        *gated_feed_forward()[1:],
        layer("post_feedforward_layernorm.weight", "post_ffw_norm.weight", hidden),
        # Never tied: llama.cpp asks for a head.
        Row(stored="lm_head.weight", written="output.weight", shape=(vocabulary, hidden)),
        head=False, norm_before=False,
    ),
)  # fmt: skip
