"""A checkpoint becomes one ONNX file: a graph, weights at one precision, a tokenizer, what it says of itself."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from edgepack.convert import blocks
from edgepack.convert.config import Config, read_config
from edgepack.convert.onnx.family import EncoderFamily, Inputs
from edgepack.convert.onnx.heads import labels_of
from edgepack.convert.onnx.parts import Parts
from edgepack.convert.onnx.stored import StoredWeights
from edgepack.convert.onnx.table import encoder_family_of
from edgepack.convert.onnx.tokenizer import tokenizer_text
from edgepack.convert.tensors import Source, match, stored_tensors
from edgepack.domain.encoder import (
    DESCRIPTION_KEY,
    IDS,
    LOGITS,
    MASK,
    TOKENIZER_KEY,
    TYPES,
    EncoderDescription,
    Gives,
    description_json,
)
from edgepack.domain.onnx_memory import EncoderShape
from edgepack.domain.quant import OnnxQuant


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderConversion:
    """A checkpoint read as far as its headers: everything is known but the weights' values."""

    directory: Path
    name: str
    family: EncoderFamily
    config: Config
    sources: tuple[Source, ...]

    @property
    def parameters(self) -> int:
        """Weights in the checkpoint, counted from its tensors."""
        return sum(source.elements for source in self.sources)

    @property
    def shape(self) -> EncoderShape:
        """What its activations grow with."""
        return EncoderShape(heads=blocks.heads(self.config), feed_forward=blocks.feed_forward(self.config))

    def description(self, quant: OnnxQuant) -> EncoderDescription:
        """What the file will say of itself."""
        family, config, gives = self.family.family, self.config, self.family.gives
        (context,) = (key.value(config) for key in family.keys if key.name == "context_length")
        assert isinstance(context, int)
        labels = () if gives is Gives.VECTOR else labels_of(config)
        return EncoderDescription(
            name=self.name, architecture=family.architecture, quant=quant, parameters=self.parameters,
            context_length=context, vocabulary=blocks.vocabulary(config), gives=gives,
            width=len(labels) or blocks.hidden(config), labels=labels,
        )  # fmt: skip


def open_encoder(directory: Path, name: str) -> EncoderConversion:
    """Read config and tensor headers, and match them against their family; raises BadInputError."""
    config = read_config(directory)
    encoder = encoder_family_of(config)
    stored = stored_tensors(directory)
    config = encoder.family.noticed(encoder.family.complete(config), stored)
    sources = tuple(match(encoder.family, config, stored))
    return EncoderConversion(directory=directory, name=name, family=encoder, config=config, sources=sources)


def write_onnx(conversion: EncoderConversion, quant: OnnxQuant, path: Path) -> str:
    """Write the file to `path`; returns its sha256. The same checkpoint, name and quantization give the same bytes.

    It is put together in memory, which takes about three times its size.
    """
    description = conversion.description(quant)
    data = _graph(conversion, quant).graph.serialized(
        description.architecture,
        {
            DESCRIPTION_KEY: description_json(description),
            TOKENIZER_KEY: tokenizer_text(conversion.directory, description.vocabulary),
        },
    )
    path.write_bytes(data)
    return sha256(data).hexdigest()


def _graph(conversion: EncoderConversion, quant: OnnxQuant) -> Parts:
    encoder, config = conversion.family, conversion.config
    parts = Parts(StoredWeights(conversion.sources), quant)
    names = (IDS, MASK, *((TYPES,) if encoder.typed else ()))
    ids, mask, *kinds = (parts.graph.add_input(name) for name in names)
    inputs = Inputs(ids=ids, mask=mask, types=kinds[0] if kinds else None)
    given = encoder.head(parts, config, inputs, encoder.body(parts, config, inputs))
    match encoder.gives:
        case Gives.VECTOR:
            parts.graph.add_output(given, "sentence_embedding", ["texts", blocks.hidden(config)])
        case Gives.CLASSES:
            parts.graph.add_output(given, LOGITS, ["texts", len(labels_of(config))])
        case Gives.TOKEN_CLASSES:
            parts.graph.add_output(given, LOGITS, ["texts", "tokens", len(labels_of(config))])
    return parts
