"""A bundle that holds an encoder: what is planned for it, what goes into it, and what its order must not ask for."""

from hashlib import sha256
from pathlib import Path
from typing import assert_never

from edgepack import __version__
from edgepack.domain.bundle import (
    BundledEncoder,
    BundleFacts,
    PredictedMemory,
    ProfileRef,
    Provenance,
    RuntimeFlags,
    WheelPlatform,
)
from edgepack.domain.converter import Converter
from edgepack.domain.device import LocalDevice
from edgepack.domain.errors import NothingFitsError, UsageError
from edgepack.domain.golden import GOLDEN_OUTPUTS, LEAST_COSINE, GoldenTexts, outputs_json
from edgepack.domain.onnx_devices import why_no_onnx
from edgepack.domain.onnx_memory import USUAL_CONTEXT
from edgepack.domain.plan import Plan, choose
from edgepack.domain.profile import PYTHON, Profile, profile_toml
from edgepack.domain.progress import Progress
from edgepack.domain.quant import OnnxQuant
from edgepack.domain.weights import Weights
from edgepack.infra.pins import llama_cpp_pin
from edgepack.infra.store import Store, home
from edgepack.infra.wheels import package_versions, pinned_wheels
from edgepack.pipeline.contents import bundled_model
from edgepack.pipeline.encoder_gating import encoder_gates
from edgepack.pipeline.order import Order, Planned
from edgepack.stages.bundle import BundleContents, EncoderContents
from edgepack.stages.convert import file_stem
from edgepack.stages.encoder import AdoptedEncoder, EncoderMaterial, OpenedEncoder, convert_encoder
from edgepack.stages.golden import GoldenSeen, golden_outputs
from edgepack.stages.wheels import device_wheels


def plan_encoder(order: Order, profile: Profile, material: EncoderMaterial) -> Planned:
    """Raises UsageError for what only llama.cpp has, NothingFitsError where onnxruntime must not run."""
    refuse_for_encoder(order)
    wheel_platform(order, profile)  # before anything is made
    if (why := why_no_onnx(profile)) and not order.force:
        raise NothingFitsError(
            f"{profile.name}: {why}", hint="choose another profile, or a model that llama.cpp runs (edgepack pick)"
        )
    context = _context(order.context, material)
    plan = choose(
        material.precisions(order.precision, context), context=context, budget=profile.memory_budget,
        subject=material.name, force=order.force,
    )  # fmt: skip
    return Planned(
        profile=profile, material=material, adapter=None, plan=plan,
        name=file_stem(material.name, plan.chosen.title, profile.name), tuning=order.tuning,
        converter=Converter.EDGEPACK,
    )  # fmt: skip


def _context(asked: int | None, material: EncoderMaterial) -> int:
    limit = material.context_length
    if asked is not None and asked > limit:
        raise UsageError(
            f"--ctx {asked}: {material.name} was made for {limit} tokens", hint=f"ask for {limit} or fewer"
        )
    return asked or min(USUAL_CONTEXT, limit)


def encoder_weights(material: EncoderMaterial, plan: Plan, progress: Progress) -> Weights:
    """The ready file, or the checkpoint's, out of the store or made now."""
    match material:
        case AdoptedEncoder(weights=weights):
            return weights
        case OpenedEncoder() as opened:
            assert isinstance(plan.chosen.quant, OnnxQuant), "an encoder's candidates are precisions"
            return convert_encoder(opened, plan.chosen.quant, store=Store(home()), progress=progress)
        case _:
            assert_never(material)


def encoder_contents(order: Order, planned: Planned, weights: Weights, progress: Progress) -> BundleContents:
    """What the encoder gives is seen on the way, and goes into the bundle as evidence."""
    platform = wheel_platform(order, planned.profile)
    wheels = device_wheels(platform, offline=order.offline, progress=progress) if platform else ()
    seen = golden_outputs(weights, threads=order.workers, progress=progress)
    assert isinstance(weights.quant, OnnxQuant), "an ONNX file says which it is"
    return BundleContents(
        facts=_facts(order, planned, weights, seen),
        weights=weights.path,
        weights_sha256=weights.sha256,
        encoder=EncoderContents(
            tokenizer=seen.tokenizer,
            golden=GoldenTexts(least_cosine=LEAST_COSINE[weights.quant], texts=seen.texts),
            wheels=wheels,
        ),
        licence_files=planned.material.terms,
        evidence={
            GOLDEN_OUTPUTS: outputs_json(seen.outputs).encode(),
            **encoder_gates(planned, weights, seen, order, progress),
            **order.evidence,
        },
    )


def _facts(order: Order, planned: Planned, weights: Weights, seen: GoldenSeen) -> BundleFacts:
    profile, said = planned.profile, seen.said
    assert isinstance(weights.quant, OnnxQuant), "an ONNX file says which it is"
    return BundleFacts(
        name=planned.name,
        model=bundled_model(planned, weights),
        checkpoint=planned.material.digest,
        quantization=weights.quant,
        profile=ProfileRef(name=profile.name, digest=sha256(profile_toml(profile).encode()).hexdigest()),
        flags=RuntimeFlags(context=planned.plan.context, threads=max(1, profile.big_cores)),
        provenance=Provenance(edgepack=__version__, llama_cpp=llama_cpp_pin()),
        plan=PredictedMemory(parts=planned.plan.chosen.memory.parts),
        encoder=BundledEncoder(
            gives=said.gives, width=said.width, vocabulary=said.vocabulary, labels=said.labels,
            packages=package_versions(), wheels=wheel_platform(order, planned.profile),
        ),
        sample_prompt=seen.texts[0],
    )  # fmt: skip


def wheel_platform(order: Order, profile: Profile) -> WheelPlatform | None:
    """What wheels must be for, where any are asked for; UsageError where nobody says which Python there is."""
    if not order.wheels:
        if order.python:
            raise UsageError(f"--python {order.python}: no wheels are asked for", hint="add --with-wheels")
        return None
    python = order.python or profile.runtime.python
    if python is None or not PYTHON.fullmatch(python):
        said = "the profile does not say" if python is None else f"{python!r} is not"
        raise UsageError(f"--with-wheels: {said} the version of a Python", hint="say it: --python 3.13")
    platform = WheelPlatform(python=python, architecture=profile.runtime.target.partition("-")[0])
    pinned_wheels(platform)
    return platform


def refuse_for_encoder(order: Order) -> None:
    """Raise UsageError for what only llama.cpp's bundles have."""
    said = (
        *order.tuning.options,
        *(["--quant"] if order.quant else []),
        *(["--adapter"] if order.adapter else []),
        *(["--converter"] if order.converter is not Converter.EDGEPACK else []),
        *(["--system-prompt"] if order.system_prompt else []),
        *(["--flags"] if order.flags else []),
        *(["--route"] if order.route else []),
        *(["--runtime"] if isinstance(order.runtime, Path) else []),
        *([] if isinstance(order.device, LocalDevice) else ["--device"]),
    )
    if said:
        raise UsageError(
            f"{said[0]}: not for an encoder, which onnxruntime runs",
            hint="leave it away (--quant takes q8 and f32), or build a model that writes text",
        )
