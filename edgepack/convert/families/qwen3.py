"""Qwen 3: as Qwen 2 without biases, with a norm over each query and key head."""

from edgepack.convert.blocks import attention, decoder, gated_feed_forward, head_width, layer
from edgepack.convert.family import Family
from edgepack.convert.hyperparameters import DECODER_KEYS
from edgepack.convert.vocabularies.byte_level import byte_level
from edgepack.convert.vocabularies.sentencepiece import sentencepiece

QWEN3 = Family(
    architecture="qwen3",
    classes={
        "Qwen3ForCausalLM": {
            "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
            "vocab_size": 151936, "head_dim": 128, "num_key_value_heads": 32,
        },
    },
    keys=DECODER_KEYS,
    vocabularies=(sentencepiece, byte_level),
    rows=decoder(
        *attention(rotary=False, biased=False),
        layer("self_attn.q_norm.weight", "attn_q_norm.weight", head_width),
        layer("self_attn.k_norm.weight", "attn_k_norm.weight", head_width),
        *gated_feed_forward(),
    ),
)  # fmt: skip
