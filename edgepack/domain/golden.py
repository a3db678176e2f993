"""Texts that an encoder is tried on, what it gave for them elsewhere, and whether this is near; it runs nothing.

The same rules stand in a bundle's encoder.py, which knows nothing of this package.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp, sqrt
from typing import TypeAlias

from edgepack.domain.encoder import Gives
from edgepack.domain.errors import BadInputError
from edgepack.domain.quant import OnnxQuant
from edgepack.domain.reading import Table

GOLDEN_TEXTS = "golden/texts.json"
"""Where the texts lie in a bundle."""
GOLDEN_OUTPUTS = "golden.json"
"""What the build machine's CPU made of them, among the evidence: every CPU rounds in its own way."""
TEXTS_SCHEMA, OUTPUTS_SCHEMA = "edgepack.golden-texts/1", "edgepack.golden-outputs/1"
LEAST_COSINE = {OnnxQuant.F32: 0.9999, OnnxQuant.Q8: 0.99}
"""Between two CPUs; docs/onnx.md has what was seen."""
CLEAR = 0.1
"""By which share a label must be ahead of the second for another CPU to have to agree on it."""
_HINT = "make the bundle again, or copy it again from where it was made"

Rows: TypeAlias = tuple[tuple[float, ...], ...]
"""What an encoder gives for one text: a row, or one for each token."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GoldenTexts:
    """The texts, and how near to each other two CPUs must come."""

    least_cosine: float
    texts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class GoldenOutputs:
    """What was seen, and with which library."""

    runtime: str
    outputs: tuple[Rows, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Nearness:
    """The worst of all rows, and texts with a clear label that is another one here."""

    cosine: float
    texts: int
    other_labels: tuple[int, ...] = ()
    """By their places among the texts, from 1."""
    milliseconds: float | None = None
    """The median text's, where it was seen."""


def nearness(gives: Gives, expected: Sequence[Rows], seen: Sequence[Rows]) -> Nearness:
    """How near two machines come; raises BadInputError where they do not speak of the same shapes."""
    if [_shape(rows) for rows in expected] != [_shape(rows) for rows in seen]:
        raise BadInputError(f"evidence/{GOLDEN_OUTPUTS}: outputs of other shapes than the model's", hint=_HINT)
    pairs = [
        (place, *pair)
        for place, (was, now) in enumerate(zip(expected, seen, strict=True), 1)
        for pair in zip(was, now, strict=True)
    ]
    if gives is Gives.VECTOR:
        return Nearness(cosine=min((_cosine(was, now) for _, was, now in pairs), default=0.0), texts=len(seen))
    shares = [(place, _shares(was), _shares(now)) for place, was, now in pairs]
    others = (place for place, was, now in shares if _clear(was) and _best(was) != _best(now))
    return Nearness(
        cosine=min((_cosine(was, now) for _, was, now in shares), default=0.0), texts=len(seen),
        other_labels=tuple(dict.fromkeys(others)),
    )  # fmt: skip


def texts_json(golden: GoldenTexts) -> str:
    """As a bundle's payload has it."""
    return _text({"schema": TEXTS_SCHEMA, "least_cosine": golden.least_cosine, "texts": list(golden.texts)})


def outputs_json(golden: GoldenOutputs) -> str:
    """As a bundle's evidence has it: rounded to what float32 holds."""
    outputs = [[[float(f"{value:.7g}") for value in row] for row in rows] for rows in golden.outputs]
    return _text({"schema": OUTPUTS_SCHEMA, "runtime": golden.runtime, "outputs": outputs})


def parse_texts(text: str, *, subject: str) -> GoldenTexts:
    """The reverse; BadInputError names the place of a mistake."""
    table = _table(text, TEXTS_SCHEMA, subject)
    golden = GoldenTexts(least_cosine=table.number("least_cosine"), texts=table.texts("texts"))
    table.finish()
    if not golden.texts or not 0 < golden.least_cosine <= 1:
        table.fail("texts", "expected one or more, and a cosine up to 1")
    return golden


def parse_outputs(text: str, *, subject: str) -> GoldenOutputs:
    """The reverse; BadInputError names the place of a mistake."""
    table = _table(text, OUTPUTS_SCHEMA, subject)
    runtime, outputs = table.text("runtime"), table.rest().get("outputs")
    if not isinstance(outputs, list):
        table.fail("outputs", "expected a list")
    return GoldenOutputs(runtime=runtime, outputs=tuple(tuple(_rows(rows, table)) for rows in outputs))


def _rows(rows: object, table: Table) -> Iterator[tuple[float, ...]]:
    for row in rows if isinstance(rows, list) else [None]:
        if not isinstance(row, list) or not all(isinstance(one, float | int) for one in row):
            table.fail("outputs", "expected rows of numbers")
        yield tuple(map(float, row))


def _table(text: str, schema: str, subject: str) -> Table:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{subject}: not JSON ({error})", hint=_HINT) from error
    if not isinstance(values, dict):
        raise BadInputError(f"{subject}: expected an object", hint=_HINT)
    table = Table(values, subject=subject, hint=_HINT)
    if (said := table.text("schema")) != schema:
        table.fail("schema", f"expected {schema}, got {said[:40]!r}")
    return table


def _text(values: dict[str, object]) -> str:
    return json.dumps(values, ensure_ascii=False, sort_keys=True) + "\n"


def _shape(rows: Rows) -> tuple[int, ...]:
    return tuple(len(row) for row in rows)


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    lengths = sqrt(sum(value * value for value in one)) * sqrt(sum(value * value for value in other))
    return sum(a * b for a, b in zip(one, other, strict=True)) / lengths if lengths else 0.0


def _shares(row: Sequence[float]) -> list[float]:
    """A softmax."""
    largest = max(row)
    raised = [exp(value - largest) for value in row]
    return [value / sum(raised) for value in raised]


def _best(shares: Sequence[float]) -> int:
    return shares.index(max(shares))


def _clear(shares: Sequence[float]) -> bool:
    first, *others = sorted(shares, reverse=True)
    return first - max(others, default=0.0) >= CLEAR
