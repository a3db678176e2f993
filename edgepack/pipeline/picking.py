"""The model of a build that names none: the first that `pick` ranks for the profile and the kind of task."""

from dataclasses import dataclass

from edgepack.domain.errors import NothingFitsError
from edgepack.domain.licences import LicencePolicy
from edgepack.domain.needs import TaskKind, limited, usual_needs
from edgepack.domain.progress import Progress
from edgepack.domain.quant import Quant
from edgepack.domain.source import Source
from edgepack.infra.library import load_profile
from edgepack.stages.fetch import find_source
from edgepack.stages.pick import pick


@dataclass(frozen=True, kw_only=True, slots=True)
class PickedModel:
    """What `edgepack pick` puts first."""

    source: Source
    quant: Quant
    context: int


def pick_model(
    profile: str,
    kind: TaskKind,
    *,
    policy: LicencePolicy,
    quant: Quant | None,
    context: int | None,
    allow_over_3b: bool,
    force: bool,
    progress: Progress,
) -> PickedModel:
    """Raises NothingFitsError where every model of the catalogue breaks a limit."""
    needs = limited(usual_needs(kind), context=context)
    picked = pick(
        load_profile(profile), needs, policy=policy, quant=quant, allow_over_3b=allow_over_3b, force=force
    )  # fmt: skip
    if not picked.choice.ranked:
        raise NothingFitsError(
            f"no model of the catalogue keeps the limits of {kind} on {picked.profile.name}",
            hint=f"see why: edgepack pick --profile {profile} --task {kind}; or name a model with --model",
        )
    best = picked.choice.ranked[0].contender
    progress.step(f"picked {best.model} {best.quant} for {kind}: `edgepack pick --profile {profile}` says why")
    return PickedModel(source=find_source(best.model), quant=best.quant, context=needs.context)
