"""The story of a build, in plain typed calls."""

import json
import os
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias, assert_never

from edgepack import __version__
from edgepack.domain.adapter import AdapterChoice, AdapterWeights
from edgepack.domain.bundle import (
    BundledAdapter,
    BundledModel,
    BundledRuntime,
    BundleFacts,
    Format,
    LicenceName,
    PredictedMemory,
    ProfileRef,
    Provenance,
    RuntimeFlags,
)
from edgepack.domain.checkpoint import Checkpoint
from edgepack.domain.converter import Converter
from edgepack.domain.device import Device, LocalDevice
from edgepack.domain.errors import BadInputError, UsageError
from edgepack.domain.measurement import Measurement, Workload
from edgepack.domain.measurement_json import measurement_json, parse_measurement
from edgepack.domain.native import NativeRuntime, RuntimeChoice
from edgepack.domain.plan import Plan, choose, refuse_over_3b
from edgepack.domain.profile import Profile, profile_toml
from edgepack.domain.progress import Progress
from edgepack.domain.quant import Quant
from edgepack.domain.source import DemoSource, GgufSource, HubSource, Source
from edgepack.domain.tuned import ChosenFlags
from edgepack.domain.tuning import UNTUNED, Tuning
from edgepack.domain.weights import Weights
from edgepack.formats.golden import GOLDEN_LOSSES, golden_text
from edgepack.infra.library import load_catalogue, load_profile
from edgepack.infra.machine import host_profile
from edgepack.infra.observations import Observations
from edgepack.infra.pins import llama_cpp_pin
from edgepack.infra.store import Store, home
from edgepack.stages.adapter import OpenedAdapter, adapter_size, convert_adapter, open_adapter
from edgepack.stages.adopt import Adopted, adopt
from edgepack.stages.bench import bench
from edgepack.stages.bundle import Bundle, BundleContents, write_bundle
from edgepack.stages.convert import (
    Opened,
    convert,
    file_stem,
    open_checkpoint,
    open_full_precision,
    warn_of_types,
)
from edgepack.stages.device_bench import bench_device
from edgepack.stages.fetch import fetch
from edgepack.stages.golden import golden
from edgepack.stages.imatrix import find_matrix
from edgepack.stages.runtime import adopt_runtime, build_runtime
from edgepack.stages.state import KeptState, prompt_state, read_system_prompt
from edgepack.stages.upstream import open_upstream
from edgepack.stages.verify import Verdict, verify

USUAL_CONTEXT = 4096
HERE = LocalDevice()
# What verify and selftest ask: the demo models know smart homes only.
_PROMPT = "Say hello."
_DEMO_PROMPT = "dim the kitchen lamp to 30"

Material: TypeAlias = Opened | Adopted
"""What a build starts from, read as far as its headers; both give name, origin, terms, candidates and so on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What the user asked for; the rest is decided on the way."""

    profile: str
    source: Source
    quant: Quant | None = None
    tuning: Tuning = UNTUNED
    adapter: AdapterChoice | None = None
    converter: Converter = Converter.EDGEPACK
    context: int | None = None
    system_prompt: Path | None = None
    """A text whose state rides in the bundle."""
    format: Format = Format.DIR
    out: Path | None = None
    offline: bool = False
    allow_over_3b: bool = False
    force: bool = False
    flags: ChosenFlags | None = None
    """What `edgepack tune` found; the context stays the plan's."""
    threads: int | None = None
    """Threads that convert; None: as many as this process may use."""
    runtime: RuntimeChoice | Path = RuntimeChoice.BUILT
    """The programs for the device: built, none, or those in a directory."""
    device: Device = HERE
    """Where to measure."""
    measure: bool = True
    measure_again: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """What a build would make: known from headers, before any weight is converted."""

    profile: Profile
    material: Material
    adapter: OpenedAdapter | None
    plan: Plan
    name: str
    """The bundle's."""
    tuning: Tuning
    converter: Converter


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """A bundle that was checked, and what is known of it."""

    planned: Planned
    weights: Weights
    adapter: AdapterWeights | None
    """Beside the weights; None where there is none, or it is merged."""
    measurement: Measurement | None
    bundle: Bundle
    verdict: Verdict


