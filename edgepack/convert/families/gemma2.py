"""Gemma 2: as Gemma 1, with norms behind attention and feed-forward too, soft caps, and windows."""

from edgepack.convert.blocks import attention, decoder, gated_feed_forward, hidden, layer, one_more
from edgepack.convert.family import Family, KeyType, name_without_head
from edgepack.convert.hyperparameters import GEMMA_KEYS, NO_SPACE_PREFIX, first
from edgepack.convert.vocabularies.sentencepiece import sentencepiece

GEMMA2 = Family(
    architecture="gemma2",
    classes={
        "Gemma2ForCausalLM": {
            "max_position_embeddings": 8192, "rms_norm_eps": 1e-6, "vocab_size": 256000, "head_dim": 256,
            "num_attention_heads": 8, "num_key_value_heads": 4, "sliding_window": 4096,
            "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
        },
    },
    keys=(
        *GEMMA_KEYS,
        first("attn_logit_softcapping", KeyType.FLOAT32, ("attn_logit_softcapping",)),
        first("final_logit_softcapping", KeyType.FLOAT32, ("final_logit_softcapping",)),
        first("attention.sliding_window", KeyType.UINT32, ("sliding_window",)),
    ),
    keys_after=(NO_SPACE_PREFIX,),
    vocabularies=(sentencepiece,),
    rows=decoder(
        *attention(rotary=False, biased=False),
        layer("post_attention_layernorm.weight", "post_attention_norm.weight", hidden, change=one_more),
        *gated_feed_forward(norm="pre_feedforward_layernorm", norm_change=one_more),
        layer("post_feedforward_layernorm.weight", "post_ffw_norm.weight", hidden, change=one_more),
        head=False, norm_change=one_more,
    ),
    known_as=name_without_head,
)  # fmt: skip
