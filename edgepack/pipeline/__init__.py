"""The story of a build, in plain typed calls."""

import json
from dataclasses import replace
from pathlib import Path
from typing import assert_never

from edgepack.domain.adapter import AdapterWeights
from edgepack.domain.bundle import Format
from edgepack.domain.device import LocalDevice
from edgepack.domain.measurement import Measurement, Workload
from edgepack.domain.measurement_json import measurement_json, parse_measurement
from edgepack.domain.native import NativeRuntime, RuntimeChoice
from edgepack.domain.profile import profile_toml
from edgepack.domain.progress import Progress
from edgepack.domain.weights import Weights, WeightsFormat
from edgepack.infra.machine import host_profile
from edgepack.infra.observations import Observations
from edgepack.infra.pins import llama_cpp_pin
from edgepack.infra.store import Store, home
from edgepack.pipeline.app import refuse_encoder, signed_app
from edgepack.pipeline.contents import contents_of, evidence_of, state_of
from edgepack.pipeline.encoding import encoder_contents
from edgepack.pipeline.gating import gate_evidence
from edgepack.pipeline.larger import check_small
from edgepack.pipeline.order import Built, Order, Planned
from edgepack.pipeline.planning import prepare, weights_of
from edgepack.pipeline.terms import check_terms
from edgepack.stages.adapter import convert_adapter
from edgepack.stages.bench import bench
from edgepack.stages.bundle import Bundle, BundleContents, write_bundle
from edgepack.stages.convert import Opened, quantizer_build
from edgepack.stages.device_bench import bench_device
from edgepack.stages.router import router_program
from edgepack.stages.runtime import adopt_runtime, build_runtime
from edgepack.stages.verify import Verdict, verify

_SUFFIXES = {Format.DIR: "", Format.TAR: ".tar", Format.APK: ".apk"}

__all__ = ["Built", "Order", "Planned", "build", "prepare"]


def build(order: Order, progress: Progress) -> Built:
    """The whole way from an order to a verified bundle; what was done before is only looked up."""
    planned = prepare(order, progress)
    check_terms(planned, order.policy, progress)
    progress.step(f"chosen {planned.plan.chosen.title}: {planned.plan.reason}")
    weights = weights_of(planned, order, progress)
    if weights.format is WeightsFormat.ONNX:
        refuse_encoder(order)
        return _written(planned, weights, encoder_contents(order, planned, weights, progress), order, progress)
    runtime = _runtime(planned, order, progress)
    app = signed_app(runtime, order, progress) if order.format is Format.APK else None
    check_small(order, weights)
    if order.flags and order.flags.sha256 != weights.sha256:
        progress.warn("--flags: they were searched for with other weights; what they gain with these nobody saw")
    adapter = _adapter_weights(planned, order, progress)
    gates = gate_evidence(planned, weights, adapter, order, progress)
    measurement = _measured(weights, adapter, planned, runtime, order, progress) if order.measure else None
    contents = contents_of(
        order,
        planned,
        weights,
        adapter,
        state_of(planned, weights, adapter, order, progress),
        runtime,
        {**evidence_of(order, weights, adapter, measurement, progress), **gates, **order.evidence},
        app,
    )
    return _written(planned, weights, contents, order, progress, adapter=adapter, measurement=measurement)


def _written(
    planned: Planned,
    weights: Weights,
    contents: BundleContents,
    order: Order,
    progress: Progress,
    *,
    adapter: AdapterWeights | None = None,
    measurement: Measurement | None = None,
) -> Built:
    bundle = write_bundle(
        replace(contents, quantizer=quantizer_build()),
        destination=order.out or Path(planned.name + _SUFFIXES[order.format]),
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


def _runtime(planned: Planned, order: Order, progress: Progress) -> NativeRuntime | None:
    match order.runtime:
        case RuntimeChoice.NONE:
            return None
        case RuntimeChoice.BUILT:
            runtime = build_runtime(planned.profile, store=Store(home()), offline=order.offline, progress=progress)
        case Path() as directory:
            runtime = adopt_runtime(directory, planned.profile.runtime)
        case _:
            assert_never(order.runtime)
    if order.route is None:
        return runtime
    router = router_program(planned.profile.runtime, store=Store(home()), offline=order.offline, progress=progress)
    return runtime.with_router(router)


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
        threads=order.workers,
        progress=progress,
    )


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
