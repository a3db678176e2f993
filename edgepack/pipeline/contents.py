"""What goes into a bundle, out of what a build planned and made."""

import json
from dataclasses import replace
from hashlib import sha256

from edgepack import __version__
from edgepack.domain.adapter import AdapterWeights
from edgepack.domain.bundle import (
    BundledAdapter,
    BundledModel,
    BundledRuntime,
    BundleFacts,
    LicenceName,
    PredictedMemory,
    ProfileRef,
    Provenance,
    RuntimeFlags,
)
from edgepack.domain.measurement import Measurement
from edgepack.domain.measurement_json import measurement_json
from edgepack.domain.native import NativeRuntime
from edgepack.domain.profile import Profile, profile_toml
from edgepack.domain.progress import Progress
from edgepack.domain.source import DemoSource
from edgepack.domain.weights import Weights
from edgepack.formats.golden import GOLDEN_LOSSES, golden_text
from edgepack.infra.library import load_catalogue
from edgepack.infra.machine import host_profile
from edgepack.infra.observations import Observations
from edgepack.infra.pins import llama_cpp_pin
from edgepack.infra.store import Store, home
from edgepack.pipeline.larger import beside, bundled_route
from edgepack.pipeline.order import Order, Planned
from edgepack.stages.adapter import OpenedAdapter
from edgepack.stages.bundle import BundleContents, SignedApp
from edgepack.stages.golden import golden
from edgepack.stages.state import KeptState, prompt_state, read_system_prompt

# What verify and selftest ask: the demo models know smart homes only.
_PROMPT = "Say hello."
_DEMO_PROMPT = "dim the kitchen lamp to 30"


def contents_of(
    order: Order,
    planned: Planned,
    weights: Weights,
    adapter: AdapterWeights | None,
    state: KeptState | None,
    runtime: NativeRuntime | None,
    evidence: dict[str, bytes],
    app: SignedApp | None = None,
) -> BundleContents:
    facts = BundleFacts(
        name=planned.name,
        model=bundled_model(planned, weights),
        checkpoint=planned.material.digest,
        quantization=planned.plan.chosen.quant,
        profile=ProfileRef(
            name=planned.profile.name, digest=sha256(profile_toml(planned.profile).encode()).hexdigest()
        ),
        flags=flags_of(order, planned.profile, planned.plan.context),
        tuned=order.flags.summary if order.flags else None,
        provenance=Provenance(edgepack=__version__, llama_cpp=llama_cpp_pin(), converter=planned.converter),
        adapter=_bundled_adapter(planned.adapter) if planned.adapter else None,
        state=state.state if state else None,
        native=_bundled_runtime(runtime) if runtime else None,
        plan=PredictedMemory(parts=(*planned.plan.chosen.memory.parts, *beside(order, planned.large))),
        route=bundled_route(order, planned),
        sample_prompt=sample_prompt(order),
    )
    return BundleContents(
        facts=facts,
        weights=weights.path,
        weights_sha256=weights.sha256,
        adapter=adapter.path if adapter else None,
        large=planned.large.adopted.weights.path if planned.large else None,
        state=state.path if state else None,
        system_prompt=state.system_prompt if state else "",
        runtime=runtime,
        licence_files=planned.material.terms,
        adapter_licence_files=planned.adapter.checkpoint.terms if planned.adapter else (),
        evidence=evidence,
        app=app,
    )


def _bundled_runtime(runtime: NativeRuntime) -> BundledRuntime:
    return BundledRuntime(target=runtime.target, origin=runtime.origin, digest=runtime.digest)


def flags_of(order: Order, profile: Profile, context: int) -> RuntimeFlags:
    """Those that were searched for, or the profile's big cores and llama.cpp's defaults."""
    if order.flags is None:
        return RuntimeFlags(context=context, threads=max(1, profile.big_cores))
    return replace(order.flags.flags, context=context)


def _bundled_adapter(adapter: OpenedAdapter) -> BundledAdapter:
    return BundledAdapter(
        name=adapter.name,
        origin=adapter.checkpoint.origin,
        checkpoint=adapter.checkpoint.digest,
        licence=LicenceName(name=adapter.licence, spdx=None),
        merged=adapter.choice.merge,
    )


def state_of(
    planned: Planned, weights: Weights, adapter: AdapterWeights | None, order: Order, progress: Progress
) -> KeptState | None:
    if order.system_prompt is None:
        return None
    return prompt_state(
        read_system_prompt(order.system_prompt),
        weights,
        adapter,
        flags=flags_of(order, planned.profile, planned.plan.context),
        llama_cpp=llama_cpp_pin().version,
        store=Store(home()),
        threads=order.workers,
        progress=progress,
    )


def bundled_model(planned: Planned, weights: Weights) -> BundledModel:
    """Which model it is, by the catalogue where it is listed."""
    material = planned.material
    origin = material.origin.removeprefix("hub:")
    listed = load_catalogue().find(origin)
    licence = (
        LicenceName(name=listed.licence.name, spdx=listed.licence.spdx)
        if listed
        else LicenceName(name=material.licence, spdx=None)
    )
    return BundledModel(
        name=material.name,
        origin=origin,
        revision=material.revision,
        architecture=weights.architecture,
        parameters=weights.parameters,
        licence=licence,
    )


def evidence_of(
    order: Order,
    weights: Weights,
    adapter: AdapterWeights | None,
    measurement: Measurement | None,
    progress: Progress,
) -> dict[str, bytes]:
    evidence = {GOLDEN_LOSSES: _golden(sample_prompt(order), weights, adapter, order, progress).encode()}
    if measurement:
        record = json.dumps(measurement_json(measurement), indent=2, sort_keys=True)
        evidence["measurement.json"] = f"{record}\n".encode()
    if order.flags:
        evidence["tuning.json"] = order.flags.record.encode()
    if order.route:
        evidence["routing.json"] = order.route.found.text.encode()
    return evidence


def _golden(prompt: str, weights: Weights, adapter: AdapterWeights | None, order: Order, progress: Progress) -> str:
    """As it was seen on this machine, now or before."""
    observations, text = Observations(home()), golden_text(prompt)
    bytes_ran = (weights.sha256, *([adapter.sha256] if adapter else []))
    subject = (*bytes_ran, text, profile_toml(host_profile()), llama_cpp_pin().version)
    seen = observations.latest("golden", *subject)
    if seen:
        return str(json.loads(seen)["text"])
    found = golden(
        weights.path,
        text,
        adapter=adapter.path if adapter else None,
        threads=order.workers,
        progress=progress,
    )
    observations.keep(json.dumps({"text": found}), "golden", *subject)
    return found


def sample_prompt(order: Order) -> str:
    return _DEMO_PROMPT if isinstance(order.source, DemoSource) else _PROMPT
