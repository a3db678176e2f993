"""XLM-RoBERTa and RoBERTa: BERT whose positions begin behind the padding's, and whose classifier has two layers."""

import re
from collections.abc import Mapping
from dataclasses import replace

from edgepack.convert.blocks import hidden
from edgepack.convert.config import Config
from edgepack.convert.encoders import encoder_name, linear
from edgepack.convert.families.xlm_roberta import XLM_ROBERTA
from edgepack.convert.family import Default
from edgepack.convert.onnx.family import EncoderFamily, Inputs
from edgepack.convert.onnx.heads import first, label_count, pooled, token_classes
from edgepack.convert.onnx.parts import Parts
from edgepack.convert.onnx.post_norm import post_norm_body
from edgepack.convert.onnx.requirements import ENCODER_REQUIRES
from edgepack.domain.encoder import Gives

_TRAINING = re.compile(r"lm_head\..*")
_KINDS = ("XLMRoberta", "Roberta")
_DEFAULTS = XLM_ROBERTA.classes["XLMRobertaModel"]


def _name(name: str) -> str | None:
    """As `encoder_name`, and None for what only the training needed."""
    return None if _TRAINING.fullmatch(name) else encoder_name(name)


def _classified(parts: Parts, _config: Config, _inputs: Inputs, states: str) -> str:
    seen = parts.graph.node("Tanh", parts.linear(first(parts, states), "cls"))
    return parts.linear(seen, "cls.output")


def _classes(*endings: str) -> dict[str, Mapping[str, Default]]:
    return {f"{kind}{ending}": _DEFAULTS for kind in _KINDS for ending in endings}


_FAMILY = replace(XLM_ROBERTA, requires=ENCODER_REQUIRES, known_as=_name)

XLM_ROBERTA_VECTORS = EncoderFamily(
    family=replace(
        _FAMILY,
        classes=_classes("Model", "ForMaskedLM"),
    ),
    body=post_norm_body, head=pooled, gives=Gives.VECTOR,
)  # fmt: skip
XLM_ROBERTA_CLASSES = EncoderFamily(
    family=replace(
        _FAMILY,
        classes=_classes("ForSequenceClassification"),
        rows=(
            *_FAMILY.rows,
            *linear("classifier.dense", "cls", hidden, hidden),
            *linear("classifier.out_proj", "cls.output", label_count, hidden),
        ),
    ),
    body=post_norm_body, head=_classified, gives=Gives.CLASSES,
)  # fmt: skip
XLM_ROBERTA_TOKEN_CLASSES = EncoderFamily(
    family=replace(
        _FAMILY,
        classes=_classes("ForTokenClassification"),
        rows=(*_FAMILY.rows, *linear("classifier", "cls.output", label_count, hidden)),
    ),
    body=post_norm_body, head=token_classes, gives=Gives.TOKEN_CLASSES,
)  # fmt: skip
