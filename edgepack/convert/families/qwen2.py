"""Qwen 2 and 2.5: as LLaMA, with biases on q, k and v, and rows in the checkpoint's order."""

from edgepack.convert.blocks import attention, decoder, gated_feed_forward
from edgepack.convert.family import Default, Family, name_with_model
from edgepack.convert.hyperparameters import DECODER_KEYS
from edgepack.convert.pooling import POOLING
from edgepack.convert.vocabularies.byte_level import byte_level
from edgepack.convert.vocabularies.sentencepiece import sentencepiece

_CLASS: dict[str, Default] = {
    "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "vocab_size": 151936,
    "num_key_value_heads": 32,
}  # fmt: skip

QWEN2 = Family(
    architecture="qwen2",
    classes={"Qwen2ForCausalLM": _CLASS, "Qwen2Model": _CLASS},
    keys=(*DECODER_KEYS, POOLING),
    vocabularies=(sentencepiece, byte_level),
    rows=decoder(*attention(rotary=False, biased=True), *gated_feed_forward()),
    known_as=name_with_model,
)
