"""The gates between weights and bundle, asked once for the same weights, checkpoint and depth."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import edgepack
from edgepack.domain.adapter import AdapterWeights
from edgepack.domain.agreement import not_run, waits
from edgepack.domain.divergence import divergence_gate, divergence_limit
from edgepack.domain.errors import BadInputError
from edgepack.domain.fidelity import CHUNK_TOKENS
from edgepack.domain.gates import Gate, GateDepth, GateKind, failures, gates_json, refuse_failed
from edgepack.domain.progress import Progress
from edgepack.domain.quant import Quant
from edgepack.domain.tuning import UNTUNED
from edgepack.domain.weights import Weights
from edgepack.formats.partial import partial_directory
from edgepack.infra.extras import onnxruntime_said
from edgepack.infra.library import load_losses
from edgepack.infra.observations import Observations
from edgepack.infra.pins import llama_cpp_pin
from edgepack.infra.store import home, require_space
from edgepack.pipeline.contents import sample_prompt
from edgepack.pipeline.order import Order, Planned
from edgepack.stages.agreement import second_opinion, unable
from edgepack.stages.convert import Opened, convert_to, mixture_of, open_checkpoint
from edgepack.stages.fetch import fetch
from edgepack.stages.fidelity import compare
from edgepack.stages.gates import check_gates
from edgepack.stages.golden import golden_answer

GATES = "gates.json"
# Raised whenever gates look at something else: what passed then is asked again.
_RULES = "edgepack-gates/2"
_TEXT = Path(edgepack.__file__).parent / "data" / "calibration.txt"
_CHUNKS = 4
"""Of 512 tokens each: a thousand places, whose mean is known to a tenth of itself or so."""
SMALL = 100_000_000
"""Parameters up to which full precision is asked unasked: it costs seconds there."""
_UNROUNDED = (Quant.F16, Quant.BF16)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Gated:
    """What the gates are asked about."""

    planned: Planned
    weights: Weights
    adapter: AdapterWeights | None
    order: Order
    depth: GateDepth
    checkpoint: Opened | None
    """What the weights are held against."""


def gate_evidence(
    planned: Planned, weights: Weights, adapter: AdapterWeights | None, order: Order, progress: Progress
) -> dict[str, bytes]:
    """The gates' figures, as evidence.

    Raises VerificationError where a gate is not passed, unless forced. Only gates that were passed are remembered.
    """
    depth = order.gates or (GateDepth.FULL if weights.parameters <= SMALL else GateDepth.QUICK)
    if depth is GateDepth.NONE:
        return {}
    gated = _Gated(
        planned=planned, weights=weights, adapter=adapter, order=order, depth=depth,
        checkpoint=_checkpoint(planned, order, progress),
    )  # fmt: skip
    observations = Observations(home())
    record = observations.latest("gates", *_subject(gated))
    if record is None:
        gates = _asked(gated, progress)
        record = json.dumps(gates_json(gates), indent=2, ensure_ascii=False)
        if all(gate.passed and not waits(gate) for gate in gates):
            observations.keep(record, "gates", *_subject(gated))
    return {GATES: f"{record}\n".encode()}


def _checkpoint(planned: Planned, order: Order, progress: Progress) -> Opened | None:
    """What the weights were made of here, or are said to be made of."""
    if isinstance(planned.material, Opened):
        return planned.material
    if order.checkpoint is None:
        return None
    found = fetch(order.checkpoint, cache=home() / "hub", progress=progress, offline=order.offline)
    return open_checkpoint(found, allow_over_3b=order.allow_over_3b)


def _subject(gated: _Gated) -> tuple[str, ...]:
    """All that the gates' figures depend on."""
    checkpoint = gated.checkpoint.checkpoint.digest if gated.checkpoint else "no checkpoint"
    adapter = gated.adapter.sha256 if gated.adapter else "no adapter"
    version = llama_cpp_pin().version
    return (
        gated.weights.sha256, checkpoint, adapter, sample_prompt(gated.order), gated.depth, version,
        onnxruntime_said(), _RULES,
    )  # fmt: skip


