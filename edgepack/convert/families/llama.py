"""LLaMA and Mistral: grouped-query attention with rotary halves, SwiGLU, optional biases."""

from edgepack.convert.blocks import (
    attention,
    decoder,
    gated_feed_forward,
    head_width,
    llama3_rope_factors,
    vocabulary,
)
from edgepack.convert.family import Family, Key, KeyType, VocabularyKind

LLAMA = Family(
    architecture="llama",
    classes={
        "LlamaForCausalLM": {
            "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
            "vocab_size": 32000, "head_dim": head_width,
        },
        "MistralForCausalLM": {
            "max_position_embeddings": 131072, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
            "vocab_size": 32000, "num_key_value_heads": 8,
        },
    },
    keys=(
        Key("vocab_size", KeyType.UINT32, vocabulary),
        Key("rope.dimension_count", KeyType.UINT32, head_width),
    ),
    vocabularies=(VocabularyKind.SENTENCEPIECE, VocabularyKind.LLAMA_JSON, VocabularyKind.BYTE_LEVEL),
    rows=decoder(*attention(rotary=True, biased=False), *gated_feed_forward()),
    generated=(llama3_rope_factors,),
)  # fmt: skip
