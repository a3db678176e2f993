"""Hunyuan dense: norms over heads behind the rotary embeddings, whose base a factor for long contexts raises."""

import math

from edgepack.convert import blocks
from edgepack.convert.blocks import decoder, gated_feed_forward, head_width, layer, unbiased_attention
from edgepack.convert.config import Config, read_json
from edgepack.convert.family import Family, Key, KeyType
from edgepack.convert.hyperparameters import DECODER_KEYS
from edgepack.convert.requirements import NO_ATTENTION_BIAS, SILU, only, rope_types
from edgepack.convert.vocabularies.byte_level import byte_level

_LONG_CONTEXT = 256 * 1024
_LARGEST_BASE = 1e38


def _stretched(config: Config) -> bool:
    return blocks.rope_settings(config).text("rope_type") == "dynamic"


def _usual_stretch(config: Config) -> None:
    """From alpha alone nobody knows the context; the oracle knows it with these."""
    if _stretched(config):
        only("rope_theta", 10000.0)(blocks.rope_settings(config))
        only("max_position_embeddings", 32 * 1024, _LONG_CONTEXT)(config)


def _raised_base(config: Config) -> float | None:
    """NTK-aware scaling by a fixed alpha: the base of which the slowest pair turns alpha times slower."""
    if not _stretched(config):
        return None
    rope, width = blocks.rope_settings(config), head_width(config)
    base = rope.positive("rope_theta") * math.pow(rope.positive("alpha"), width / max(width - 2, 1))
    if base > _LARGEST_BASE:
        raise rope.wrong("alpha", f"a base below {_LARGEST_BASE:g}", base)
    return base


def _long_context(config: Config) -> int | None:
    return _LONG_CONTEXT if _stretched(config) else None


def _end_of_turn(config: Config) -> int | None:
    """The first of several ends of text in generation_config.json."""
    path = config.path.with_name("generation_config.json")
    ends = read_json(path).get("eos_token_id") if path.is_file() else None
    if not isinstance(ends, list) or len(ends) < 2:
        return None
    return Config(path=path, table={"eos_token_id[0]": ends[0]}).count("eos_token_id[0]")


HUNYUAN = Family(
    architecture="hunyuan-dense",
    classes={
        "HunYuanDenseV1ForCausalLM": {
            "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "vocab_size": 290943,
            "num_attention_heads": 32, "tie_word_embeddings": False,
        },
    },
    requires=(SILU, NO_ATTENTION_BIAS, rope_types("dynamic"), _usual_stretch),
    keys=(
        *DECODER_KEYS,
        Key("rope.freq_base", KeyType.FLOAT32, _raised_base),
        Key("rope.scaling.type", KeyType.STRING, lambda config: "none" if _stretched(config) else None),
        Key("rope.scaling.factor", KeyType.FLOAT32, lambda config: 1.0 if _stretched(config) else None),
        Key("rope.scaling.original_context_length", KeyType.UINT32, _long_context),
        Key("context_length", KeyType.UINT32, _long_context),
    ),
    keys_after=(Key("tokenizer.ggml.eot_token_id", KeyType.UINT32, _end_of_turn),),
    vocabularies=(byte_level,),
    rows=decoder(
        *unbiased_attention(rotary=False),
        layer("self_attn.query_layernorm.weight", "attn_q_norm.weight", head_width),
        layer("self_attn.key_layernorm.weight", "attn_k_norm.weight", head_width),
        *gated_feed_forward(),
    ),
    left_out=lambda config: ("lm_head.weight",) if config.flag("tie_word_embeddings") else (),
)  # fmt: skip