def prepare(order: Order, progress: Progress) -> Planned:
    """Profile and model to the candidate that would be built."""
    _refuse_unmeasurable(order)
    profile = load_profile(order.profile)
    adapter = open_adapter(order.adapter, memo=home() / "digests", progress=progress) if order.adapter else None
    material = _material(order, adapter, progress)
    _refuse_embedding(material)
    context = _context(order.context, material)
    plan = choose(
        material.candidates(order.quant, context),
        context=context,
        budget=profile.memory_budget,
        subject=material.name,
        force=order.force,
    )
    warn_of_types(plan.chosen.fallen, plan.chosen.memory.weights, order.tuning, plan.chosen.quant, progress)
    name = file_stem(material.name, *([adapter.name] if adapter else []), plan.chosen.title, profile.name)
    return Planned(
        profile=profile,
        material=material,
        adapter=adapter,
        plan=plan,
        name=name,
        tuning=order.tuning,
        converter=order.converter,
    )


def build(order: Order, progress: Progress) -> Built:
    """The whole way from an order to a verified bundle; what was done before is only looked up."""
    planned = prepare(order, progress)
    progress.step(f"chosen {planned.plan.chosen.title}: {planned.plan.reason}")
    runtime = _runtime(planned, order, progress)
    weights = _weights(planned, order, progress)
    if order.flags and order.flags.sha256 != weights.sha256:
        progress.warn("--flags: they were searched for with other weights; what they gain with these nobody saw")
    adapter = _adapter_weights(planned, order, progress)
    measurement = _measured(weights, adapter, planned, runtime, order, progress) if order.measure else None
    bundle = write_bundle(
        _contents(
            order,
            planned,
            weights,
            adapter,
            _state(planned, weights, adapter, order, progress),
            runtime,
            _evidence(order, weights, adapter, measurement, progress),
        ),
        destination=order.out or Path(planned.name + (".tar" if order.format is Format.TAR else "")),
        format=order.format,
        progress=progress,
    )
    return Built(
        planned=planned,
        weights=weights,
        adapter=adapter,
        measurement=measurement,
        bundle=bundle,
        verdict=_verified(bundle, progress),
    )


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


def _material(order: Order, adapter: OpenedAdapter | None, progress: Progress) -> Material:
    if isinstance(order.source, GgufSource):
        _refuse_conversion(order.source.path, order)
        memo = home() / "digests"
        return adopt(order.source.path, memo=memo, allow_over_3b=order.allow_over_3b, progress=progress)
    if isinstance(order.source, HubSource) and (listed := load_catalogue().find(order.source.repository)):
        # Known to be too large before gigabytes are fetched; the tensors are counted all the same.
        refuse_over_3b(listed.id, listed.parameters, allowed=order.allow_over_3b)
    checkpoint = fetch(order.source, cache=home() / "hub", progress=progress, offline=order.offline)
    match order.converter:
        case Converter.EDGEPACK:
            return _opened(checkpoint, order, adapter)
        case Converter.UPSTREAM:
            full = open_upstream(
                checkpoint,
                llama_cpp=llama_cpp_pin().version,
                store=Store(home()),
                allow_over_3b=order.allow_over_3b,
                offline=order.offline,
                progress=progress,
            )
            return open_full_precision(checkpoint, full, tuning=order.tuning)
        case _:
            assert_never(order.converter)


def _opened(checkpoint: Checkpoint, order: Order, adapter: OpenedAdapter | None) -> Opened:
    """The checkpoint with the adapter in its weights, or beside them."""
    if adapter is None or not adapter.choice.merge:
        opened = open_checkpoint(checkpoint, allow_over_3b=order.allow_over_3b, tuning=order.tuning)
        return replace(opened, beside=adapter_size(adapter, opened.conversion)) if adapter else opened
    return open_checkpoint(
        checkpoint,
        allow_over_3b=order.allow_over_3b,
        tuning=order.tuning,
        merge=adapter.adapter,
        merge_digest=adapter.checkpoint.digest,
    )


