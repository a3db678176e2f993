"""Gemma 3's text: as Gemma 2 without soft caps; norms over heads, a rotary base of their own where windows are."""

from pathlib import Path

from edgepack.convert import blocks
from edgepack.convert.blocks import decoder, gated_feed_forward, hidden, layer, one_more, unbiased_attention
from edgepack.convert.config import Config, read_json
from edgepack.convert.family import Default, Family, Key, KeyType, text_part_name
from edgepack.convert.hyperparameters import DECODER_KEYS, first, rope_base
from edgepack.convert.requirements import gemma_scale, only, rope_types, tanh_gelu, unable, windows
from edgepack.convert.vocabularies.byte_level import byte_level
from edgepack.convert.vocabularies.sentencepiece import sentencepiece
from edgepack.convert.vocabulary import Vocabulary

_window = blocks.window(silent=4096)


def _turn(config: Config) -> int:
    """llama.cpp sees a window in all layers but every sixth, or in none."""
    return 1 if config.table.get("sliding_window_pattern") == 1 else 6


def _without_padding(directory: Path, config: Config) -> Vocabulary | None:
    """Byte-level BPE; the oracle cuts the embedding to tokenizer.json's tokens, and llama.cpp wants it whole."""
    vocabulary = byte_level(directory, config)
    if vocabulary is not None:
        table = Config(path=directory / "tokenizer.json", table=read_json(directory / "tokenizer.json"))
        added = table.table.get("added_tokens")
        listed = len(table.section("model").section("vocab").table) + (len(added) if isinstance(added, list) else 0)
        if listed < len(vocabulary.tokens):
            raise unable(config, "vocab_size", f"the {listed} tokens of tokenizer.json", len(vocabulary.tokens))
    return vocabulary


_CLASS: dict[str, Default] = {
    "max_position_embeddings": 131072, "rms_norm_eps": 1e-6, "vocab_size": 262208, "head_dim": 256,
    "num_attention_heads": 8, "num_key_value_heads": 4, "query_pre_attn_scalar": 256, "rope_theta": 1e6,
    "rope_local_base_freq": 10000.0, "tie_word_embeddings": True,
}  # fmt: skip

GEMMA3 = Family(
    architecture="gemma3",
    window=lambda config, number: _window(config) if (number + 1) % _turn(config) else None,
    classes={"Gemma3ForCausalLM": _CLASS, "Gemma3ForConditionalGeneration": _CLASS},
    requires=(
        tanh_gelu("hidden_activation"), gemma_scale(largest=62), rope_types("linear"),
        only("attn_logit_softcapping"), only("sliding_window_pattern", 1, 6), windows(turn=_turn),
        only("use_bidirectional_attention", False),
    ),
    keys=(
        *DECODER_KEYS,
        Key("rope.freq_base", KeyType.FLOAT32, lambda config: rope_base(config) or 1e6),
        first("final_logit_softcapping", KeyType.FLOAT32, ("final_logit_softcapping",)),
        Key("attention.sliding_window", KeyType.UINT32,
            lambda config: _window(config) if _turn(config) > 1 else None),
    ),
    keys_after=(Key("tokenizer.ggml.add_space_prefix", KeyType.BOOL,
                    lambda config: False if config.path.with_name("tokenizer.model").is_file() else None),),
    vocabularies=(sentencepiece, _without_padding),
    rows=decoder(
        *unbiased_attention(rotary=False),
        layer("self_attn.q_norm.weight", "attn_q_norm.weight", blocks.head_width, change=one_more),
        layer("self_attn.k_norm.weight", "attn_k_norm.weight", blocks.head_width, change=one_more),
        layer("post_attention_layernorm.weight", "post_attention_norm.weight", hidden, change=one_more),
        *gated_feed_forward(norm="pre_feedforward_layernorm", norm_change=one_more),
        layer("post_feedforward_layernorm.weight", "post_ffw_norm.weight", hidden, change=one_more),
        norm_change=one_more,
    ),
    known_as=text_part_name,
)  # fmt: skip
