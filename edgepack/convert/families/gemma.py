"""Gemma 1: norms that hold one less than they multiply by, wide heads, a tied head whatever the checkpoint stores."""

from edgepack.convert.blocks import attention, decoder, gated_feed_forward, one_more
from edgepack.convert.family import Family, name_without_head
from edgepack.convert.hyperparameters import GEMMA_KEYS, NO_SPACE_PREFIX, token_id
from edgepack.convert.vocabularies.sentencepiece import sentencepiece

GEMMA = Family(
    architecture="gemma",
    classes={
        "GemmaForCausalLM": {
            "max_position_embeddings": 8192, "rms_norm_eps": 1e-6, "vocab_size": 256000, "head_dim": 256,
            "num_attention_heads": 16, "num_key_value_heads": 16,
        },
    },
    keys=GEMMA_KEYS,
    # The end of a turn, wherever the tokenizer's files put it: so the oracle.
    keys_after=(token_id("eot", 107), NO_SPACE_PREFIX),
    vocabularies=(sentencepiece,),
    rows=decoder(
        *attention(rotary=False, biased=False), *gated_feed_forward(norm_change=one_more),
        head=False, norm_change=one_more,
    ),
    known_as=name_without_head,
)  # fmt: skip
