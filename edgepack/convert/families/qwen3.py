"""Qwen 3: as Qwen 2 without biases, with a norm over each query and key head."""

from edgepack.convert.blocks import attention, decoder, gated_feed_forward, head_width, layer
from edgepack.convert.config import Config
from edgepack.convert.family import Default, Family, name_with_model
from edgepack.convert.hyperparameters import DECODER_KEYS
from edgepack.convert.pooling import POOLING
from edgepack.convert.requirements import unable
from edgepack.convert.vocabularies.byte_level import byte_level
from edgepack.convert.vocabularies.sentencepiece import sentencepiece

_CLASS: dict[str, Default] = {
    "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "vocab_size": 151936,
    "head_dim": 128, "num_key_value_heads": 32,
}  # fmt: skip


def _no_reranker(config: Config) -> None:
    """A reranker's config is a plain model's: the oracle knows it by its card, and keeps two rows of its head."""
    card, folder = config.path.with_name("README.md"), config.path.parent.name
    text = card.read_text(encoding="utf-8", errors="replace").lower() if card.is_file() else ""
    if "# qwen3-reranker" in text or "qwen3-reranker" in folder.lower():
        raise unable(config, "architectures", "Qwen3ForCausalLM that writes or embeds", "a reranker")


QWEN3 = Family(
    architecture="qwen3",
    classes={"Qwen3ForCausalLM": _CLASS, "Qwen3Model": _CLASS},
    keys=(*DECODER_KEYS, POOLING),
    requires=(_no_reranker,),
    vocabularies=(sentencepiece, byte_level),
    rows=decoder(
        *attention(rotary=False, biased=False),
        layer("self_attn.q_norm.weight", "attn_q_norm.weight", head_width),
        layer("self_attn.k_norm.weight", "attn_k_norm.weight", head_width),
        *gated_feed_forward(),
    ),
    known_as=name_with_model,
)