def _refuse_embedding(material: Material) -> None:
    if material.embeds:
        raise BadInputError(
            f"{material.name}: a model that gives vectors of texts; a bundle's model writes text",
            hint="edgepack convert makes its weights: run these with llama.cpp's embedding API",
        )


def _refuse_conversion(path: Path, order: Order) -> None:
    options = [
        *order.tuning.options,
        *(["--adapter"] if order.adapter else []),
        *(["--converter"] if order.converter is not Converter.EDGEPACK else []),
    ]
    if options:
        raise UsageError(
            f"{options[0]}: {path.name} is quantized already",
            hint="leave the option away, or build from the checkpoint that the file was made from",
        )


def _weights(planned: Planned, order: Order, progress: Progress) -> Weights:
    match planned.material:
        case Adopted(weights=weights):
            return weights
        case Opened() as opened:
            quant = planned.plan.chosen.quant
            assert quant is not None, "a checkpoint's candidates are quantizations"
            version, store = llama_cpp_pin().version, Store(home())
            threads = order.threads or len(os.sched_getaffinity(0))
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
        case _:
            assert_never(planned.material)


def _runtime(planned: Planned, order: Order, progress: Progress) -> NativeRuntime | None:
    match order.runtime:
        case RuntimeChoice.NONE:
            return None
        case RuntimeChoice.BUILT:
            return build_runtime(planned.profile, store=Store(home()), offline=order.offline, progress=progress)
        case Path() as directory:
            return adopt_runtime(directory, planned.profile.runtime)
        case _:
            assert_never(order.runtime)


def _adapter_weights(planned: Planned, order: Order, progress: Progress) -> AdapterWeights | None:
    if planned.adapter is None or planned.adapter.choice.merge:
        return None
    assert isinstance(planned.material, Opened), "ready weights take no adapter"
    return convert_adapter(
        planned.adapter,
        planned.material.conversion,
        checkpoint=planned.material.checkpoint.digest,
        llama_cpp=llama_cpp_pin().version,
        store=Store(home()),
        threads=order.threads or len(os.sched_getaffinity(0)),
        progress=progress,
    )


def _context(asked: int | None, material: Material) -> int:
    limit = material.context_length
    if asked is None:
        return min(USUAL_CONTEXT, limit)
    if asked > limit:
        raise UsageError(
            f"--ctx {asked}: {material.name} was made for {limit} tokens", hint=f"ask for {limit} or fewer"
        )
    return asked


def _measured(
    weights: Weights,
    adapter: AdapterWeights | None,
    planned: Planned,
    runtime: NativeRuntime | None,
    order: Order,
    progress: Progress,
) -> Measurement:
    """On the device, with the runtime that the bundle gets; on this machine by the bindings."""
    if isinstance(order.device, LocalDevice):
        return _measured_here(weights, adapter, order, progress)
    assert runtime is not None, "refused before anything was made"
    place = runtime.files[0].path.parent
    return bench_device(
        order.device,
        weights,
        runtime=lambda _found: place,
        workload=Workload(),
        threads=None,
        expected=planned.profile,
        progress=progress,
    )


def _measured_here(weights: Weights, adapter: AdapterWeights | None, order: Order, progress: Progress) -> Measurement:
    """Measured now, or the last measurement of these bytes on this machine, with its date said aloud."""
    observations = Observations(home())
    bytes_ran = (weights.sha256, *([adapter.sha256] if adapter else []))
    subject = (*bytes_ran, profile_toml(host_profile()), llama_cpp_pin().version)
    seen = observations.latest("measurement", *subject)
    if seen and not order.measure_again:
        measurement = parse_measurement(json.loads(seen), subject="the kept measurement")
        progress.step(
            f"measured on {measurement.date:%Y-%m-%d %H:%M} UTC on this machine; --measure-again measures now"
        )
        return measurement
    measurement = bench(weights, adapter=adapter, workload=Workload(), threads=None, progress=progress)
    observations.keep(json.dumps(measurement_json(measurement)), "measurement", *subject)
    return measurement


