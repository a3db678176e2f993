"""Which third-party source edgepack was built with: vendor/pins.toml, read where the package carries it."""

import tomllib
from functools import cache
from pathlib import Path

from edgepack.domain.bundle import PinnedSource


@cache
def llama_cpp_pin() -> PinnedSource:
    """The pinned archive of llama-cpp-python, which holds the llama.cpp that everything here uses."""
    pin = tomllib.loads((vendor_directory() / "pins.toml").read_text(encoding="utf-8"))["llama-cpp-python"]
    return PinnedSource(name="llama-cpp-python", version=pin["version"], sha256=pin["sha256"])


def vendor_directory() -> Path:
    """Where the pins are: in a wheel's package, or in the checkout of an editable install."""
    package = Path(__file__).parent.parent
    return next(place for place in (package / "vendor", package.parent / "vendor") if (place / "pins.toml").is_file())
