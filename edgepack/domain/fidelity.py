"""How near weights are to others of the same model, by llama-perplexity's figures; it runs neither."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from edgepack.domain.measurement import MeasuredWeights, Runtime
from edgepack.domain.metrics import mean, quantile

SCHEMA = "edgepack.fidelity/1"
CHUNK_TOKENS = 512
"""Tokens that are read together, as llama-perplexity does; those of the second half are foreseen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Foreseen:
    """One place in the text: how both models foresaw the token that comes there."""

    surprise: float
    """Nats: minus the logarithm of the probability that the weights gave to it."""
    surprise_against: float
    divergence: float
    """Kullback-Leibler, in nats, of what the weights expect from what the others do."""
    same_top: bool
    """Whether both found the same token likeliest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Divergence:
    """Statistics over all places, in nats."""

    mean: float
    error: float
    """Standard error of the mean."""
    median: float
    p90: float
    p99: float
    maximum: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """What was read."""

    name: str
    sha256: str
    tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Fidelity:
    """What a comparison showed."""

    date: datetime
    weights: MeasuredWeights
    against: MeasuredWeights
    text: Text
    runtime: Runtime
    threads: int
    chunk_tokens: int
    chunks: int
    places: tuple[Foreseen, ...]

    @property
    def perplexity(self) -> float:
        return math.exp(mean([place.surprise for place in self.places]))

    @property
    def perplexity_against(self) -> float:
        return math.exp(mean([place.surprise_against for place in self.places]))

    @property
    def same_top(self) -> float:
        return mean([float(place.same_top) for place in self.places])

    @property
    def divergence(self) -> Divergence:
        return divergence([place.divergence for place in self.places])


def divergence(values: Sequence[float]) -> Divergence:
    """The statistics of some divergences, one or more."""
    ordered, middle = sorted(values), mean(values)
    variance = mean([(value - middle) ** 2 for value in values])
    return Divergence(
        mean=middle, error=math.sqrt(variance / max(len(values) - 1, 1)), median=quantile(ordered, 0.5),
        p90=quantile(ordered, 0.9), p99=quantile(ordered, 0.99), maximum=ordered[-1],
    )  # fmt: skip


def fidelity_json(fidelity: Fidelity) -> dict[str, object]:
    """Plain values for `json.dumps`, statistics in place of the places."""
    return {
        "schema": SCHEMA,
        "date": fidelity.date.astimezone(UTC).isoformat(),
        "weights": asdict(fidelity.weights),
        "against": asdict(fidelity.against),
        "text": asdict(fidelity.text),
        "runtime": asdict(fidelity.runtime),
        "threads": fidelity.threads,
        "chunk_tokens": fidelity.chunk_tokens,
        "chunks": fidelity.chunks,
        "counted": len(fidelity.places),
        "perplexity": fidelity.perplexity,
        "perplexity_against": fidelity.perplexity_against,
        "perplexity_ratio": fidelity.perplexity / fidelity.perplexity_against,
        "divergence": asdict(fidelity.divergence),
        "same_top": fidelity.same_top,
    }
