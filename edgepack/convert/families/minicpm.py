"""MiniCPM 1, 2 and 4: as LLaMA, with multipliers on embeddings, residuals and logits, and LongRoPE."""

from edgepack.convert import blocks
from edgepack.convert.blocks import decoder, gated_feed_forward, head_width, long_rope_factors, unbiased_attention
from edgepack.convert.config import Config
from edgepack.convert.family import Family, Key, KeyType
from edgepack.convert.hyperparameters import DECODER_KEYS, first, original_context
from edgepack.convert.requirements import NO_ATTENTION_BIAS, SILU, rope_types, stated, unable
from edgepack.convert.vocabularies.sentencepiece import sentencepiece


def _long_as_trained(config: Config) -> None:
    """LongRoPE comes with its factors; of a stretched context the class sharpens attention, the oracle does not."""
    rope = blocks.rope_settings(config)
    if rope.has("long_factor") != (rope.text("rope_type") == "longrope"):
        raise rope.wrong("long_factor", "LongRoPE's factors with its type", rope.table.get("long_factor"))
    context = config.count("max_position_embeddings")
    if rope.has("long_factor") and original_context(config) != context:
        raise unable(config, "max_position_embeddings", f"the original {original_context(config)}", context)


def _residual_scale(config: Config) -> float:
    scale: float = config.positive("scale_depth") / blocks.layers(config) ** 0.5
    return scale


def _logit_scale(config: Config) -> float:
    return blocks.hidden(config) / config.count("dim_model_base")


MINICPM = Family(
    architecture="minicpm",
    # Its class is none of transformers' own: little is assumed.
    classes={"MiniCPMForCausalLM": {"tie_word_embeddings": True}},
    requires=(
        SILU, NO_ATTENTION_BIAS, rope_types("dynamic", "linear", "longrope"), _long_as_trained,
        stated("rms_norm_eps", "scale_emb"),
    ),
    keys=(
        *DECODER_KEYS,
        first("embedding_scale", KeyType.FLOAT32, ("scale_emb",)),
        Key("residual_scale", KeyType.FLOAT32, _residual_scale),
        Key("logit_scale", KeyType.FLOAT32, _logit_scale),
    ),
    vocabularies=(sentencepiece,),
    rows=decoder(*unbiased_attention(rotary=True), *gated_feed_forward()),
    generated=long_rope_factors(head_width),
)  # fmt: skip
