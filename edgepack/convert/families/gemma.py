"""Gemma 1: norms that hold one less than they multiply by, wide heads, a tied head whatever the checkpoint stores."""

from edgepack.convert.blocks import decoder, gated_feed_forward, one_more, unbiased_attention
from edgepack.convert.family import Family, name_without_head
from edgepack.convert.hyperparameters import GEMMA_KEYS, NO_SPACE_PREFIX, token_id
from edgepack.convert.requirements import only, rope_base, tanh_gelu
from edgepack.convert.vocabularies.sentencepiece import sentencepiece

GEMMA = Family(
    architecture="gemma",
    classes={
        "GemmaForCausalLM": {
            "max_position_embeddings": 8192, "rms_norm_eps": 1e-6, "vocab_size": 256000, "head_dim": 256,
            "num_attention_heads": 16, "num_key_value_heads": 16,
        },
    },
    requires=(
        # The oldest say "gelu", and meant its tangent.
        only("hidden_act", "gelu", "gelu_pytorch_tanh"), tanh_gelu("hidden_activation"), rope_base(10000.0),
        only("tie_word_embeddings", True), only("use_bidirectional_attention", False),
    ),
    keys=GEMMA_KEYS,
    # The end of a turn, wherever the tokenizer's files put it: so the oracle.
    keys_after=(token_id("eot", 107), NO_SPACE_PREFIX),
    vocabularies=(sentencepiece,),
    rows=decoder(
        *unbiased_attention(rotary=False), *gated_feed_forward(norm_change=one_more),
        head=False, norm_change=one_more,
    ),
    known_as=name_without_head,
)  # fmt: skip
