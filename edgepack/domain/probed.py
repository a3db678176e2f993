"""What a probe found, and the profile it makes of that and of a known one; it reaches nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from edgepack.domain.bandwidth import Reading, bandwidths
from edgepack.domain.calibration import Calibration
from edgepack.domain.device_check import differences, missing_isa
from edgepack.domain.measurement import Measurement, Phase, Series
from edgepack.domain.profile import (
    GIB,
    Bandwidth,
    BandwidthKind,
    CpuCluster,
    Figure,
    Memory,
    Profile,
    Ram,
)

_SAME_RAM = 0.1
"""Share by which a kernel's memory may differ from a data sheet's: firmware and graphics take their part first."""
_LEFT_FREE = 0.9
"""Of what was free then: plans that count on the last page find it taken."""

# By the GiB that a model may take: what fits at Q8_0 with its context and buffers. Rows of the first two are
# multiples of 256, so that K-quants are there what they are called.
_SHAPES = ((1.0, "qwen3-0.6b"), (0.5, "granite-4.0-350m"), (0.0, "smollm2-135m-instruct"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A device at the moment of the probe, before anything ran."""

    way: str
    """local, ssh or adb; never its address."""
    system: str
    governor: str | None
    celsius: float | None
    free: int
    """Bytes of memory that a new program could take; 0 where nothing tells."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibrated:
    """One shape at one quantization, measured."""

    model: str
    measurement: Measurement


@dataclass(frozen=True, kw_only=True, slots=True)
class Probed:
    """A probe's whole result; every sample is in it."""

    day: date
    seen: Seen
    profile: Profile
    readings: tuple[Reading, ...]
    calibrated: tuple[Calibrated, ...]
    differences: tuple[str, ...]
    """From the known profile that was named, a sentence each."""

    @property
    def comments(self) -> Mapping[str, Sequence[str]]:
        """What a person who edits the file should know, by the section it stands before; "" is the file."""
        return dict(_comments(self))


def source_of(day: date) -> str:
    return f"edgepack profile probe, {day.isoformat()}"


def described(found: Profile, seen: Seen, day: date) -> Profile:
    """The device by what it says of itself, with a name and a budget of its own."""
    title = f"{found.soc.text}, {found.ram.gib.value:.3g} GiB"
    return replace(found, title=title, ram=replace(found.ram, usable_gib=_usable(found.ram, seen, day)))


def _usable(ram: Ram, seen: Seen, day: date) -> Figure:
    """The assumed share, or less where less was free."""
    free = round(_LEFT_FREE * seen.free / GIB, 3)
    if not seen.free:
        return ram.usable_gib
    if free < ram.usable_gib.value:
        return Figure(value=max(free, 0.001), source=f"{source_of(day)}: nine tenths of what was free then")
    return replace(ram.usable_gib, source=f"{ram.usable_gib.source}; more was free on {day.isoformat()}")


def fitting_shape(profile: Profile) -> str:
    """The catalogue's id of the shape that a device of this size is calibrated with."""
    return next(shape for least, shape in _SHAPES if profile.ram.usable_gib.value >= least)


def akin(found: Profile, base: Profile) -> bool:
    """Whether programs of the one could run on the other at all."""
    kinds = {found.runtime.target.partition("-")[0], base.runtime.target.partition("-")[0]}
    return len(kinds) == 1 or kinds == {"arm", "aarch64"}


def based(found: Profile | None, base: Profile) -> Profile:
    """The known profile, with the device's own figures in place of its where the device tells them.

    `found` is None where the device speaks of another processor than it runs.
    """
    if found is None:
        return base
    same_ram = abs(found.ram.gib.value - base.ram.gib.value) <= _SAME_RAM * base.ram.gib.value
    same_cpu = found.runtime.target == base.runtime.target and not missing_isa(base, found)
    return replace(
        base,
        clusters=tuple(_cluster(cluster, base) for cluster in found.clusters),
        isa=found.isa,
        isa_source=found.isa_source,
        ram=base.ram if same_ram else found.ram,
        runtime=base.runtime if same_cpu else found.runtime,
    )


def _cluster(found: CpuCluster, base: Profile) -> CpuCluster:
    """As the device tells it; with the known clock where it tells none."""
    if found.mhz is not None:
        return found
    alike = (one for one in base.clusters if (one.microarchitecture, one.count) == _kind(found))
    return next(alike, found)


def _kind(cluster: CpuCluster) -> tuple[str, int]:
    return cluster.microarchitecture, cluster.count


