"""What BERT and its kin share: tensors, keys, and what llama.cpp can compute of them; knows no family."""

import re
from collections.abc import Callable

from edgepack.convert import blocks
from edgepack.convert.blocks import hidden, size, vocabulary
from edgepack.convert.config import Config
from edgepack.convert.family import Default, Key, KeyType, Row, RowOrder, Size
from edgepack.convert.hyperparameters import first
from edgepack.convert.pooling import POOLING
from edgepack.convert.requirements import only

ENCODER_CLASS: dict[str, Default] = {
    "vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "max_position_embeddings": 512, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
    "hidden_act": "gelu",
}  # fmt: skip
positions = size("max_position_embeddings")
token_types = size("type_vocab_size")
# Heads that were trained with the encoder and that nothing but the training needs.
_TRAINING = re.compile(
    r"embeddings\.position_ids|pooler\.dense\.(weight|bias)|cls\.(predictions|seq_relationship)\b.*"
)
_NUMBER = re.compile(r"[0-9]{1,9}")
_MOST_LABELS = 4096
_AGED = {".gamma": ".weight", ".beta": ".bias"}


def encoder_name(name: str) -> str | None:
    """A stored tensor's name without the class that it was trained in, and norms' as they are called today."""
    name = re.sub(r"^(bert|roberta)\.", "", name)
    name = re.sub(r"\.(gamma|beta)$", lambda found: _AGED[found[0]], name)
    return None if _TRAINING.fullmatch(name) else name


def linear(stored: str, written: str, rows: Size, columns: Size) -> tuple[Row, Row]:
    """A matrix and its bias."""
    return (
        Row(stored=f"{stored}.weight", written=f"{written}.weight", shape=(rows, columns)),
        Row(stored=f"{stored}.bias", written=f"{written}.bias", shape=(rows,)),
    )


def norm(stored: str, written: str) -> tuple[Row, Row]:
    """A norm and its bias."""
    return (
        Row(stored=f"{stored}.weight", written=f"{written}.weight", shape=(hidden,)),
        Row(stored=f"{stored}.bias", written=f"{written}.bias", shape=(hidden,)),
    )


def encoder(positions_order: Callable[[Config], RowOrder] | None = None) -> tuple[Row, ...]:
    """The rows of an encoder: three embeddings and their norm, and layers with a norm behind each half."""
    wide, each = blocks.feed_forward, "encoder.layer.{n}"
    return (
        Row(stored="embeddings.word_embeddings.weight", written="token_embd.weight", shape=(vocabulary, hidden)),
        Row(
            stored="embeddings.position_embeddings.weight", written="position_embd.weight",
            shape=(positions, hidden), order=positions_order,
        ),
        Row(
            stored="embeddings.token_type_embeddings.weight", written="token_types.weight",
            shape=(token_types, hidden),
        ),
        *norm("embeddings.LayerNorm", "token_embd_norm"),
        *linear(f"{each}.attention.self.query", "blk.{n}.attn_q", hidden, hidden),
        *linear(f"{each}.attention.self.key", "blk.{n}.attn_k", hidden, hidden),
        *linear(f"{each}.attention.self.value", "blk.{n}.attn_v", hidden, hidden),
        *linear(f"{each}.attention.output.dense", "blk.{n}.attn_output", hidden, hidden),
        *norm(f"{each}.attention.output.LayerNorm", "blk.{n}.attn_output_norm"),
        *linear(f"{each}.intermediate.dense", "blk.{n}.ffn_up", wide, hidden),
        *linear(f"{each}.output.dense", "blk.{n}.ffn_down", hidden, wide),
        *norm(f"{each}.output.LayerNorm", "blk.{n}.layer_output_norm"),
    )  # fmt: skip


def class_labels(config: Config) -> tuple[str, ...] | None:
    """The names of what a classifier tells apart; None where they are the two that say nothing."""
    labels = config.section("id2label").table
    if not labels:
        count = config.count("num_labels") if config.has("num_labels") else 2
        labels = {str(number): f"LABEL_{number}" for number in range(min(count, _MOST_LABELS))}
    numbered = {int(key): name for key, name in labels.items() if _NUMBER.fullmatch(key) and isinstance(name, str)}
    if len(numbered) != len(labels):
        raise config.wrong("id2label", "a name for each number", dict(labels))
    names = tuple(numbered[number] for number in sorted(numbered))
    return None if len(names) == 2 and names[0] == "LABEL_0" else names


def encoder_keys(context: Size) -> tuple[Key, ...]:
    """An encoder's keys; texts of `context` tokens fit into it."""
    return (
        Key("block_count", KeyType.UINT32, blocks.layers),
        Key("context_length", KeyType.UINT32, context),
        Key("embedding_length", KeyType.UINT32, hidden),
        Key("feed_forward_length", KeyType.UINT32, blocks.feed_forward),
        Key("attention.head_count", KeyType.UINT32, blocks.heads),
        first("attention.layer_norm_epsilon", KeyType.FLOAT32, ("layer_norm_eps",)),
        Key("attention.causal", KeyType.BOOL, lambda _config: False),
        POOLING,
        Key("classifier.output_labels", KeyType.STRING, class_labels),
    )


def _whole_heads(config: Config) -> None:
    if hidden(config) % blocks.heads(config):
        raise config.wrong("num_attention_heads", f"a divisor of hidden_size {hidden(config)}", blocks.heads(config))


ENCODER_REQUIRES = (
    only("hidden_act", "gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh"),
    only("position_embedding_type", "absolute"),
    only("is_decoder", False),
    _whole_heads,
)