def _verified(bundle: Bundle, progress: Progress) -> Verdict:
    """Every byte is checked each time; the model is asked once for the same payload on the same machine."""
    observations = Observations(home())
    subject = (bundle.payload_digest, bundle.format, profile_toml(host_profile()))
    asked = observations.latest("answer", *subject) is not None
    verdict = verify(bundle.path, run_model=not asked, progress=progress)
    if verdict.answer:
        observations.keep(json.dumps({"text": verdict.answer.text}), "answer", *subject)
    return verdict


def _contents(
    order: Order,
    planned: Planned,
    weights: Weights,
    adapter: AdapterWeights | None,
    state: KeptState | None,
    runtime: NativeRuntime | None,
    evidence: dict[str, bytes],
) -> BundleContents:
    facts = BundleFacts(
        name=planned.name,
        model=_model(planned, weights),
        checkpoint=planned.material.digest,
        quantization=planned.plan.chosen.quant,
        profile=ProfileRef(
            name=planned.profile.name, digest=sha256(profile_toml(planned.profile).encode()).hexdigest()
        ),
        flags=_flags(order, planned),
        tuned=order.flags.summary if order.flags else None,
        provenance=Provenance(edgepack=__version__, llama_cpp=llama_cpp_pin(), converter=planned.converter),
        adapter=_bundled_adapter(planned.adapter) if planned.adapter else None,
        state=state.state if state else None,
        native=_bundled_runtime(runtime) if runtime else None,
        plan=PredictedMemory(parts=planned.plan.chosen.memory.parts),
        sample_prompt=_sample_prompt(order),
    )
    return BundleContents(
        facts=facts,
        weights=weights.path,
        weights_sha256=weights.sha256,
        adapter=adapter.path if adapter else None,
        state=state.path if state else None,
        system_prompt=state.system_prompt if state else "",
        runtime=runtime,
        licence_files=planned.material.terms,
        adapter_licence_files=planned.adapter.checkpoint.terms if planned.adapter else (),
        evidence=evidence,
    )


def _bundled_runtime(runtime: NativeRuntime) -> BundledRuntime:
    return BundledRuntime(target=runtime.target, origin=runtime.origin, digest=runtime.digest)


def _flags(order: Order, planned: Planned) -> RuntimeFlags:
    """Those that were searched for, or the profile's big cores and llama.cpp's defaults."""
    if order.flags is None:
        return RuntimeFlags(context=planned.plan.context, threads=max(1, planned.profile.big_cores))
    return replace(order.flags.flags, context=planned.plan.context)


def _bundled_adapter(adapter: OpenedAdapter) -> BundledAdapter:
    return BundledAdapter(
        name=adapter.name,
        origin=adapter.checkpoint.origin,
        checkpoint=adapter.checkpoint.digest,
        licence=LicenceName(name=adapter.licence, spdx=None),
        merged=adapter.choice.merge,
    )


def _state(
    planned: Planned, weights: Weights, adapter: AdapterWeights | None, order: Order, progress: Progress
) -> KeptState | None:
    if order.system_prompt is None:
        return None
    return prompt_state(
        read_system_prompt(order.system_prompt),
        weights,
        adapter,
        flags=_flags(order, planned),
        llama_cpp=llama_cpp_pin().version,
        store=Store(home()),
        threads=order.threads or len(os.sched_getaffinity(0)),
        progress=progress,
    )


def _model(planned: Planned, weights: Weights) -> BundledModel:
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


def _evidence(
    order: Order,
    weights: Weights,
    adapter: AdapterWeights | None,
    measurement: Measurement | None,
    progress: Progress,
) -> dict[str, bytes]:
    evidence = {GOLDEN_LOSSES: _golden(_sample_prompt(order), weights, adapter, order, progress).encode()}
    if measurement:
        record = json.dumps(measurement_json(measurement), indent=2, sort_keys=True)
        evidence["measurement.json"] = f"{record}\n".encode()
    if order.flags:
        evidence["tuning.json"] = order.flags.record.encode()
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
        threads=order.threads or len(os.sched_getaffinity(0)),
        progress=progress,
    )
    observations.keep(json.dumps({"text": found}), "golden", *subject)
    return found


def _sample_prompt(order: Order) -> str:
    return _DEMO_PROMPT if isinstance(order.source, DemoSource) else _PROMPT
