"""LLaMA and Mistral: grouped-query attention with rotary halves, SwiGLU, optional biases."""

from edgepack.convert.blocks import attention, decoder, gated_feed_forward, head_width, llama3_rope_factors
from edgepack.convert.family import Family
from edgepack.convert.hyperparameters import DECODER_KEYS, LLAMA_KEYS, NO_BOS_IN_SMALL_VOCABULARIES
from edgepack.convert.vocabularies.byte_level import byte_level
from edgepack.convert.vocabularies.llama_json import llama_json
from edgepack.convert.vocabularies.sentencepiece import sentencepiece

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
    keys=(*DECODER_KEYS, *LLAMA_KEYS),
    keys_after=(NO_BOS_IN_SMALL_VOCABULARIES,),
    vocabularies=(sentencepiece, llama_json, byte_level),
    rows=decoder(*attention(rotary=True, biased=False), *gated_feed_forward()),
    generated=(llama3_rope_factors,),
)  # fmt: skip
