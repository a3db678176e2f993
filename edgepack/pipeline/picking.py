"""The models of a build that names none: those that `pick` ranks for the profile and the kind of task."""

from dataclasses import dataclass

from edgepack.domain.catalogue import CatalogueModel
from edgepack.domain.errors import NothingFitsError
from edgepack.domain.licences import LicencePolicy
from edgepack.domain.needs import TaskKind, limited, usual_needs
from edgepack.domain.onnx_devices import why_no_onnx
from edgepack.domain.onnx_memory import onnx_memory
from edgepack.domain.quant import OnnxQuant, Quant
from edgepack.domain.source import Source
from edgepack.infra.extras import has_onnx_extra
from edgepack.infra.library import load_catalogue, load_profile
from edgepack.stages.encoder import class_becomes_onnx, encoder_size
from edgepack.stages.fetch import find_source
from edgepack.stages.pick import pick


@dataclass(frozen=True, kw_only=True, slots=True)
class PickedModels:
    """What `edgepack pick` ranks, the best first."""

    wanted: tuple[tuple[str, Source, Quant], ...]
    """Not empty."""
    context: int


def pick_encoders(
    profile: str, *, policy: LicencePolicy, precisions: tuple[OnnxQuant, ...]
) -> tuple[tuple[str, Source, OnnxQuant], ...]:
    """The catalogue's encoders for a task of labels; none where the device, or this machine, runs no onnxruntime."""
    device = load_profile(profile)
    if why_no_onnx(device) or not has_onnx_extra():
        return ()
    return tuple(
        (model.id, find_source(model.id), quant)
        for model in load_catalogue().models
        if class_becomes_onnx(model.architecture) and policy.objection(model.licence) is None
        for quant in precisions or (OnnxQuant.Q8,)
        if onnx_memory(encoder_size(model.parameters, quant), _vocabulary(model)).total <= device.memory_budget
    )


def _vocabulary(model: CatalogueModel) -> int:
    found = model.config.values.get("vocab_size")
    return found if isinstance(found, int) else 0


def pick_models(
    profile: str,
    kind: TaskKind,
    *,
    policy: LicencePolicy,
    quants: tuple[Quant, ...],
    context: int | None,
    allow_over_3b: bool,
    force: bool,
) -> PickedModels:
    """The models that keep the limits, each at the quantization that pick gives it, or at all of `quants`.

    Raises NothingFitsError where every model of the catalogue breaks a limit.
    """
    needs, device = limited(usual_needs(kind), context=context), load_profile(profile)
    choices = [
        pick(device, needs, policy=policy, quant=quant, allow_over_3b=allow_over_3b, force=force).choice
        for quant in quants or (None,)
    ]
    ranked = [ranked.contender for choice in choices for ranked in choice.ranked]
    if not ranked:
        raise NothingFitsError(
            f"no model of the catalogue keeps the limits of {kind} on {device.name}",
            hint=f"see why: edgepack pick --profile {profile} --task {kind}; or name a model with --model",
        )
    wanted = tuple((one.model, find_source(one.model), one.quant) for one in ranked)
    return PickedModels(wanted=wanted, context=needs.context)
