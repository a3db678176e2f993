"""A profile: what its table gives, and every malformation refused with its place."""

import tomllib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from edgepack.domain.errors import BadInputError
from edgepack.domain.profile import (
    BandwidthKind,
    DeviceClass,
    Figure,
    Isa,
    Profile,
    parse_profile,
    profile_table,
    profile_toml,
)

BOARD = """
schema = 1
title = "A board"
class = "board"

[soc]
name = "SoC 1"
source = "its data sheet"

[cpu]
isa = ["neon", "dotprod"]
isa_source = "lscpu"

[[cpu.clusters]]
microarchitecture = "Cortex-A76"
count = 2
mhz = 2400
big = true
source = "its data sheet"

[[cpu.clusters]]
microarchitecture = "Cortex-A55"
count = 4
big = false
source = "its data sheet"

[ram]
gib = 4
source = "its data sheet"
usable_gib = 2.5
usable_gib_source = "assumed"

[memory]
kind = "LPDDR4"
source = "its data sheet"

[[memory.bandwidths]]
kind = "theoretical"
gbs = 12.8
how = "rate times width"
source = "computed"

[[memory.bandwidths]]
kind = "copy"
gbs = 4.0
how = "memcpy"
source = "measured here"

[storage]
kind = "eMMC"
source = "its data sheet"

[runtime]
os = "linux"
abi = "aarch64"
target = "aarch64-linux-musl"
cpu = "cortex_a76"

[power]
idle_watts = 1.5
source = "a meter"

[sustained]
factor = 0.8
source = "ten minutes in a case"

[[calibration]]
model = "qwen3-0.6b"
quant = "Q4_0"
threads = 2
prompt_tokens = 128
prefill = 90
decode = 21.5
measured = "2026-11-26"
source = "edgepack profile probe, 2026-11-26"
"""


def board() -> dict[str, Any]:
    return tomllib.loads(BOARD)


def parsed() -> Profile:
    return parse_profile(board(), name="board")


def test_every_figure_keeps_its_own_source() -> None:
    """`usable_gib_source` is usable_gib's; `source` is everybody else's in the table."""
    profile = parsed()
    assert profile.ram.gib == Figure(value=4.0, source="its data sheet")
    assert profile.ram.usable_gib == Figure(value=2.5, source="assumed")
    assert profile.power.idle == Figure(value=1.5, source="a meter")
    assert profile.sustained == Figure(value=0.8, source="ten minutes in a case")


def test_a_figure_that_nobody_found_is_none() -> None:
    table = board()
    del table["memory"], table["storage"], table["power"], table["sustained"]
    profile = parse_profile(table, name="bare")
    assert profile.power.idle is profile.power.load is profile.storage is profile.sustained is None
    assert profile.bandwidth is None
    assert parsed().power.load is None
    assert parsed().clusters[1].mhz is None


def test_what_others_ask_a_profile() -> None:
    profile = parsed()
    assert profile.device_class is DeviceClass.BOARD
    assert profile.memory_budget == 5 * 1024**3 // 2
    assert profile.runtime_target == "aarch64-linux-musl-cortex_a76"
    assert profile.isa == {"neon", "dotprod"}
    assert profile.big_cores == 2


def test_the_bandwidth_nearest_to_decoding_is_preferred() -> None:
    """Decoding measured is preferred to reading, reading to theory; copying counts other bytes and is not used."""
    profile = parsed()
    kinds = []
    for name in ("copy", "theoretical", "read", "read_all", "decode"):
        kind = BandwidthKind(name)
        one = replace(profile.memory.bandwidths[0], kind=kind)
        profile = replace(profile, memory=replace(profile.memory, bandwidths=(*profile.memory.bandwidths[1:], one)))
        kinds.append(profile.bandwidth and profile.bandwidth.kind)
    assert kinds == [None, "theoretical", "read", "read_all", "decode"]


def test_a_calibration_is_what_was_measured_and_where_it_comes_from() -> None:
    (calibration,) = parsed().calibrations
    assert (calibration.model, calibration.quant, calibration.threads) == ("qwen3-0.6b", "Q4_0", 2)
    assert (calibration.prompt_tokens, calibration.prefill, calibration.decode) == (128, 90.0, 21.5)
    assert (calibration.measured, calibration.source) == ("2026-11-26", "edgepack profile probe, 2026-11-26")


def test_a_profile_written_reads_back_the_same() -> None:
    profile = parsed()
    assert parse_profile(profile_table(profile), name="board") == profile
    assert parse_profile(tomllib.loads(profile_toml(profile)), name="board") == profile


def test_one_source_is_written_once_for_figures_that_share_it() -> None:
    shared = replace(parsed().power, load=Figure(value=9.0, source="a meter"))
    table = profile_table(replace(parsed(), power=shared))
    assert table["power"] == {"idle_watts": 1.5, "load_watts": 9.0, "source": "a meter"}