def _asked(gated: _Gated, progress: Progress) -> tuple[Gate, ...]:
    """The quick ones first: what they refuse is not worth converting again."""
    gates: list[Gate] = []
    for more in _each(gated, progress):
        gates += more
        _report(more, gated, progress)
    return tuple(gates)


def _each(gated: _Gated, progress: Progress) -> Iterator[tuple[Gate, ...]]:
    checkpoint, weights = gated.checkpoint, gated.weights
    if checkpoint:
        progress.step("comparing tokens, chat template and ends with the checkpoint's")
        yield check_gates(checkpoint.checkpoint.directory, weights.path)
    adapter = gated.adapter.path if gated.adapter else None
    yield (golden_answer(weights.path, sample_prompt(gated.order), adapter=adapter, threads=gated.order.workers),)
    if checkpoint and gated.depth is GateDepth.FULL:
        yield from _beside_full(checkpoint, gated, progress)


def _report(gates: tuple[Gate, ...], gated: _Gated, progress: Progress) -> None:
    if not gated.order.force:
        refuse_failed(gates, gated.planned.name)
    for failure in failures(gates):
        progress.warn(failure)
    for gate in gates:
        for note in gate.notes:
            progress.warn(f"{gate.kind}: {note}")


def _beside_full(opened: Opened, gated: _Gated, progress: Progress) -> Iterator[tuple[Gate, ...]]:
    """Full precision is made for this, and gone afterwards: what it showed is kept."""
    rounded = gated.weights.quant not in _UNROUNDED
    silent = _no_opinion(opened)
    short = gated.weights.context_length < CHUNK_TOKENS
    with partial_directory(home() / "full-precision") as scratch:
        full = gated.weights
        if rounded and not (short and silent):
            full = _made(scratch / "full.gguf", opened, Quant.F16, gated, progress)
        if rounded:
            yield (_divergence(opened, gated, full, progress),)
        yield (not_run(silent) if silent else _second_opinion(opened, gated, full, scratch, progress),)


def _made(path: Path, opened: Opened, quant: Quant, gated: _Gated, progress: Progress) -> Weights:
    conversion = opened.conversion
    size = conversion.plan.size(mixture_of(quant, UNTUNED))
    require_space(path.parent, size, f"{conversion.name} {quant}, which the weights are compared with")
    return convert_to(path, conversion, quant, threads=gated.order.workers, progress=progress)


def _divergence(opened: Opened, gated: _Gated, full: Weights, progress: Progress) -> Gate:
    if gated.weights.context_length < CHUNK_TOKENS:
        return _unasked(f"a context of {gated.weights.context_length} tokens, and {CHUNK_TOKENS} are read together")
    try:
        found = compare(gated.weights, full, _TEXT, progress=progress, threads=gated.order.workers, limit=_CHUNKS)
    except BadInputError as error:  # a vocabulary that ends every text: there is no text to go on
        return _unasked(error.what)
    untuned = not opened.tuning.overrides
    return divergence_gate(found, divergence_limit(load_losses(), gated.weights.gguf_quant) if untuned else None)


def _no_opinion(opened: Opened) -> str | None:
    """Why the checkpoint is not run by another engine, if it is not."""
    if any(source.update for source in opened.conversion.plan.sources):
        return "an adapter is merged into these weights"
    return unable(opened.checkpoint.directory)


def _second_opinion(opened: Opened, gated: _Gated, full: Weights, scratch: Path, progress: Progress) -> Gate:
    """Of weights that were not made here, a twin that is shows what rounding alone costs."""
    stranger = opened is not gated.planned.material
    quant = gated.weights.gguf_quant
    rounds = stranger and quant not in (None, *_UNROUNDED)
    twin = _made(scratch / "twin.gguf", opened, quant, gated, progress) if rounds and quant else None
    return second_opinion(
        gated.weights, opened.checkpoint.directory, full=full.path, twin=twin.path if twin else None,
        text=_TEXT.read_text(encoding="utf-8"), scratch=scratch, threads=gated.order.workers, progress=progress,
    )  # fmt: skip


def _unasked(why: str) -> Gate:
    return Gate(kind=GateKind.DIVERGENCE, checked=0, different=(), notes=(why,))
