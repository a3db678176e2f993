"""Every family of encoders that becomes ONNX, on one page; a new one is a file and a line."""

import reprlib

from edgepack.convert.config import Config
from edgepack.convert.onnx.families.bert import BERT_CLASSES, BERT_TOKEN_CLASSES, BERT_VECTORS
from edgepack.convert.onnx.families.distilbert import (
    DISTILBERT_CLASSES,
    DISTILBERT_TOKEN_CLASSES,
    DISTILBERT_VECTORS,
)
from edgepack.convert.onnx.families.modernbert import (
    MODERNBERT_CLASSES,
    MODERNBERT_TOKEN_CLASSES,
    MODERNBERT_VECTORS,
)
from edgepack.convert.onnx.families.xlm_roberta import (
    XLM_ROBERTA_CLASSES,
    XLM_ROBERTA_TOKEN_CLASSES,
    XLM_ROBERTA_VECTORS,
)
from edgepack.convert.onnx.family import EncoderFamily
from edgepack.domain.errors import BadInputError

ENCODERS: tuple[EncoderFamily, ...] = (
    BERT_CLASSES,
    BERT_TOKEN_CLASSES,
    BERT_VECTORS,
    DISTILBERT_CLASSES,
    DISTILBERT_TOKEN_CLASSES,
    DISTILBERT_VECTORS,
    MODERNBERT_CLASSES,
    MODERNBERT_TOKEN_CLASSES,
    MODERNBERT_VECTORS,
    XLM_ROBERTA_CLASSES,
    XLM_ROBERTA_TOKEN_CLASSES,
    XLM_ROBERTA_VECTORS,
)

_BY_CLASS = {name: encoder for encoder in ENCODERS for name in encoder.family.classes}


def is_encoder(checkpoint_class: str) -> bool:
    """Whether a checkpoint's class is one of them."""
    return checkpoint_class in _BY_CLASS


def encoder_family_of(config: Config) -> EncoderFamily:
    """The family that a checkpoint's class belongs to; raises BadInputError for one that none converts."""
    name = config.checkpoint_class
    if name not in _BY_CLASS:
        raise BadInputError(
            f"{config.path}: architecture {reprlib.repr(name)} does not become ONNX; encoders do (docs/onnx.md)",
            hint="convert it to GGUF: leave --to away; of a llama, qwen2 or qwen3 that GGUF becomes ONNX",
        )
    return _BY_CLASS[name]
