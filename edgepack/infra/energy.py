"""Joules that the processor used, by the kernel's power-capping counters (RAPL); None where nobody may read them.

`root` stands for `/`, so that a recorded tree of another machine reads alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgepack.infra.load import ROOT

_MICRO = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class EnergyReading:
    """Every package's counter at one moment."""

    microjoules: Mapping[str, int]
    ranges: Mapping[str, int]
    """Where each begins at 0 again."""


def read_energy(root: Path = ROOT) -> EnergyReading | None:
    """The counters now; cores and graphics lie within their package, and are not counted twice."""
    now, ranges = {}, {}
    for zone in sorted((root / "sys/class/powercap").glob("intel-rapl:*")):
        try:
            if not (zone / "name").read_text(encoding="ascii").startswith("package"):
                continue
            now[zone.name] = int((zone / "energy_uj").read_text(encoding="ascii"))
            ranges[zone.name] = int((zone / "max_energy_range_uj").read_text(encoding="ascii"))
        except (OSError, ValueError):  # only root may read them, since they tell of others' secrets
            continue
    return EnergyReading(microjoules=now, ranges=ranges) if now else None


def joules(before: EnergyReading | None, after: EnergyReading | None) -> float | None:
    """What was used between two readings, one overflow of each counter allowed for."""
    if before is None or after is None or before.microjoules.keys() != after.microjoules.keys():
        return None
    used = (
        now - then if (now := after.microjoules[zone]) >= then else now - then + after.ranges[zone]
        for zone, then in before.microjoules.items()
    )
    return sum(used) * _MICRO
