"""A profile made of what a probe found and of a known one: whose figures stand, and what is said of them."""

import tomllib
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from edgepack.convert.outline import config_of, outline
from edgepack.convert.typeplan import Mixture
from edgepack.domain.bandwidth import Reading
from edgepack.domain.calibration import Calibration
from edgepack.domain.measurement import (
    Conditions,
    MeasuredWeights,
    Measurement,
    Phase,
    Runtime,
    Sample,
    Series,
    Workload,
)
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
from edgepack.domain.profile import GIB, BandwidthKind, Isa, Profile, parse_profile, profile_toml
from edgepack.domain.quant import Quant
from edgepack.infra.library import load_catalogue, load_profile

DAY = date(2026, 11, 26)
SOURCE = "edgepack profile probe, 2026-11-26"
READ = Reading(threads=1, buffer=1 << 28, rounds=(9.0, 9.1, 9.2), busy=0.0)
READ_ALL = Reading(threads=4, buffer=1 << 28, rounds=(12.0, 12.1, 12.2), busy=0.0)


def seen(free: float = 7.0, governor: str | None = "performance") -> Seen:
    return Seen(way="ssh", system="Linux 6.12 aarch64", governor=governor, celsius=48.2, free=int(free * GIB))


def told(**changes: object) -> Profile:
    """A Pi 5 with 8 GB as its own kernel describes it: less memory than was bought, and no theory."""
    known = load_profile("rpi5")
    itself = replace(
        known, name="host", title="This machine", isa_source="/proc/cpuinfo", storage=None, sustained=None,
        clusters=tuple(replace(one, source="/proc/cpuinfo") for one in known.clusters),
        ram=replace(known.ram, gib=replace(known.ram.gib, value=7.87, source="/proc/meminfo")),
        memory=replace(known.memory, kind=None, bandwidths=()), power=replace(known.power, idle=None, load=None),
    )  # fmt: skip
    return replace(itself, **changes)  # type: ignore[arg-type]


def measurement(quant: str = "Q4_0", *, unstable: tuple[str, ...] = ()) -> Measurement:
    def series(phase: Phase, tokens: int, *seconds: float) -> Series:
        samples = tuple(Sample(seconds=one, busy=0.0) for one in seconds)
        return Series(phase=phase, tokens=tokens, threads=4, samples=samples)

    nothing = dict.fromkeys((
        "governor", "celsius_before", "celsius_after", "mhz_after", "mhz_limit", "throttled", "busy_before",
        "memory_free_before", "peak_rss",
    ))  # fmt: skip
    return Measurement(
        date=datetime(2026, 11, 26, 12, 0, tzinfo=UTC),
        weights=MeasuredWeights(
            name="qwen3-0.6b", sha256="0" * 64, size=1, quant=quant, architecture="qwen3", parameters=1
        ),
        runtime=Runtime(name="llama-bench", version="build 0 (abc)", build="CPU", system_info="NEON"),
        conditions=Conditions(machine="board", cpu="4 x Cortex-A76", system="Linux", **nothing),  # type: ignore[arg-type]
        workload=Workload(), threads=4, cpus=(0, 1, 2, 3), sweep=(), rejected=(), unstable_because=unstable,
        series=(series(Phase.PREFILL, 128, 2.0, 2.0, 2.0), series(Phase.DECODE, 32, 1.6, 1.6, 1.28)),
    )  # fmt: skip


def test_a_budget_is_what_is_assumed_or_less_where_less_was_free() -> None:
    roomy, full = (described(told(), seen(free), DAY).ram.usable_gib for free in (7.0, 2.0))
    assert roomy.value == 6.0
    assert roomy.source.startswith("assumed: three quarters")
    assert roomy.source.endswith("; more was free on 2026-11-26")
    assert (full.value, full.source) == (1.8, f"{SOURCE}: nine tenths of what was free then")
    assert described(told(), seen(0), DAY).ram.usable_gib == told().ram.usable_gib


def test_a_known_profile_keeps_what_the_device_does_not_tell() -> None:
    """Its figures with their sources; cores and instructions are the device's."""
    base = load_profile("rpi5")
    found = based(told(), base)
    assert (found.title, found.storage, found.power, found.memory) == (
        base.title, base.storage, base.power, base.memory,
    )  # fmt: skip
    assert (found.ram, found.runtime, found.isa_source) == (base.ram, base.runtime, "/proc/cpuinfo")
    assert {cluster.source for cluster in found.clusters} == {"/proc/cpuinfo"}


def test_a_clock_that_the_device_does_not_tell_is_the_known_one() -> None:
    base = load_profile("rpi5")
    silent = told(clusters=tuple(replace(one, mhz=None) for one in told().clusters))
    assert based(silent, base).clusters == base.clusters


