"""BERT: vectors (MiniLM, BGE, E5, GTE), classes behind the pooler, classes of tokens."""

import re
from dataclasses import replace

from edgepack.convert.blocks import hidden
from edgepack.convert.config import Config
from edgepack.convert.encoders import ENCODER_CLASS, encoder_name, linear
from edgepack.convert.families.bert import BERT
from edgepack.convert.onnx.family import EncoderFamily, Inputs
from edgepack.convert.onnx.heads import first, label_count, pooled, token_classes
from edgepack.convert.onnx.parts import Parts
from edgepack.convert.onnx.post_norm import post_norm_body
from edgepack.convert.onnx.requirements import ENCODER_REQUIRES
from edgepack.domain.encoder import Gives

_POOLER = re.compile(r"(?:bert\.)?(pooler\.dense\.(?:weight|bias))")


def _classifier_name(name: str) -> str | None:
    """As `encoder_name`, with the pooler, which a classifier reads."""
    found = _POOLER.fullmatch(name)
    return found[1] if found else encoder_name(name)


def _classified(parts: Parts, _config: Config, _inputs: Inputs, states: str) -> str:
    seen = parts.graph.node("Tanh", parts.linear(first(parts, states), "cls"))
    return parts.linear(seen, "cls.output")


_BERT = replace(BERT, requires=ENCODER_REQUIRES)
_CLASSES = linear("classifier", "cls.output", label_count, hidden)

BERT_VECTORS = EncoderFamily(family=_BERT, body=post_norm_body, head=pooled, gives=Gives.VECTOR, typed=True)
BERT_CLASSES = EncoderFamily(
    family=replace(
        _BERT, classes={"BertForSequenceClassification": ENCODER_CLASS}, known_as=_classifier_name,
        rows=(*_BERT.rows, *linear("pooler.dense", "cls", hidden, hidden), *_CLASSES),
    ),
    body=post_norm_body, head=_classified, gives=Gives.CLASSES, typed=True,
)  # fmt: skip
BERT_TOKEN_CLASSES = EncoderFamily(
    family=replace(_BERT, classes={"BertForTokenClassification": ENCODER_CLASS}, rows=(*_BERT.rows, *_CLASSES)),
    body=post_norm_body, head=token_classes, gives=Gives.TOKEN_CLASSES, typed=True,
)  # fmt: skip
