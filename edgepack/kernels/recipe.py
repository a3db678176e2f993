"""How the C of this directory becomes a library: variants, flags and digest. It starts nothing and imports nothing.

The package's build (hatch_build.py) reads it too, before anything else is installed.
"""

import platform
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

_HERE = Path(__file__).parent
_SOURCE = _HERE / "quantize.c"
_BUILT = _HERE / "built"

# No contraction of a*b+c, the one thing by which compilers and processors change the bits. Square roots set no errno.
_FLAGS = ("-std=gnu11", "-O2", "-fPIC", "-ffp-contract=off", "-fno-math-errno", "-Wall", "-Wextra", "-Wno-psabi")


class Variant(StrEnum):
    """For which instructions the one source is compiled; all give the same bits."""

    AVX512 = "avx512"
    AVX2 = "avx2"
    BASELINE = "baseline"
    """What every processor of the architecture has: SSE2 on x86-64, NEON on aarch64."""

    @property
    def flags(self) -> tuple[str, ...]:
        """For the compiler."""
        return _OF_VARIANT[self]


_OF_VARIANT = {
    Variant.AVX512: ("-mavx512f", "-mprefer-vector-width=512", "-DLANES=16"),
    Variant.AVX2: ("-mavx2", "-DLANES=8"),
    Variant.BASELINE: ("-DLANES=4",),
}


def variants(machine: str = platform.machine()) -> tuple[Variant, ...]:
    """Those that there are for an architecture, the widest first; none where floats are not known to be IEEE's."""
    match machine.lower():
        case "x86_64" | "amd64":
            return tuple(Variant)
        case "aarch64" | "arm64":
            return (Variant.BASELINE,)
        case _:
            return ()


def sources_digest() -> str:
    """64 hexadecimal digits of all C here."""
    files = sorted(path for path in _HERE.iterdir() if path.suffix in (".c", ".h"))
    return sha256(b"".join(path.name.encode() + b"\0" + path.read_bytes() for path in files)).hexdigest()


def arguments(variant: Variant, target: Path) -> list[str]:
    """What a C compiler is told, behind its own name."""
    return [*_FLAGS, *variant.flags, "-shared", "-o", str(target), str(_SOURCE)]


def packaged(variant: Variant) -> Path:
    """Where the package's build leaves a variant's library; the name changes with the sources."""
    digest = sha256(" ".join([sources_digest(), platform.machine(), *_FLAGS, *variant.flags]).encode()).hexdigest()
    return _BUILT / f"{variant}-{digest[:16]}.so"