def test_a_device_that_differs_has_its_own_figures_and_is_told() -> None:
    base = load_profile("rpi5")
    poor = told(isa=frozenset({Isa.NEON}), runtime=replace(base.runtime, cpu="cortex_a72"))
    poor = replace(
        poor, ram=load_profile("rpi4-2gb").ram,
        clusters=tuple(replace(one, microarchitecture="Cortex-A72") for one in poor.clusters),
    )  # fmt: skip
    found = based(poor, base)
    assert (found.ram.gib.value, found.isa, found.runtime.cpu) == (2.0, {Isa.NEON}, "cortex_a72")
    sentences = told_differences(poor, base, seen(1.0, governor="ondemand"))
    assert sentences == (
        "2 GiB of memory, rpi5-8gb has 8",
        "its governor is ondemand: clocks may be lower than the profile's",
        "it has no dotprod, fp16, which rpi5-8gb promises",
        "its cores are Cortex-A72, rpi5-8gb's Cortex-A76",
        "1.0 GiB of memory are free, rpi5-8gb lets a model take 6",
    )
    assert told_differences(told(), base, seen()) == ()


def test_a_device_that_does_not_tell_its_processor_is_the_known_one_and_that_is_said() -> None:
    base = load_profile("rpi5")
    assert based(None, base) == base
    (sentence,) = told_differences(None, base, seen())
    assert "cores and instructions are rpi5-8gb's, not compared" in sentence


def test_bandwidths_that_cannot_be_the_known_memorys_are_told() -> None:
    base = load_profile("rpi5")
    assert bandwidth_differences([READ, READ_ALL], base) == ()
    (fast,) = bandwidth_differences([replace(READ_ALL, rounds=(30.0,))], base)
    (slow,) = bandwidth_differences([replace(READ_ALL, rounds=(3.0,))], base)
    assert "30.0 GB/s, more than the 17.1" in fast
    assert "3.0 GB/s, less than a third of the 17.1" in slow
    assert bandwidth_differences([], base) == ()


def test_what_was_measured_replaces_its_kind_and_nothing_else() -> None:
    old = Calibration(
        model="qwen3-0.6b", quant="Q4_0", threads=4, prompt_tokens=128, prefill=1, decode=1, measured="2025-01-01",
        source="another board",
    )  # fmt: skip
    base = replace(load_profile("rpi5"), calibrations=(old, replace(old, quant="Q8_0")))
    found = measured(base, (READ, READ_ALL), (Calibrated(model="qwen3-0.6b", measurement=measurement()),), DAY)
    kinds = {one.kind: (one.gbs, one.source) for one in found.memory.bandwidths}
    assert kinds[BandwidthKind.READ_ALL] == (12.1, SOURCE)
    assert kinds[BandwidthKind.READ] == (9.1, SOURCE)
    assert kinds[BandwidthKind.DECODE][1] != SOURCE
    assert len(found.memory.bandwidths) == len(kinds)
    row, kept = found.calibrations
    assert kept == replace(old, quant="Q8_0")
    assert (row.quant, row.threads, row.prompt_tokens) == ("Q4_0", 4, 128)
    assert (row.prefill, row.decode, row.measured) == (64.0, 20.0, "2026-11-26")
    assert row.source == (
        f"{SOURCE}: synthetic weights, llama-bench build 0 (abc); prefill ± 0.0% of 3, decode ± 6.2% of 3"
    )


def test_an_unstable_series_says_so_where_its_figure_is_read() -> None:
    one = Calibrated(model="qwen3-0.6b", measurement=measurement(unstable=("tg32: others", "pp128: others")))
    (row,) = measured(told(), (), (one,), DAY).calibrations
    assert row.source.endswith("; unstable: tg32: others, pp128: others")


def test_the_file_holds_every_round_and_says_what_is_missing() -> None:
    profile = measured(described(told(), seen(), DAY), (READ, READ_ALL), (), DAY)
    probed = Probed(
        day=DAY, seen=seen(), profile=profile, readings=(READ, READ_ALL), calibrated=(), differences=("it is blue",)
    )
    text = profile_toml(profile, probed.comments)
    assert text.startswith(
        "# Probed on 2026-11-26, ssh: Linux 6.12 aarch64; governor performance, 48 °C, 7.0 GiB of memory free.\n"
        "# Differs: it is blue.\n"
        "# Unmeasured, so left out: storage, power, sustained, calibration; "
    )
    rounds = "# Rounds of reading, GB/s:\n#   1 thread: 9.0 9.1 9.2\n#   4 threads: 12.0 12.1 12.2\n"
    assert f"{rounds}[[memory.bandwidths]]\n" in text
    assert "[memory]" not in text
    assert parse_profile(tomllib.loads(text), name="host") == profile


@pytest.mark.parametrize(("name", "kin"), [("rpi5", True), ("rpi3-32bit", True), ("n100", False)])
def test_a_base_of_another_kind_of_processor_is_none(name: str, kin: bool) -> None:
    assert akin(told(), load_profile(name)) is kin


@pytest.mark.parametrize(
    ("name", "shape"),
    [("rpi5", "qwen3-0.6b"), ("rpi3-32bit", "granite-4.0-350m"), ("rpi-zero-2w", "smollm2-135m-instruct")],
)
def test_a_shape_fits_the_device_and_is_in_the_catalogue(name: str, shape: str) -> None:
    """At the largest quantization that a probe takes, beside half a context's buffers."""
    profile = load_profile(name)
    assert fitting_shape(profile) == shape
    listed = load_catalogue().find(shape)
    assert listed
    assert outline(config_of(listed)).plan.size(Mixture(quant=Quant.Q8_0)) < 0.8 * profile.memory_budget
