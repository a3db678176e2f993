"""What an ONNX decoder says of itself, beside its graph: written when it is made, distrusted when it is read."""

import json
import re
from dataclasses import asdict, dataclass

from edgepack.domain.encoder import EMBED_BLOCKS, IDS, MASK, MULTIPLY_BLOCKS
from edgepack.domain.errors import BadInputError
from edgepack.domain.quant import OnnxQuant, Quant
from edgepack.domain.reading import Table

SCHEMA = "edgepack.onnx-decoder/1"
DECODER_KEY = "edgepack.decoder"
DATA_SUFFIX = ".data"
"""Weights lie in a file of the graph's name with this behind it, and nowhere else."""
LOGITS = "logits"
ATTENTION = "GroupQueryAttention"
DECODER_OPERATORS = frozenset({
    "Add", "Cast", "FusedMatMul", "Gather", "Identity", "Mul", "QuickGelu", "ReduceSum", "Reshape", "Shape",
    "SimplifiedLayerNormalization", "SkipSimplifiedLayerNormalization", "Split", "Sub",
    ATTENTION, EMBED_BLOCKS, MULTIPLY_BLOCKS,
})  # fmt: skip
"""All that a decoder is made of."""
_LARGEST = (1 << 31) - 1
HINT = "make the file with: edgepack convert MODEL.gguf --to onnx"


def past(layer: int) -> tuple[str, str]:
    """The inputs with a layer's keys and values."""
    return f"past_key_values.{layer}.key", f"past_key_values.{layer}.value"


def present(layer: int) -> tuple[str, str]:
    """The outputs of the same."""
    return f"present.{layer}.key", f"present.{layer}.value"


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderDescription:
    """A decoder without its weights."""

    name: str
    architecture: str
    quant: Quant | OnnxQuant | None
    """The GGUF's, whose blocks these are; f32 of a checkpoint; None: the GGUF does not say."""
    parameters: int
    context_length: int
    """Tokens that have a place; the model may have been made for more."""
    vocabulary: int
    layers: int
    key_value_heads: int
    head_width: int
    ends: tuple[int, ...]
    """Tokens at which generation stops."""
    every: bool
    """Whether it gives logits of every token, not of the last alone."""
    data_size: int
    """Bytes of the file beside it."""
    data_sha256: str

    @property
    def inputs(self) -> tuple[str, ...]:
        return (IDS, MASK, *(name for layer in range(self.layers) for name in past(layer)))

    @property
    def outputs(self) -> tuple[str, ...]:
        return (LOGITS, *(name for layer in range(self.layers) for name in present(layer)))


def decoder_json(description: DecoderDescription) -> str:
    """As the metadata keep it; the same text for the same description."""
    return json.dumps({"schema": SCHEMA, **asdict(description)}, ensure_ascii=False, sort_keys=True)


def parse_decoder(text: str, *, subject: str) -> DecoderDescription:
    """The reverse; BadInputError names the place of a mistake."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{subject}: {DECODER_KEY} is not JSON ({error})", hint=HINT) from error
    if not isinstance(values, dict):
        raise BadInputError(f"{subject}: {DECODER_KEY}: expected an object", hint=HINT)
    table = Table(values, subject=subject, hint=HINT)
    if (schema := table.text("schema")) != SCHEMA:
        table.fail("schema", f"expected {SCHEMA}, got {schema[:40]!r}")
    description = DecoderDescription(
        name=table.text("name"), architecture=table.text("architecture"), quant=_quant(table),
        parameters=table.whole("parameters", least=1), context_length=table.whole("context_length", least=1),
        vocabulary=table.whole("vocabulary", least=1), layers=table.whole("layers", least=1),
        key_value_heads=table.whole("key_value_heads", least=1), head_width=table.whole("head_width", least=1),
        ends=table.wholes_or_none("ends", most=_LARGEST) or (), every=table.flag("every"),
        data_size=table.whole("data_size"), data_sha256=table.text("data_sha256"),
    )  # fmt: skip
    if not re.fullmatch("[0-9a-f]{64}", description.data_sha256):
        table.fail("data_sha256", "no sha256")
    table.finish()
    return description


def _quant(table: Table) -> Quant | OnnxQuant | None:
    said = table.text_or_none("quant")
    if said is None:
        return None
    if said in list(OnnxQuant):
        return OnnxQuant(said)
    if said not in list(Quant):
        table.fail("quant", f"no quantization: {said[:40]!r}")
    return Quant(said)
