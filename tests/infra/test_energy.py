"""RAPL's counters: packages added up, overflows allowed for, None where nobody may read."""

from pathlib import Path

import pytest

from edgepack.infra.energy import EnergyReading, joules, read_energy


def write_zone(root: Path, zone: str, name: str, microjoules: int | None) -> None:
    place = root / "sys/class/powercap" / zone
    place.mkdir(parents=True, exist_ok=True)
    (place / "name").write_text(f"{name}\n")
    (place / "max_energy_range_uj").write_text("262143328850\n")
    if microjoules is not None:
        (place / "energy_uj").write_text(f"{microjoules}\n")


def test_packages_are_added_up_and_their_parts_are_not(tmp_path: Path) -> None:
    """Two sockets; core and dram lie within, and psys around."""
    for zone, name in {"intel-rapl:0": "package-0", "intel-rapl:1": "package-1", "intel-rapl:0:0": "core",
                       "intel-rapl:2": "psys"}.items():  # fmt: skip
        write_zone(tmp_path, zone, name, 1_000_000)
    before = read_energy(tmp_path)
    write_zone(tmp_path, "intel-rapl:0", "package-0", 3_500_000)
    write_zone(tmp_path, "intel-rapl:1", "package-1", 1_500_000)
    write_zone(tmp_path, "intel-rapl:0:0", "core", 9_000_000)
    assert joules(before, read_energy(tmp_path)) == pytest.approx(3.0)


def test_a_counter_that_began_anew_is_understood() -> None:
    before = EnergyReading(microjoules={"a": 9_000_000}, ranges={"a": 10_000_000})
    assert joules(before, EnergyReading(microjoules={"a": 500_000}, ranges={"a": 10_000_000})) == pytest.approx(1.5)


def test_where_nothing_can_be_read_nothing_is_said(tmp_path: Path) -> None:
    """No counters; counters of which only root may read the energy; a reading on one side only."""
    assert read_energy(tmp_path) is None
    write_zone(tmp_path, "intel-rapl:0", "package-0", None)
    assert read_energy(tmp_path) is None
    assert joules(None, None) is None
    assert joules(None, EnergyReading(microjoules={"a": 1}, ranges={"a": 2})) is None