def test_features_are_written_in_one_order_whatever_the_set_says() -> None:
    cpu = profile_table(replace(parsed(), isa=frozenset({Isa.I8MM, Isa.DOTPROD, Isa.NEON})))["cpu"]
    assert isinstance(cpu, dict)
    assert cpu["isa"] == ["neon", "dotprod", "i8mm"]


Spoil = Callable[[dict[str, Any]], object]
MALFORMED: list[tuple[Spoil, str]] = [
    (lambda t: t.pop("schema"), r"schema: expected int, got nothing"),
    (lambda t: t.update(schema=2), r"schema: expected 1, got 2"),
    (lambda t: t.pop("soc"), r"soc: expected table, got nothing"),
    (lambda t: t.pop("ram"), r"ram: expected table, got nothing"),
    (lambda t: t.pop("cpu"), r"cpu: expected table, got nothing"),
    (lambda t: t.pop("runtime"), r"runtime: expected table, got nothing"),
    (lambda t: t.update(titel="x"), r"titel: unknown key; did you mean title\?"),
    (lambda t: t["ram"].update(gb=8), r"ram\.gb: unknown key; did you mean gib\?"),
    (lambda t: t["memory"].update(peak=1), r"memory\.peak: unknown key"),
    (lambda t: t["cpu"].update(cores=4), r"cpu\.cores: unknown key"),
    (lambda t: t["cpu"]["clusters"][1].update(ghz=2), r"cpu\.clusters\[1\]\.ghz: unknown key"),
    (lambda t: t["cpu"]["clusters"][0].update(count="4"), r"cpu\.clusters\[0\]\.count: expected int, got string"),
    (lambda t: t["cpu"]["clusters"][0].update(count=0), r"cpu\.clusters\[0\]\.count: expected 1 or more, got 0"),
    (lambda t: t["cpu"]["clusters"][0].update(mhz=2.4), r"cpu\.clusters\[0\]\.mhz: expected int, got float"),
    (lambda t: t["cpu"]["clusters"][0].update(big="yes"), r"cpu\.clusters\[0\]\.big: expected bool, got string"),
    (lambda t: t["cpu"]["clusters"][0].update(big=False), r"cpu\.clusters: no cluster is big"),
    (lambda t: t["cpu"].update(clusters=[]), r"cpu\.clusters: expected 1 or more tables, got 0"),
    (lambda t: t["cpu"].update(isa="neon"), r"cpu\.isa: expected array of strings, got string"),
    (lambda t: t["cpu"].update(isa=[1]), r"cpu\.isa\[0\]: expected string, got int"),
    (lambda t: t["cpu"].update(isa=["neno"]), r"cpu\.isa\[0\]: 'neno' is not known; did you mean neon"),
    (lambda t: t["ram"].update(gib=-8), r"ram\.gib: expected more than 0, got -8"),
    (lambda t: t["ram"].update(gib=float("nan")), r"ram\.gib: expected a finite number, got nan"),
    (lambda t: t["ram"].update(usable_gib=5), r"ram\.usable_gib: 5 is more than the 4 GiB there are"),
    (lambda t: t["ram"].pop("source"), r"ram\.source: expected string, got nothing"),
    (lambda t: t["soc"].update(source=""), r"soc\.source: expected a text, got an empty string"),
    (lambda t: t["memory"]["bandwidths"][0].update(kind="fast"), r"memory\.bandwidths\[0\]\.kind: 'fast'"),
    (lambda t: t["memory"]["bandwidths"][0].pop("how"), r"memory\.bandwidths\[0\]\.how: expected string"),
    (lambda t: t["sustained"].update(factor=1.2), r"sustained\.factor: expected a share of at most 1, got 1\.2"),
    (lambda t: t["calibration"][0].update(tps=9), r"calibration\[0\]\.tps: unknown key"),
    (lambda t: t["calibration"][0].update(quant="Q4"), r"calibration\[0\]\.quant: 'Q4' is not known; did you mean"),
    (lambda t: t["calibration"][0].update(decode=0), r"calibration\[0\]\.decode: expected more than 0, got 0"),
    (lambda t: t["calibration"][0].update(measured="yesterday"), r"calibration\[0\]\.measured: expected a day"),
    (lambda t: t["calibration"][0].pop("source"), r"calibration\[0\]\.source: expected string, got nothing"),
    (lambda t: t.update({"class": "toaster"}), r"class: 'toaster' is not known; known are phone"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "complaint"), MALFORMED)
def test_a_malformed_profile_is_refused_with_the_place(spoil: Spoil, complaint: str) -> None:
    table = board()
    spoil(table)
    with pytest.raises(BadInputError, match=f"^profile board: {complaint}") as caught:
        parse_profile(table, name="board")
    assert "docs/profiles.md" in caught.value.hint
