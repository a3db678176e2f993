"""The pinned packages that run an encoder on a device with Python: data/wheels.toml; it installs none."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edgepack.domain.bundle import WheelPlatform, is_safe_name, is_sha256
from edgepack.domain.errors import EdgepackError, NothingFitsError


@dataclass(frozen=True, kw_only=True, slots=True)
class PinnedWheel:
    """One wheel: whose, and its file by sha256."""

    name: str
    version: str
    file: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Wheel:
    """A package of Python, its sha256, and its licences by the names that they get."""

    path: Path
    sha256: str
    licences: Mapping[str, bytes]


def package_versions() -> tuple[tuple[str, str], ...]:
    """Every package by name and version."""
    return tuple(sorted((name, str(pin["version"])) for name, pin in _pins().items()))


def pinned_wheels(platform: WheelPlatform) -> tuple[PinnedWheel, ...]:
    """What runs an encoder there; raises NothingFitsError where no wheels are pinned for it."""
    key = f"{platform.python}-{platform.architecture}"
    if any(key not in pin["wheels"] for pin in _pins().values()):
        known = sorted(next(iter(_pins().values()))["wheels"])
        raise NothingFitsError(
            f"--with-wheels: none for Python {platform.python} on {platform.architecture}",
            hint=f"name a Python with --python: {', '.join(known)}",
        )
    return tuple(_wheel(name, pin, pin["wheels"][key]) for name, pin in sorted(_pins().items()))


def _wheel(name: str, pin: dict[str, Any], wheel: dict[str, Any]) -> PinnedWheel:
    if not is_sha256(wheel["sha256"]) or not is_safe_name(wheel["file"]):
        raise EdgepackError(f"wheels.toml: {name} has a wheel without sha256 or name", hint="refresh the pins")
    return PinnedWheel(
        name=name, version=pin["version"], file=wheel["file"], size=wheel["size"], sha256=wheel["sha256"]
    )


@cache
def _pins() -> dict[str, Any]:
    path = Path(__file__).parent.parent / "data" / "wheels.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))
