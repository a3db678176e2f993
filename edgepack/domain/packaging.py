"""What a bundle is wrapped in for the systems that firmware is made with; it knows neither disks nor programs."""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edgepack.domain.bundle import Manifest
from edgepack.domain.errors import UsageError


class PackageKind(StrEnum):
    """Ways to wrap a bundle."""

    DEB = "deb"
    """A Debian package with a systemd unit."""
    OCI = "oci"
    """An OCI image layout that follows the CNCF's ModelPack."""
    RAUC = "rauc"
    """A signed RAUC bundle with a squashfs for a slot."""
    SQUASHFS = "squashfs"
    """A read-only filesystem to mount."""
    SWU = "swu"
    """A signed SWUpdate image."""


class RaucFormat(StrEnum):
    """How RAUC guards a bundle's content, by its own names."""

    VERITY = "verity"
    """Block by block, when it is read; the kernel must have dm-verity."""
    PLAIN = "plain"
    """As a whole, before it is read: for RAUC before 1.5 and kernels without dm-verity."""


SUFFIXES = {
    PackageKind.DEB: ".deb", PackageKind.OCI: ".oci", PackageKind.RAUC: ".raucb", PackageKind.SQUASHFS: ".squashfs",
    PackageKind.SWU: ".swu",
}  # fmt: skip
SIGNED = frozenset({PackageKind.RAUC, PackageKind.SWU})
"""Kinds that their tools take with an X.509 signature alone."""
NOBODY = "edgepack <edgepack@localhost>"
"""Who maintains a package that nobody was named for."""
PREFIX = "usr/lib/edgepack"
"""Where bundles lie on a device, below its root."""

_VERSION = re.compile(r"[0-9][A-Za-z0-9.+~]{0,63}")
_MAINTAINER = re.compile(r"[^<>\n\t]+ <[^<>@\s]+@[^<>@\s]+>")
_DEBIAN = {"aarch64": "arm64", "x86_64": "amd64", "arm": "armhf", "riscv64": "riscv64"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Packaging:
    """How a package shall be.

    Raises UsageError for a version that not every kind can carry, a maintainer who is not `NAME <ADDRESS>`, and a
    key without its certificate or the other way round.
    """

    kind: PackageKind
    version: str = "1.0"
    maintainer: str = NOBODY
    """Debian's field."""
    compatible: str | None = None
    """The device that RAUC asks for (None: the profile's name), or the board's revision for SWUpdate (None: any)."""
    rauc: RaucFormat = RaucFormat.VERITY
    key: Path | None = None
    """A private key in a PEM file, for its signature."""
    certificate: Path | None = None
    """Its X.509 certificate."""

    def __post_init__(self) -> None:
        if not _VERSION.fullmatch(self.version):
            raise UsageError(
                f"--package-version {self.version}: expected a digit, then letters, digits, dots, + and ~",
                hint="for example: --package-version 1.2",
            )
        if not _MAINTAINER.fullmatch(self.maintainer):
            raise UsageError(f"--maintainer {self.maintainer!r}: expected NAME <ADDRESS>", hint="in quotes")
        if (self.key is None) != (self.certificate is None):
            raise UsageError("--key and --cert: one of them alone", hint="give the key and its certificate")
        if self.kind in SIGNED and self.key is None:
            raise UsageError(f"{self.kind}: its tools take signed images alone", hint="give --key PEM and --cert PEM")


def debian_name(manifest: Manifest) -> str:
    """The package's name, in the letters that Debian takes."""
    return f"edgepack-{re.sub(r'[^a-z0-9+.-]+', '-', manifest.facts.name.lower())}"


def debian_architecture(manifest: Manifest) -> str:
    """`arm64` and so on by the programs in it; `all` where there are none."""
    native = manifest.facts.native
    return _DEBIAN[native.target.split("-")[0]] if native else "all"
