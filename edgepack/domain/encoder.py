"""What an ONNX encoder says of itself, beside its graph: written when it is made, distrusted when it is read."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from edgepack.domain.errors import BadInputError
from edgepack.domain.quant import OnnxQuant
from edgepack.domain.reading import Table

SCHEMA = "edgepack.onnx/1"
DESCRIPTION_KEY = "edgepack.encoder"
TOKENIZER_KEY = "edgepack.tokenizer"
"""The metadata key of its tokenizer.json: the file is whole without another."""
TOKEN_TABLE = "token_embd.weight"  # noqa: S105 - no secret
"""The initializer with a row for every token; what is no row of it must not be asked for."""
HEAD_KEY = "edgepack.head"
"""The metadata key of what a head was fitted on, where one was: for people."""
LOGITS = "logits"
"""The output of what gives classes."""
BLOCK = 32
"""Weights that share a scale, where they have 8 bits; activations do too. The farthest of 200 texts
came to a cosine of 0.9971 with full precision by 64, 0.9983 by 32 (all-MiniLM-L6-v2)."""
IDS, MASK, TYPES = "input_ids", "attention_mask", "token_type_ids"
"""The graph's inputs, (texts, tokens) each; some encoders have no types."""
EMBED_BLOCKS, MULTIPLY_BLOCKS = "GatherBlockQuantized", "MatMulNBits"
"""onnxruntime's operators on weights of 8 bits; neither checks enough of what a file tells it."""
OPERATORS = frozenset({
    "Abs", "Add", "Cast", "Clip", "Concat", "Div", "Gather", "Gelu", "Identity", "LayerNormalization",
    "LessOrEqual", "LpNormalization", "MatMul", "Mul", "Neg", "ReduceSum", "Relu", "Reshape", "Shape", "Slice",
    "Softmax", "Split", "Sub", "Tanh", "Transpose", "Unsqueeze", "Where", EMBED_BLOCKS, MULTIPLY_BLOCKS,
})  # fmt: skip
"""All that an encoder is made of: none of them loops, branches, or gives more than its inputs ask for."""
HINT = "make the file with: edgepack convert MODEL --to onnx"


class Gives(StrEnum):
    """What an encoder gives for a text."""

    VECTOR = "vector"
    """One vector of length 1."""
    CLASSES = "classes"
    """A score for each label, before any softmax."""
    TOKEN_CLASSES = "token-classes"  # noqa: S105 - no secret
    """The same for every token."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderDescription:
    """An encoder without its weights."""

    name: str
    architecture: str
    quant: OnnxQuant
    parameters: int
    context_length: int
    """Tokens that a text may have."""
    vocabulary: int
    """Tokens that there are."""
    gives: Gives
    width: int
    """Numbers that it gives for a text, or for each of its tokens."""
    labels: tuple[str, ...]
    """Of classes; empty for vectors."""

    def shape(self, tokens: int) -> tuple[int, ...]:
        """Of what it gives for a text of so many tokens."""
        return (tokens, self.width) if self.gives is Gives.TOKEN_CLASSES else (self.width,)


def description_json(description: EncoderDescription) -> str:
    """As the metadata keep it; the same text for the same description."""
    return json.dumps({"schema": SCHEMA, **asdict(description)}, ensure_ascii=False, sort_keys=True)


def parse_description(text: str, *, subject: str) -> EncoderDescription:
    """The reverse; BadInputError names the place of a mistake."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{subject}: {DESCRIPTION_KEY} is not JSON ({error})", hint=HINT) from error
    if not isinstance(values, dict):
        raise BadInputError(f"{subject}: {DESCRIPTION_KEY}: expected an object", hint=HINT)
    table = Table(values, subject=subject, hint=HINT)
    if (schema := table.text("schema")) != SCHEMA:
        table.fail("schema", f"expected {SCHEMA}, got {schema[:40]!r}")
    description = EncoderDescription(
        name=table.text("name"), architecture=table.text("architecture"), quant=table.choice("quant", OnnxQuant),
        parameters=table.whole("parameters", least=1), context_length=table.whole("context_length", least=1),
        vocabulary=table.whole("vocabulary", least=1), gives=table.choice("gives", Gives),
        width=table.whole("width", least=1), labels=table.texts("labels"),
    )  # fmt: skip
    if len(description.labels) != (0 if description.gives is Gives.VECTOR else description.width):
        table.fail("labels", f"{len(description.labels)} of them for what gives a {description.gives}")
    table.finish()
    return description
