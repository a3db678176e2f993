"""Gemma 2: as Gemma 1, with norms behind attention and feed-forward too, soft caps, and windows."""

from edgepack.convert import blocks
from edgepack.convert.blocks import decoder, gated_feed_forward, hidden, layer, one_more, unbiased_attention
from edgepack.convert.family import Family, Key, KeyType, name_without_head
from edgepack.convert.hyperparameters import GEMMA_KEYS, NO_SPACE_PREFIX
from edgepack.convert.requirements import gemma_scale, only, rope_base, tanh_gelu, windows
from edgepack.convert.vocabularies.sentencepiece import sentencepiece


def _cap(key: str, usual: float) -> Key:
    """A soft cap: where config.json is silent, the usual one; null would be none, which llama.cpp cannot compute."""
    return Key(key, KeyType.FLOAT32, lambda config: config.positive(key) if key in config.table else usual)


_window = blocks.window(silent=4096)

GEMMA2 = Family(
    architecture="gemma2",
    window=lambda config, number: None if number % 2 else _window(config),
    classes={
        "Gemma2ForCausalLM": {
            "max_position_embeddings": 8192, "rms_norm_eps": 1e-6, "vocab_size": 256000, "head_dim": 256,
            "num_attention_heads": 8, "num_key_value_heads": 4, "query_pre_attn_scalar": 256,
        },
    },
    requires=(
        tanh_gelu("hidden_activation"), gemma_scale(largest=46), rope_base(10000.0),
        windows(turn=lambda _config: 2), only("tie_word_embeddings", True),
        only("use_bidirectional_attention", False),
    ),
    keys=(
        *GEMMA_KEYS,
        _cap("attn_logit_softcapping", 50.0),
        _cap("final_logit_softcapping", 30.0),
        Key("attention.sliding_window", KeyType.UINT32, _window),
    ),
    keys_after=(NO_SPACE_PREFIX,),
    vocabularies=(sentencepiece,),
    rows=decoder(
        *unbiased_attention(rotary=False),
        layer("post_attention_layernorm.weight", "post_attention_norm.weight", hidden, change=one_more),
        *gated_feed_forward(norm="pre_feedforward_layernorm", norm_change=one_more),
        layer("post_feedforward_layernorm.weight", "post_ffw_norm.weight", hidden, change=one_more),
        head=False, norm_change=one_more,
    ),
    known_as=name_without_head,
)  # fmt: skip
