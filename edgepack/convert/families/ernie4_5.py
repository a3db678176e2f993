"""ERNIE 4.5 0.3B: as LLaMA, with rotary pairs stored side by side and heads wider than the hidden size shares."""

from edgepack.convert.blocks import decoder, gated_feed_forward, unbiased_attention
from edgepack.convert.family import Default, Family, Key, KeyType
from edgepack.convert.hyperparameters import DECODER_KEYS, space_prefix
from edgepack.convert.requirements import SILU, only, rope_types
from edgepack.convert.vocabularies.sentencepiece import sentencepiece

_CLASS: dict[str, Default] = {
    "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "vocab_size": 103424,
    "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 18, "num_attention_heads": 16,
    "num_key_value_heads": 2, "head_dim": 128, "tie_word_embeddings": True,
}  # fmt: skip

ERNIE4_5 = Family(
    architecture="ernie4_5",
    classes={"Ernie4_5ForCausalLM": _CLASS, "Ernie4_5_ForCausalLM": _CLASS},
    requires=(SILU, only("use_bias", False), rope_types("linear", "yarn")),
    keys=DECODER_KEYS,
    keys_after=(Key("tokenizer.ggml.add_space_prefix", KeyType.BOOL, space_prefix),),
    vocabularies=(sentencepiece,),
    rows=decoder(*unbiased_attention(rotary=False), *gated_feed_forward()),
)
