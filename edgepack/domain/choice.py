"""Which candidate to take, and why: hard limits first, then quality for the task, then speed. Pure arithmetic."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from edgepack.domain.memory import MemoryPlan
from edgepack.domain.needs import Needs
from edgepack.domain.quant import Quant
from edgepack.domain.speed import SpeedPlan

MIB = 1 << 20
# Relative loss of perplexity that a quantization may have to count as good: Q4_K_M's, for models that can bear it.
_TOLERATED = 0.03
# Below half a billion parameters the bits saved are few and the quality they cost is large: Q6_K's and Q8_0's.
_TOLERATED_SMALL = 0.005
_SMALL = 500_000_000
_FOUR_BITS = 4.0
# Below this a model of under 3 B loses more than the next smaller one at four bits.
_LEAST_BITS = 3.3


class Limit(StrEnum):
    """What rules a candidate out."""

    LICENCE = "licence"
    CONTEXT = "context"
    SIZE = "size"
    MEMORY = "memory"
    FIRST_TOKEN = "first token"  # noqa: S105  a token of text
    DECODE = "tokens/s"


@dataclass(frozen=True, kw_only=True, slots=True)
class Broken:
    """A limit, and by how much a candidate misses it, in words with units."""

    limit: Limit
    text: str
    excess: float
    """Times what is allowed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """One model at one quantization on one device, all that is known of it."""

    model: str
    parameters: int
    quant: Quant
    bits: float
    """Per weight, of the whole file."""
    size: int
    """Bytes of the weights."""
    memory: MemoryPlan
    speed: SpeedPlan | None
    """None where the profile says too little."""
    quality: float | None
    """In the harness's unit; None where nobody published it there."""
    loss: float | None
    """Relative rise of perplexity against full precision; None where nobody measured it."""
    joules: float | None
    """Energy of a generated token."""
    licence: str
    refused: str | None
    """Why the licence policy refuses it."""
    context: int
    """Tokens that the model was made for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranked:
    """A candidate that keeps every limit, and what speaks for it."""

    contender: Contender
    front: bool
    """Whether no other is at least as good in quality, speed and size, and better in one."""
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Excluded:
    """A model that breaks a limit at every quantization: the one that comes nearest."""

    contender: Contender
    broken: tuple[Broken, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The candidates from the best, one a model, and the models that were ruled out."""

    ranked: tuple[Ranked, ...]
    excluded: tuple[Excluded, ...]


def choose_model(contenders: Iterable[Contender], needs: Needs, *, budget: int, asked: Quant | None = None) -> Choice:
    """Rank what fits `budget` bytes and keeps `needs`. With `asked`, at that quantization only."""
    by_model: dict[str, list[Contender]] = {}
    for contender in contenders:
        by_model.setdefault(contender.model, []).append(contender)
    kept, excluded = [], []
    for variants in by_model.values():
        offered = [one for one in variants if one.quant is asked or (asked is None and one.bits >= _LEAST_BITS)]
        judged = [(one, broken_limits(one, needs, budget)) for one in offered]
        fitting = [one for one, broken in judged if not broken]
        if fitting:
            kept.append(_best_quantization(fitting))
        elif judged:
            contender, broken = min(judged, key=lambda pair: _distance(pair[1]))
            excluded.append(Excluded(contender=contender, broken=broken))
    kept.sort(key=_order)
    front = pareto(kept)
    ranked = tuple(
        Ranked(contender=one, front=one in front, reasons=_reasons(one, by_model[one.model])) for one in kept
    )
    return Choice(ranked=ranked, excluded=tuple(sorted(excluded, key=lambda one: one.contender.parameters)))


