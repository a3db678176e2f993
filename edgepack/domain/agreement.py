"""How far two engines agree on one text, and what may lie between them; it runs neither."""

from dataclasses import dataclass

from edgepack.domain.gates import Gate, GateKind

UNROUNDED = 0.001
"""Nats a token between a checkpoint under onnxruntime and its full precision under llama.cpp. Six models, seeded and
trained, came to 0.000007 at the most; with twice the rotary base, a small mistake, to 0.1."""
TIMES = 2.0
"""How often the rounding of a twin, quantized here the same way, is let pass in weights that somebody else made."""
_NOW = "not run now: "


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """Logits of two engines, over all places of a text."""

    places: int
    cosine: float
    """Of the logits, the mean."""
    worst_cosine: float
    divergence: float
    """Kullback-Leibler, nats a token, of what the GGUF expects from what the checkpoint does."""
    same_top: float
    """Share of places at which both find the same token likeliest."""


def agreement_gate(weights: Agreement, full: Agreement, twin: Agreement | None) -> Gate:
    """Judge a GGUF beside its checkpoint's float32 under another engine.

    `full` is the checkpoint's full precision as a GGUF made here, or the weights themselves where they are that;
    `twin` is what was quantized here as the weights say they are, where they were not made here.
    """
    different = []
    # NaN is over every limit.
    if not full.divergence <= UNROUNDED:
        different.append(
            f"full precision: {full.divergence:.6f} nats from the checkpoint by onnxruntime, and {UNROUNDED:g} pass"
        )
    limit = TIMES * twin.divergence + UNROUNDED if twin else None
    if limit is not None and not weights.divergence <= limit:
        different.append(
            f"the weights: {weights.divergence:.6f} nats from the checkpoint by onnxruntime, and {limit:.6f} pass"
        )
    figures: dict[str, float | str] = {
        "cosine": weights.cosine, "worst_cosine": weights.worst_cosine, "mean": weights.divergence,
        "same_top": weights.same_top, "full_precision": full.divergence, "full_precision_limit": UNROUNDED,
        **({"limit": limit} if limit is not None else {}),
    }  # fmt: skip
    return Gate(kind=GateKind.LOGITS, checked=weights.places, different=tuple(different), figures=figures)


def not_run(why: str) -> Gate:
    """The same gate where there is nothing to judge by."""
    return Gate(kind=GateKind.LOGITS, checked=0, different=(), notes=(f"not run: {why}",))


def not_run_now(why: str) -> Gate:
    """The same where another day may be better: it is not remembered."""
    return Gate(kind=GateKind.LOGITS, checked=0, different=(), notes=(f"{_NOW}{why}",))


def waits(gate: Gate) -> bool:
    """Whether it is to be asked again."""
    return any(note.startswith(_NOW) for note in gate.notes)
