"""Qwen 2 and 2.5: as LLaMA, with biases on q, k and v, and rows in the checkpoint's order."""

from edgepack.convert.blocks import attention, decoder, gated_feed_forward
from edgepack.convert.family import Family
from edgepack.convert.hyperparameters import DECODER_KEYS
from edgepack.convert.vocabularies.byte_level import byte_level
from edgepack.convert.vocabularies.sentencepiece import sentencepiece

QWEN2 = Family(
    architecture="qwen2",
    classes={
        "Qwen2ForCausalLM": {
            "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
            "vocab_size": 151936, "num_key_value_heads": 32,
        },
    },
    keys=DECODER_KEYS,
    vocabularies=(sentencepiece, byte_level),
    rows=decoder(*attention(rotary=False, biased=True), *gated_feed_forward()),
)  # fmt: skip
