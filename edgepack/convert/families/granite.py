"""Granite 3.x: as LLaMA, with multipliers on embeddings, attention, residuals and logits."""

from edgepack.convert.blocks import attention, decoder, gated_feed_forward, llama3_rope_factors
from edgepack.convert.family import Family
from edgepack.convert.hyperparameters import (
    GRANITE_SCALES,
    LLAMA_KEYS,
    NARROW_DECODER_KEYS,
    NO_BOS_IN_SMALL_VOCABULARIES,
)
from edgepack.convert.requirements import SILU, heads_fill_hidden, rope_types
from edgepack.convert.vocabularies.byte_level import byte_level
from edgepack.convert.vocabularies.llama_json import llama_json
from edgepack.convert.vocabularies.sentencepiece import sentencepiece

GRANITE = Family(
    architecture="granite",
    classes={
        "GraniteForCausalLM": {
            "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "vocab_size": 32000,
            "embedding_multiplier": 1.0, "logits_scaling": 1.0, "residual_multiplier": 1.0,
            "attention_multiplier": 1.0,
        },
    },
    keys=(
        *NARROW_DECODER_KEYS,
        *LLAMA_KEYS[:2],
        *GRANITE_SCALES,
        *LLAMA_KEYS[2:],
    ),
    keys_after=(NO_BOS_IN_SMALL_VOCABULARIES,),
    requires=(SILU, heads_fill_hidden, rope_types("linear", "yarn", "dynamic", "llama3")),
    vocabularies=(sentencepiece, llama_json, byte_level),
    rows=decoder(*attention(rotary=True, biased=False), *gated_feed_forward()),
    generated=(llama3_rope_factors,),
)  # fmt: skip
