"""From an order to what would be made, and to its weights."""

from typing import assert_never

from edgepack.domain.device import LocalDevice
from edgepack.domain.errors import UsageError
from edgepack.domain.memory import need_of
from edgepack.domain.native import RuntimeChoice
from edgepack.domain.plan import choose
from edgepack.domain.progress import Progress
from edgepack.domain.repacking import loading_of
from edgepack.domain.weights import Weights
from edgepack.infra.library import load_profile
from edgepack.infra.pins import llama_cpp_pin
from edgepack.infra.store import Store, home
from edgepack.pipeline.contents import flags_of
from edgepack.pipeline.encoding import encoder_weights, plan_encoder
from edgepack.pipeline.larger import beside, plan_large
from edgepack.pipeline.material import context_of, open_material, refuse_embedding, refuse_wheels
from edgepack.pipeline.order import Order, Planned
from edgepack.stages.adapter import open_adapter
from edgepack.stages.adopt import Adopted
from edgepack.stages.convert import Opened, convert, file_stem, warn_of_types
from edgepack.stages.encoder import AdoptedEncoder, OpenedEncoder
from edgepack.stages.imatrix import find_matrix


def prepare(order: Order, progress: Progress) -> Planned:
    """Profile and model to the candidate that would be built."""
    _refuse_unmeasurable(order)
    profile = load_profile(order.profile)
    adapter = open_adapter(order.adapter, memo=home() / "digests", progress=progress) if order.adapter else None
    material = open_material(order, adapter, progress)
    if isinstance(material, OpenedEncoder | AdoptedEncoder):
        return plan_encoder(order, profile, material)
    refuse_wheels(order)
    refuse_embedding(material)
    context = context_of(order.context, material)
    flags = flags_of(order, profile, context)
    large = plan_large(order, profile, flags, progress)
    plan = choose(
        material.candidates(order.quant, need_of(flags), loading_of(profile.isa, flags)),
        context=context,
        budget=profile.memory_budget - sum(size for _, size in beside(order, large)),
        subject=material.name,
        force=order.force,
    )
    warn_of_types(plan.chosen.fallen, plan.chosen.size, order.tuning, plan.chosen.gguf_quant, progress)
    name = file_stem(material.name, *([adapter.name] if adapter else []), plan.chosen.title, profile.name)
    return Planned(
        profile=profile,
        material=material,
        adapter=adapter,
        plan=plan,
        name=name,
        tuning=order.tuning,
        converter=order.converter,
        large=large,
    )


def weights_of(planned: Planned, order: Order, progress: Progress) -> Weights:
    match planned.material:
        case Adopted(weights=weights):
            return weights
        case Opened() as opened:
            quant = planned.plan.chosen.gguf_quant
            assert quant is not None, "a checkpoint's candidates are quantizations"
            version, store = llama_cpp_pin().version, Store(home())
            threads = order.workers
            matrix = find_matrix(
                opened.tuning.matrix,
                opened.conversion,
                weights=opened.inputs,
                llama_cpp=version,
                store=store,
                threads=threads,
                progress=progress,
            )
            return convert(
                opened, quant, matrix=matrix, llama_cpp=version, store=store, threads=threads, progress=progress
            )
        case OpenedEncoder() | AdoptedEncoder() as encoder:
            return encoder_weights(encoder, planned.plan, progress)
        case _:
            assert_never(planned.material)


def _refuse_unmeasurable(order: Order) -> None:
    """llama-bench measures on other devices: it must be there, and knows no adapters."""
    if isinstance(order.device, LocalDevice) or not order.measure:
        return
    if order.runtime is RuntimeChoice.NONE:
        raise UsageError(
            f"--device {order.device} --runtime none: nothing to measure with", hint="leave one of the two away"
        )
    if order.adapter and not order.adapter.merge:
        raise UsageError(
            f"--device {order.device}: llama-bench takes no adapter beside the weights",
            hint="add --merge, or leave --device away",
        )
