"""The models of a build that names none: those that `pick` ranks for the profile and the kind of task."""

from dataclasses import dataclass

from edgepack.domain.errors import NothingFitsError
from edgepack.domain.licences import LicencePolicy
from edgepack.domain.needs import TaskKind, limited, usual_needs
from edgepack.domain.quant import Quant
from edgepack.domain.source import Source
from edgepack.infra.library import load_profile
from edgepack.stages.fetch import find_source
from edgepack.stages.pick import pick


@dataclass(frozen=True, kw_only=True, slots=True)
class PickedModels:
    """What `edgepack pick` ranks, the best first."""

    wanted: tuple[tuple[str, Source, Quant], ...]
    """Not empty."""
    context: int


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
