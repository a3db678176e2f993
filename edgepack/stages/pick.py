"""Every model of the catalogue against a device and a kind of task: planned and ranked before anything is fetched."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edgepack.domain.bundle import OVER_3B
from edgepack.domain.catalogue import CatalogueModel, ModelKind
from edgepack.domain.choice import Choice, Contender, choose_model
from edgepack.domain.errors import NothingFitsError
from edgepack.domain.licences import LicencePolicy
from edgepack.domain.memory import Need, buffers
from edgepack.domain.memory import predicted as predicted_memory
from edgepack.domain.needs import Needs
from edgepack.domain.profile import Profile
from edgepack.domain.quality import UNKNOWN, Quality, quality
from edgepack.domain.quant import Quant
from edgepack.domain.quant_loss import expected_loss
from edgepack.domain.sizes import ModelSizes, QuantSizes, repacking_of
from edgepack.domain.speed import DeviceSpeed, Row, SpeedPlan, calibrated, from_profile, predicted
from edgepack.domain.type_costs import costs_for
from edgepack.infra.library import load_catalogue, load_losses, load_sizes, load_type_costs

# Full precision is never what a small device wants; Q8_0 is as good.
_OFFERED = tuple(quant for quant in Quant if quant not in (Quant.BF16, Quant.F16))
_ANSWER = 128
"""Tokens of an answer, half of which stand in the cache while it is written."""
_HARDEST = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Picked:
    """A choice, and all that it was made from."""

    profile: Profile
    needs: Needs
    choice: Choice
    speed: DeviceSpeed | None
    qualities: Mapping[str, Quality]
    models: Mapping[str, CatalogueModel]


def pick(
    profile: Profile,
    needs: Needs,
    *,
    policy: LicencePolicy,
    quant: Quant | None = None,
    allow_over_3b: bool = False,
    force: bool = False,
) -> Picked:
    """Rank the catalogue's models for a profile. The same input gives the same output.

    Raises NothingFitsError for a kind of task that such models do not master, unless `force`; an empty ranking is
    no error here.
    """
    if needs.level > _HARDEST and not force:
        raise NothingFitsError(
            f"{needs.kind}: a level {needs.level} task; models under 3 B serve levels 1 and 2 (docs/choosing.md)",
            hint="route such requests to a larger model, split the task, or go on with --force",
        )
    speed = device_speed(profile)
    known = load_catalogue().models
    qualities = quality(known, needs.kind)
    models = {
        model.id: model
        for model in known
        if model.kind is ModelKind.INSTRUCT and (allow_over_3b or model.parameters <= OVER_3B)
    }
    contenders = _contenders(models, qualities, profile, needs, speed, policy)
    choice = choose_model(contenders, needs, budget=profile.memory_budget, asked=quant)
    return Picked(profile=profile, needs=needs, choice=choice, speed=speed, qualities=qualities, models=models)


def device_speed(profile: Profile) -> DeviceSpeed | None:
    """From the profile's calibrations, or from its bandwidth and clocks."""
    costs, sizes = costs_for(profile.isa, load_type_costs()), load_sizes()
    rows = [
        Row(
            quant=Quant(row.quant),
            work=sizes[row.model].quants[Quant(row.quant)].work,
            prefill=row.prefill,
            decode=row.decode,
        )
        for row in profile.calibrations
        if row.model in sizes
    ]
    if rows:
        return calibrated(rows, costs, source=profile.calibrations[0].source)
    return from_profile(profile, costs)


def plan_speed(sizes: ModelSizes, quant: QuantSizes, needs: Needs, speed: DeviceSpeed) -> SpeedPlan:
    """What one candidate will do with the request that `needs` describe."""
    depth = needs.prompt + _ANSWER // 2
    kept = buffers(sizes.memory, Need(context=depth)).kv_cache
    return predicted(quant.work, speed, prompt=needs.prompt, kv_read=kept)


def _contenders(
    models: Mapping[str, CatalogueModel],
    qualities: Mapping[str, Quality],
    profile: Profile,
    needs: Needs,
    speed: DeviceSpeed | None,
    policy: LicencePolicy,
) -> Iterator[Contender]:
    losses, tables, repacking = load_losses(), load_sizes(), repacking_of(profile.isa)
    watts = profile.power.load
    for name, model in models.items():
        sizes = tables[name]
        for quant in _OFFERED:
            found = sizes.quants[quant]
            plan = plan_speed(sizes, found, needs, speed) if speed else None
            memory = predicted_memory(sizes.memory, found.loaded[repacking], Need(context=needs.context))
            loss = expected_loss(losses, quant, parameters=model.parameters)
            yield Contender(
                model=name, parameters=model.parameters, quant=quant, bits=8 * found.size / model.parameters,
                size=found.size, memory=memory,
                speed=plan, quality=qualities.get(name, UNKNOWN).score, loss=loss.rise if loss else None,
                joules=watts.value / plan.decode if watts and plan else None,
                licence=model.licence.spdx or model.licence.name, refused=policy.objection(model.licence),
                context=model.context,
            )  # fmt: skip
