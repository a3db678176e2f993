"""The gate between an encoder's weights and its bundle: what 8 bits give is near to what full precision gives."""

import json

from edgepack.domain.gates import Gate, GateDepth, GateKind, failures, gates_json, refuse_failed
from edgepack.domain.golden import nearness
from edgepack.domain.progress import Progress
from edgepack.domain.quant import OnnxQuant
from edgepack.domain.weights import Weights
from edgepack.formats.partial import partial_directory
from edgepack.infra.observations import Observations
from edgepack.infra.store import home
from edgepack.infra.wheels import package_versions
from edgepack.pipeline.gating import GATES, SMALL
from edgepack.pipeline.order import Order, Planned
from edgepack.stages.encoder import OpenedEncoder, encoder_to
from edgepack.stages.golden import GoldenSeen, golden_outputs

# Raised whenever the gate looks at something else: what passed then is asked again.
_RULES = "edgepack-encoder-gates/1"
_LEAST = 0.98
"""Cosine of the farthest text. Of 200 texts the farthest came to 0.998 at q8 (docs/onnx.md); a tensor in the wrong
place or scale comes to far less."""


def encoder_gates(
    planned: Planned, weights: Weights, seen: GoldenSeen, order: Order, progress: Progress
) -> dict[str, bytes]:
    """The gate's figures, as evidence; none for full precision, ready weights, and large ones unless asked.

    Raises VerificationError where it is not passed, unless forced.
    """
    depth = order.gates or (GateDepth.FULL if weights.parameters <= SMALL else GateDepth.QUICK)
    opened = planned.material
    if depth is not GateDepth.FULL or weights.quant is OnnxQuant.F32 or not isinstance(opened, OpenedEncoder):
        return {}
    observations = Observations(home())
    subject = (weights.sha256, opened.checkpoint.digest, dict(package_versions())["onnxruntime"], _RULES)
    record = observations.latest("gates", *subject)
    if record is None:
        gate = _beside_full(opened, seen, order, progress)
        if not order.force:
            refuse_failed((gate,), planned.name)
        for failure in failures((gate,)):
            progress.warn(failure)
        record = json.dumps(gates_json((gate,)), indent=2, ensure_ascii=False)
        if gate.passed:
            observations.keep(record, "gates", *subject)
    return {GATES: f"{record}\n".encode()}


def _beside_full(opened: OpenedEncoder, seen: GoldenSeen, order: Order, progress: Progress) -> Gate:
    """Full precision is made for this, and gone afterwards."""
    with partial_directory(home() / "full-precision") as scratch:
        full = encoder_to(scratch / "full.onnx", opened.conversion, OnnxQuant.F32, progress=progress)
        wanted = golden_outputs(full, threads=order.workers, progress=progress)
    near = nearness(seen.said.gives, wanted.outputs.outputs, seen.outputs.outputs)
    return Gate(
        kind=GateKind.ENCODER, checked=near.texts, figures={"least_cosine": near.cosine, "limit": _LEAST},
        different=(
            *([f"cosine {near.cosine:.4f}, {_LEAST} wanted"] if near.cosine < _LEAST else []),
            *(f"another label for {seen.texts[place - 1][:40]!r}" for place in near.other_labels),
        ),
    )  # fmt: skip
