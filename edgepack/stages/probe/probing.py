"""A device described, measured and calibrated: the order of a probe, and what goes when it ends."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeAlias

from edgepack.domain.device import Device, LocalDevice
from edgepack.domain.errors import DeviceError, NoSpaceError
from edgepack.domain.measurement import Measurement, Workload
from edgepack.domain.native import RUNTIME_NAMES
from edgepack.domain.probed import (
    Calibrated,
    Probed,
    Seen,
    akin,
    bandwidth_differences,
    based,
    described,
    fitting_shape,
    measured,
    told_differences,
)
from edgepack.domain.profile import Profile, Runtime
from edgepack.domain.progress import Progress
from edgepack.domain.quant import Quant
from edgepack.domain.settling import Patience
from edgepack.domain.weights import Weights
from edgepack.infra.digests import sha256_of
from edgepack.infra.kept import KeptFile
from edgepack.infra.load import governor, heat
from edgepack.infra.machine import big_cpus, host_profile, is_macos, memory_available
from edgepack.stages.probe.reading import read_bandwidth
from edgepack.transports.facts import DeviceFacts, gather, profile_of
from edgepack.transports.opening import open_transport
from edgepack.transports.protocol import Transport
from edgepack.transports.visiting import Visit, visiting

WORKLOAD = Workload(prompt_tokens=128, generated_tokens=32, least_seconds=2.0)
USUAL_PATIENCE = Patience()
QUICK_WORKLOAD = Workload(prompt_tokens=64, generated_tokens=16, repeats=3, least_seconds=0.5)

ProgramFor: TypeAlias = Callable[[Runtime], KeptFile]
"""The program that reads memory, for a profile's processor."""
SyntheticWeights: TypeAlias = Callable[[str, Quant], Weights]
"""Weights of a catalogue model's shape at a quantization."""
RuntimeFor: TypeAlias = Callable[[Profile], Path | None]
"""The directory of llama.cpp's programs for a device; None where it is measured without them."""
BenchFor: TypeAlias = Callable[[Weights, Workload, Path | None], Measurement]
"""Measures weights on the device, with the programs of a directory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measuring:
    """What a probe runs on a device, and how that is had."""

    program: ProgramFor
    model: str | None
    """An id of the catalogue; None: one that fits the device."""
    quants: tuple[Quant, ...]
    weights: SyntheticWeights
    runtime: RuntimeFor
    bench: BenchFor
    patience: Patience = USUAL_PATIENCE
    """With which the bandwidth is measured; a bench has its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Probe:
    """One device, reached and described."""

    transport: Transport
    facts: DeviceFacts
    profile: Profile
    progress: Progress


def probe(
    device: Device,
    *,
    base: Profile | None,
    measuring: Measuring | None,
    quick: bool,
    progress: Progress,
) -> Probed:
    """Describe the device; and, with `measuring`, run there what measures it, and leave nothing behind.

    Raises DeviceError where the device does not say what it is and no `base` does.
    """
    day = datetime.now(UTC).date()
    if isinstance(device, LocalDevice) and is_macos():
        return _this_mac(base, day, progress)
    with open_transport(device, progress=progress) as transport, tempfile.TemporaryDirectory() as place:
        facts = gather(transport, Path(place) / "device")
        found, seen = profile_of(facts), _seen(device, facts)
        profile = _profile(device, found, base, seen, day)
        told = told_differences(found, base, seen) if base else ()
        for difference in told:
            progress.warn(f"{device}: {difference}")
        if measuring is None:
            return Probed(day=day, seen=seen, profile=profile, readings=(), calibrated=(), differences=told)
        this = _Probe(transport=transport, facts=facts, profile=profile, progress=progress)
        program = measuring.program(profile.runtime)
        with visiting(transport, progress) as visit:
            visit.expect(program.sha256)
            readings = read_bandwidth(
                transport, facts, program, quick=quick, progress=progress, patience=measuring.patience
            )
            calibrated = _calibrate(this, measuring, QUICK_WORKLOAD if quick else WORKLOAD, visit)
    if base:
        more = bandwidth_differences(readings, base)
        for difference in more:
            progress.warn(f"{device}: {difference}")
        told += more
    return Probed(
        day=day, seen=seen, profile=measured(profile, readings, calibrated, day), readings=readings,
        calibrated=calibrated, differences=told,
    )  # fmt: skip


def _this_mac(base: Profile | None, day: date, progress: Progress) -> Probed:
    """What sysctl says: it has no /proc for the rest, and nothing is built for it."""
    found, free = host_profile(), memory_available()
    seen = Seen(way="local", system="Darwin", governor=None, celsius=None, free=free)
    progress.warn("bandwidth and speed are not measured on macOS: `edgepack bench` measures a model")
    told = told_differences(found, base, seen) if base else ()
    profile = based(found, base) if base else described(found, seen, day)
    return Probed(day=day, seen=seen, profile=profile, readings=(), calibrated=(), differences=told)


def _profile(device: Device, found: Profile | None, base: Profile | None, seen: Seen, day: date) -> Profile:
    itself = described(found, seen, day) if found else None
    if base is None and itself is None:
        raise DeviceError(
            f"{device}: it does not say what processor it has", hint="give --base, the profile that comes nearest"
        )
    if base and itself and not akin(itself, base):
        raise DeviceError(
            f"{device} runs {itself.runtime.target}, {base.name} {base.runtime.target}",
            hint="give the --base of a device like it, or none",
        )
    profile = based(itself, base) if base else itself
    assert profile, "one of the two is there"
    return profile


def _seen(device: Device, facts: DeviceFacts) -> Seen:
    big = big_cpus(facts.root, allowed=facts.cpus)
    return Seen(
        way=str(device).partition(":")[0], system=facts.system, governor=governor(big, root=facts.root),
        celsius=heat(big, root=facts.root).celsius, free=memory_available(facts.root),
    )  # fmt: skip


def _calibrate(this: _Probe, measuring: Measuring, workload: Workload, visit: Visit) -> tuple[Calibrated, ...]:
    """A row for each quantization; those that the device has no room for are told and left out."""
    model = measuring.model or fitting_shape(this.profile)
    runtime = measuring.runtime(this.profile)
    for name in RUNTIME_NAMES if runtime else ():
        if runtime and (runtime / name).is_file():
            visit.expect(sha256_of(runtime / name))
    done = []
    for quant in measuring.quants:
        weights = measuring.weights(model, quant)
        visit.expect(weights.sha256)
        try:
            done.append(Calibrated(model=model, measurement=measuring.bench(weights, workload, runtime)))
        except NoSpaceError as error:
            this.progress.warn(f"no calibration with {model} {quant}: {error.what}")
        visit.forget(weights.sha256)
    return tuple(done)
