"""DistilBERT: BERT's layers by other names, without types of tokens; its classifier has a layer before."""

import re
from collections.abc import Mapping
from dataclasses import replace

from edgepack.convert import blocks
from edgepack.convert.blocks import hidden
from edgepack.convert.config import Config
from edgepack.convert.encoders import linear, norm, positions
from edgepack.convert.family import Default, Family, Key, KeyType, Row
from edgepack.convert.onnx.family import EncoderFamily, Inputs
from edgepack.convert.onnx.heads import first, label_count, pooled, token_classes
from edgepack.convert.onnx.parts import Parts
from edgepack.convert.onnx.post_norm import post_norm_body
from edgepack.convert.onnx.requirements import ENCODER_REQUIRES
from edgepack.domain.encoder import Gives

_TRAINING = re.compile(r"vocab_(transform|layer_norm|projector)\..*|embeddings\.position_ids")


def _says(key: str, other: object) -> Default:
    """What the config has under its own name for it."""
    return lambda config: config.table.get(key, other)


_CLASS: Mapping[str, Default] = {
    "vocab_size": 30522, "max_position_embeddings": 512, "layer_norm_eps": 1e-12,
    "hidden_size": _says("dim", 768), "num_hidden_layers": _says("n_layers", 6),
    "num_attention_heads": _says("n_heads", 12), "intermediate_size": _says("hidden_dim", 3072),
    "hidden_act": _says("activation", "gelu"),
}  # fmt: skip


def _name(name: str) -> str | None:
    """Without the class that the encoder was trained in, and None for what only its training needed."""
    name = name.removeprefix("distilbert.")
    return None if _TRAINING.fullmatch(name) else name


def _rows() -> tuple[Row, ...]:
    wide, each = blocks.feed_forward, "transformer.layer.{n}"
    return (
        Row(
            stored="embeddings.word_embeddings.weight", written="token_embd.weight",
            shape=(blocks.vocabulary, hidden),
        ),
        Row(
            stored="embeddings.position_embeddings.weight", written="position_embd.weight", shape=(positions, hidden)
        ),
        *norm("embeddings.LayerNorm", "token_embd_norm"),
        *linear(f"{each}.attention.q_lin", "blk.{n}.attn_q", hidden, hidden),
        *linear(f"{each}.attention.k_lin", "blk.{n}.attn_k", hidden, hidden),
        *linear(f"{each}.attention.v_lin", "blk.{n}.attn_v", hidden, hidden),
        *linear(f"{each}.attention.out_lin", "blk.{n}.attn_output", hidden, hidden),
        *norm(f"{each}.sa_layer_norm", "blk.{n}.attn_output_norm"),
        *linear(f"{each}.ffn.lin1", "blk.{n}.ffn_up", wide, hidden),
        *linear(f"{each}.ffn.lin2", "blk.{n}.ffn_down", hidden, wide),
        *norm(f"{each}.output_layer_norm", "blk.{n}.layer_output_norm"),
    )  # fmt: skip


def _classified(parts: Parts, _config: Config, _inputs: Inputs, states: str) -> str:
    return parts.linear(parts.graph.node("Relu", parts.linear(first(parts, states), "cls")), "cls.output")


_FAMILY = Family(
    architecture="distilbert", classes={"DistilBertModel": _CLASS, "DistilBertForMaskedLM": _CLASS},
    vocabularies=(), rows=_rows(), keys=(Key("context_length", KeyType.UINT32, positions),),
    requires=ENCODER_REQUIRES, known_as=_name,
)  # fmt: skip
_CLASSES = linear("classifier", "cls.output", label_count, hidden)

DISTILBERT_VECTORS = EncoderFamily(family=_FAMILY, body=post_norm_body, head=pooled, gives=Gives.VECTOR)
DISTILBERT_CLASSES = EncoderFamily(
    family=replace(
        _FAMILY, classes={"DistilBertForSequenceClassification": _CLASS},
        rows=(*_FAMILY.rows, *linear("pre_classifier", "cls", hidden, hidden), *_CLASSES),
    ),
    body=post_norm_body, head=_classified, gives=Gives.CLASSES,
)  # fmt: skip
DISTILBERT_TOKEN_CLASSES = EncoderFamily(
    family=replace(
        _FAMILY, classes={"DistilBertForTokenClassification": _CLASS}, rows=(*_FAMILY.rows, *_CLASSES)
    ),
    body=post_norm_body, head=token_classes, gives=Gives.TOKEN_CLASSES,
)  # fmt: skip