def broken_limits(contender: Contender, needs: Needs, budget: int) -> tuple[Broken, ...]:
    """Every limit that a candidate breaks, the ones that no other quantization mends first."""
    found = []
    if contender.refused:
        found.append(Broken(limit=Limit.LICENCE, text=contender.refused, excess=math.inf))
    if contender.context < needs.context:
        text = f"made for {contender.context} tokens, {needs.context} wanted"
        found.append(Broken(limit=Limit.CONTEXT, text=text, excess=needs.context / contender.context))
    if needs.size and contender.size > needs.size:
        text = f"{_mib(contender.size)}, {_mib(needs.size)} allowed"
        found.append(Broken(limit=Limit.SIZE, text=text, excess=contender.size / needs.size))
    if contender.memory.total > budget:
        text = f"needs {_mib(contender.memory.total)} of {_mib(budget)}"
        found.append(Broken(limit=Limit.MEMORY, text=text, excess=contender.memory.total / budget))
    return (*found, *_too_slow(contender.speed, needs))


def _too_slow(speed: SpeedPlan | None, needs: Needs) -> Iterable[Broken]:
    if speed is None:
        return
    if needs.first_token and speed.first_token > needs.first_token:
        text = f"after {speed.first_token:.1f} s for {needs.prompt} tokens, {needs.first_token:g} s allowed"
        yield Broken(limit=Limit.FIRST_TOKEN, text=text, excess=speed.first_token / needs.first_token)
    if needs.decode and speed.decode < needs.decode:
        text = f"{speed.decode:.1f}, {needs.decode:g} wanted"
        yield Broken(limit=Limit.DECODE, text=text, excess=needs.decode / speed.decode)


def _distance(broken: Sequence[Broken]) -> float:
    """How far a candidate is from keeping all limits: the product of what it misses them by."""
    return math.prod(one.excess for one in broken)


def _best_quantization(variants: Sequence[Contender]) -> Contender:
    """The fastest whose loss is tolerated, or the one that loses least; under four bits only if need be."""
    four = [one for one in variants if one.bits >= _FOUR_BITS] or variants
    tolerated = _TOLERATED_SMALL if four[0].parameters < _SMALL else _TOLERATED
    good = [one for one in four if one.loss is not None and one.loss <= tolerated]
    if not good:
        return min(four, key=lambda one: (one.loss is None, one.loss or 0.0, -one.bits))
    return max(good, key=lambda one: (one.speed.decode if one.speed else 0.0, -one.size))


def _order(contender: Contender) -> tuple[bool, float, float, int]:
    """Known quality before unknown, the better first; among equals the faster, then the smaller."""
    decode = contender.speed.decode if contender.speed else 0.0
    return (contender.quality is None, -_expected(contender), -decode, contender.size)


def _expected(contender: Contender) -> float:
    """The published quality, less what the quantization costs: a share of perplexity counts as a share of score."""
    return (contender.quality or 0.0) * (1 - (contender.loss or 0.0))


def pareto(contenders: Sequence[Contender]) -> frozenset[Contender]:
    """Those of known quality that no other beats in quality, speed or size without losing in another."""
    known = [one for one in contenders if one.quality is not None]
    return frozenset(one for one in known if not any(_dominates(other, one) for other in known))


def _dominates(other: Contender, one: Contender) -> bool:
    theirs, own = _merits(other), _merits(one)
    return theirs != own and all(their >= mine for their, mine in zip(theirs, own, strict=True))


def _merits(contender: Contender) -> tuple[float, float, float]:
    return (_expected(contender), contender.speed.decode if contender.speed else 0.0, -contender.size)


def _reasons(chosen: Contender, variants: Sequence[Contender]) -> tuple[str, ...]:
    """Why this quantization, against the one that people would ask about."""
    found = []
    if chosen.quality is None:
        found.append("quality unknown: nobody published it in the harness that ranks the others")
    if chosen.bits < _FOUR_BITS:
        found.append("under four bits a weight: nothing larger fits")
    faster = [
        one
        for one in variants
        if one.speed and chosen.speed and one.bits >= _FOUR_BITS and one.speed.decode > chosen.speed.decode
    ]
    if faster and chosen.speed:
        best = max(faster, key=lambda one: one.speed.decode if one.speed else 0.0)
        assert best.speed
        gain = best.speed.decode / chosen.speed.decode - 1
        reading = best.speed.prefill / chosen.speed.prefill
        found.append(f"{best.quant} would write {gain:.0%} faster and read {reading:.1f} times as fast, at more loss")
    return tuple(found)


def _mib(size: int) -> str:
    return f"{size / MIB:,.0f} MiB"
