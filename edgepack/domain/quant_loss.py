"""What quantizing costs a model, as others measured it; it knows nothing of the model at hand but its size."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgepack.domain.quant import Quant
from edgepack.domain.reading import Table

SCHEMA = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class QuantLoss:
    """One model at one quantization, measured on a text."""

    quant: Quant
    weighed: bool
    """With an importance matrix."""
    model: str
    parameters: int
    text: str
    before: float
    """Perplexity in full precision."""
    after: float
    divergence: float | None
    """Kullback-Leibler divergence from full precision, in nats, a token."""
    source: str

    @property
    def rise(self) -> float:
        """By which share of itself the perplexity rises."""
        return self.after / self.before - 1


def parse_losses(table: Mapping[str, object]) -> tuple[QuantLoss, ...]:
    """The losses in a file's table; BadInputError names the place of a mistake."""
    reader = Table(table, subject="losses", hint="correct the entry in edgepack/data/quant_loss.toml")
    if (schema := reader.whole("schema")) != SCHEMA:
        reader.fail("schema", f"expected {SCHEMA}, got {schema}")
    found = tuple(loss for run in reader.tables("run", least=1) for loss in _run(run))
    reader.finish()
    return found


def _run(table: Table) -> Iterator[QuantLoss]:
    model, parameters, weighed = table.text("model"), table.whole("parameters", least=1), table.flag("weighed")
    before, text, source = table.number("before", above=0), table.text("text"), table.text("source")
    quants = table.table("quants")
    table.finish()
    for quant in Quant:
        if inner := quants.table_or_none(quant.value):
            yield QuantLoss(
                quant=quant, weighed=weighed, model=model, parameters=parameters, text=text, before=before,
                after=inner.number("after", above=0), divergence=inner.number_or_none("divergence", above=0),
                source=source,
            )  # fmt: skip
            inner.finish()
    quants.finish()


def expected_loss(
    losses: Sequence[QuantLoss], quant: Quant, *, parameters: int, weighed: bool = False
) -> QuantLoss | None:
    """The loss measured on the model nearest in size; None where nobody published one.

    Without an importance matrix only runs without count; with one, those with it, or else the others.
    """
    found = [loss for loss in losses if loss.quant is quant and loss.weighed <= weighed]
    return min(found, key=lambda loss: (loss.weighed != weighed, _distance(loss, parameters)), default=None)


def _distance(loss: QuantLoss, parameters: int) -> float:
    return abs(math.log(loss.parameters / parameters))
