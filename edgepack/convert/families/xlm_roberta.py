"""XLM-RoBERTa: BERT whose positions begin behind the padding's, with a Unigram vocabulary (BGE-M3, E5, rerankers)."""

from dataclasses import replace

from edgepack.convert.blocks import hidden, part
from edgepack.convert.config import Config
from edgepack.convert.encoders import (
    ENCODER_CLASS,
    ENCODER_REQUIRES,
    class_labels,
    encoder,
    encoder_keys,
    encoder_name,
    linear,
    positions,
)
from edgepack.convert.family import Default, Family
from edgepack.convert.requirements import unable
from edgepack.convert.vocabularies.unigram import unigram

_CLASS: dict[str, Default] = {**ENCODER_CLASS, "pad_token_id": 1}


def _first_position(config: Config) -> int:
    """A text's first token has the position behind the padding token's number."""
    padding = config.table["pad_token_id"]
    if type(padding) is not int or not 0 <= padding < positions(config) - 1:
        raise config.wrong("pad_token_id", f"a whole number below {positions(config) - 1}", padding)
    return padding + 1


def _context(config: Config) -> int:
    return positions(config) - _first_position(config)


def _classes(config: Config) -> int:
    return len(class_labels(config) or ())


def _named_classes(config: Config) -> None:
    if not _classes(config):
        raise unable(config, "id2label", "one class, or classes that have names,", config.table.get("id2label"))


XLM_ROBERTA = Family(
    architecture="bert",
    classes={"XLMRobertaModel": _CLASS},
    keys=encoder_keys(_context),
    requires=ENCODER_REQUIRES,
    vocabularies=(unigram,),
    rows=encoder(part(_context, before=_first_position)),
    known_as=encoder_name,
)

XLM_ROBERTA_CLASSIFIER = replace(
    XLM_ROBERTA,
    classes={"XLMRobertaForSequenceClassification": _CLASS},
    requires=(*ENCODER_REQUIRES, _named_classes),
    rows=(
        *XLM_ROBERTA.rows,
        *linear("classifier.dense", "cls", hidden, hidden),
        *linear("classifier.out_proj", "cls.output", _classes, hidden),
    ),
)
