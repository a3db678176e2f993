"""EXAONE 4: norms behind attention and feed-forward instead of before them, and over each head."""

from functools import partial

from edgepack.convert import blocks
from edgepack.convert.blocks import decoder, gated_feed_forward, head_width, hidden, layer, unbiased_attention
from edgepack.convert.family import Family, KeyType
from edgepack.convert.hyperparameters import DECODER_KEYS, first
from edgepack.convert.requirements import SILU, heads_fill_hidden, only, rope_types
from edgepack.convert.vocabularies.byte_level import byte_level

EXAONE4 = Family(
    architecture="exaone4",
    classes={
        "Exaone4ForCausalLM": {
            "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "vocab_size": 102400,
            "num_attention_heads": 32, "num_key_value_heads": 32,
            # Null says that there is no window, silence that there is.
            "sliding_window": lambda config: None if "sliding_window" in config.table else 4096,
        },
    },
    # llama.cpp knows windows by the 64 layers of the 32B, far above what edgepack is for.
    requires=(SILU, heads_fill_hidden, rope_types("linear", "llama3", "yarn"), only("sliding_window")),
    keys=(*DECODER_KEYS, first("vocab_size", KeyType.UINT32, ("vocab_size",))),
    vocabularies=(byte_level,),
    rows=decoder(
        *unbiased_attention(rotary=False),
        layer("self_attn.q_norm.weight", "attn_q_norm.weight", head_width),
        layer("self_attn.k_norm.weight", "attn_k_norm.weight", head_width),
        layer("post_attention_layernorm.weight", "post_attention_norm.weight", hidden),
        *gated_feed_forward()[1:],
        layer("post_feedforward_layernorm.weight", "post_ffw_norm.weight", hidden),
        norm_before=False,
    ),
    generated=(partial(blocks.llama3_rope_factors, factor=16.0),),
)  # fmt: skip
