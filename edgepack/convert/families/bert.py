"""BERT: an encoder with a table of positions and a WordPiece vocabulary (MiniLM, BGE, E5, GTE)."""

from edgepack.convert.encoders import (
    ENCODER_CLASS,
    ENCODER_REQUIRES,
    encoder,
    encoder_keys,
    encoder_name,
    positions,
    token_types,
)
from edgepack.convert.family import Family, Key, KeyType
from edgepack.convert.vocabularies.wordpiece import wordpiece

BERT = Family(
    architecture="bert",
    # A classifier is not among them: it reads the pooler, which the oracle drops.
    classes={"BertModel": ENCODER_CLASS, "BertForMaskedLM": ENCODER_CLASS},
    keys=(*encoder_keys(positions), Key("tokenizer.ggml.token_type_count", KeyType.UINT32, token_types)),
    requires=ENCODER_REQUIRES,
    vocabularies=(wordpiece,),
    rows=encoder(),
    known_as=encoder_name,
)