def told_differences(found: Profile | None, base: Profile, seen: Seen) -> tuple[str, ...]:
    """Where the device is not the known profile's, a sentence each."""
    if found is None:
        return (f"its /proc/cpuinfo is another processor's: cores and instructions are {base.name}'s, not compared",)
    told = list(differences(base, found, governor=seen.governor))
    if missing := missing_isa(base, found):
        told.append(f"it has no {', '.join(missing)}, which {base.name} promises")
    ours, theirs = ({cluster.microarchitecture for cluster in one.clusters} for one in (found, base))
    if ours != theirs:
        told.append(f"its cores are {', '.join(sorted(ours))}, {base.name}'s {', '.join(sorted(theirs))}")
    if 0 < seen.free < base.memory_budget:
        budget = f"{base.ram.usable_gib.value:g}"
        told.append(f"{seen.free / GIB:.1f} GiB of memory are free, {base.name} lets a model take {budget}")
    return tuple(told)


def bandwidth_differences(readings: Sequence[Reading], base: Profile) -> tuple[str, ...]:
    """Where what was read cannot be what the known profile's memory gives."""
    theory = base.memory.of(BandwidthKind.THEORETICAL)
    if not readings or theory is None:
        return ()
    read = readings[-1].median
    if read > theory.gbs:
        return (f"its cores load {read:.1f} GB/s, more than the {theory.gbs:g} of {base.name}'s memory",)
    if read < theory.gbs / 3:
        return (f"its cores load {read:.1f} GB/s, less than a third of the {theory.gbs:g} of {base.name}'s memory",)
    return ()


def measured(profile: Profile, readings: Sequence[Reading], calibrated: Sequence[Calibrated], day: date) -> Profile:
    """The profile with what ran there; of a kind of figure that was measured, others' go."""
    new = bandwidths(readings, source=source_of(day))
    rows = tuple(_calibration(one, day) for one in calibrated)
    ran = {(row.model, row.quant) for row in rows}
    kept = tuple(row for row in profile.calibrations if (row.model, row.quant) not in ran)
    return replace(profile, memory=_with(profile.memory, new), calibrations=(*rows, *kept))


def _with(memory: Memory, new: tuple[Bandwidth, ...]) -> Memory:
    kinds = {one.kind for one in new}
    return replace(memory, bandwidths=(*new, *(one for one in memory.bandwidths if one.kind not in kinds)))


def _calibration(one: Calibrated, day: date) -> Calibration:
    prefill, decode = (one.measurement.of(phase) for phase in (Phase.PREFILL, Phase.DECODE))
    assert prefill, "a calibration has both phases"
    assert decode, "a calibration has both phases"
    assert one.measurement.weights.quant, "synthetic weights know their quantization"
    runtime = one.measurement.runtime
    unstable = one.measurement.unstable_because
    told = f"; unstable: {', '.join(unstable)}" if unstable else ""
    return Calibration(
        model=one.model, quant=one.measurement.weights.quant, threads=one.measurement.threads,
        prompt_tokens=prefill.tokens, prefill=round(prefill.median, 2), decode=round(decode.median, 2),
        measured=one.measurement.date.date().isoformat(),
        source=(
            f"{source_of(day)}: synthetic weights, {runtime.name} {runtime.version}; "
            f"prefill {_spread(prefill)}, decode {_spread(decode)}{told}"
        ),
    )  # fmt: skip


def _spread(series: Series) -> str:
    return f"± {series.spread / 2:.1%} of {len(series.samples)}"


def _comments(probed: Probed) -> Iterator[tuple[str, Sequence[str]]]:
    day, seen, profile = probed.day.isoformat(), probed.seen, probed.profile
    state = [f"governor {seen.governor}" if seen.governor else "", f"{seen.celsius:.0f} °C" if seen.celsius else ""]
    state += [f"{seen.free / GIB:.1f} GiB of memory free" if seen.free else ""]
    missing = [
        name
        for name, there in (
            ("storage", profile.storage), ("power", profile.power.idle or profile.power.load),
            ("sustained", profile.sustained), ("memory.bandwidths", profile.memory.bandwidths),
            ("calibration", profile.calibrations),
        )
        if not there
    ]  # fmt: skip
    yield (
        "",
        [
            f"Probed on {day}, {seen.way}: {seen.system}; {', '.join(filter(None, state)) or 'it tells no more'}.",
            *(f"Differs: {difference}." for difference in probed.differences),
            *(
                [f"Unmeasured, so left out: {', '.join(missing)}; docs/profiles.md shows their keys."]
                if missing
                else []
            ),
            "Edit it as you like: `edgepack profile check FILE` finds mistakes.",
        ],
    )
    yield "ram", ["A model may take usable_gib; make it less where other programs run beside it."]
    yield "runtime", ["A runtime is built for this: no more than all cores have."]
    if probed.readings:
        yield "memory.bandwidths", ["Rounds of reading, GB/s:", *map(_rounds, probed.readings)]
    if probed.calibrated:
        yield "calibration", ["Tokens/s with weights that were made up: speed does not depend on their values."]


def _rounds(reading: Reading) -> str:
    rounds = " ".join(f"{found:.1f}" for found in reading.rounds)
    return f"  {reading.threads} thread{'s' if reading.threads > 1 else ''}: {rounds}"
