"""How far from full precision weights may be before something else than rounding must have happened to them."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgepack.domain.fidelity import Fidelity
from edgepack.domain.gates import Gate, GateKind
from edgepack.domain.quant import Quant
from edgepack.domain.quant_loss import QuantLoss

TIMES = 10.0
"""How often the published divergence is let pass. It was measured on 8 billion parameters, and small models lose
more: docs/build.md has what the demos, at 1 and 5 million, lose. A tensor in the wrong place or scale costs nats."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DivergenceLimit:
    """The most that a quantization may cost."""

    nats: float
    """Mean Kullback-Leibler divergence a token."""
    source: str


def divergence_limit(losses: Sequence[QuantLoss], quant: Quant | None) -> DivergenceLimit | None:
    """By the largest divergence that was published for the quantization; None where none was."""
    found = [(loss.divergence, loss) for loss in losses if loss.quant is quant and loss.divergence is not None]
    if not found:
        return None
    divergence, loss = max(found, key=lambda pair: pair[0])
    return DivergenceLimit(
        nats=TIMES * divergence, source=f"{TIMES:g} times {divergence:g} of {loss.model} at {quant}: {loss.source}"
    )


def divergence_gate(fidelity: Fidelity, limit: DivergenceLimit | None) -> Gate:
    """Compare the mean divergence with its limit, if there is one."""
    found = fidelity.divergence.mean
    figures: dict[str, float | str] = {
        "mean": found, "error": fidelity.divergence.error, "same_top": fidelity.same_top,
        "perplexity": fidelity.perplexity, "perplexity_against": fidelity.perplexity_against,
        "text": fidelity.text.name, "tokens": fidelity.text.tokens,
        **({"limit": limit.nats, "source": limit.source} if limit else {}),
    }  # fmt: skip
    # NaN is over every limit.
    over = limit is not None and not found <= limit.nats
    return Gate(
        kind=GateKind.DIVERGENCE, checked=len(fidelity.places), figures=figures,
        different=(f"{found:.4f} nats from full precision, and {limit.nats:.4f} are let pass",)
        if limit and over else (),
        notes=() if limit else ("nobody published what this mixture of types loses: no limit",),
    )  # fmt: skip
