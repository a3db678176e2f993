"""A bundle wrapped for the system that brings it to devices; what goes in was checked, byte for byte."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from edgepack.domain.bundle import Format, Manifest
from edgepack.domain.errors import UsageError
from edgepack.domain.packaging import PackageKind, Packaging
from edgepack.domain.progress import Progress
from edgepack.formats.checking import check_bundle
from edgepack.formats.debian import write_debian
from edgepack.formats.extraction import as_tree
from edgepack.formats.oci import write_oci
from edgepack.formats.opening import open_bundle
from edgepack.formats.partial import partial_directory
from edgepack.formats.rauc import write_rauc
from edgepack.formats.reader import BundleReader
from edgepack.formats.squashfs import write_squashfs
from edgepack.formats.swupdate import write_swupdate
from edgepack.infra.store import require_space

_HEADROOM = 4 << 20
"""Bytes for what a package has beside the bundle."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """What was written: a file, or a directory for OCI; `payload_digest` is the bundle's."""

    path: Path
    kind: PackageKind
    size: int
    name: str
    payload_digest: str


def package(bundle: Path, packaging: Packaging, *, destination: Path, progress: Progress) -> Package:
    """Wrap the bundle, and put the result at `destination` by one rename.

    What stands there is replaced if it is of the same kind: a file, or an OCI layout. Raises VerificationError where
    the bundle is not what it says, UsageError where a program is missing, something else stands there, or an encoder
    finds no use for it, BadInputError where a program refuses, NoSpaceError.
    """
    destination = destination.resolve()
    _refuse_other(destination, packaging.kind)
    destination.parent.mkdir(parents=True, exist_ok=True)
    with closing(open_bundle(bundle)) as reader, partial_directory(destination) as scratch:
        total = sum(member.size for member in reader.members)
        checked = check_bundle(reader, bundle, progress)
        _refuse_encoder(checked.manifest, packaging.kind)
        require_space(scratch, _copies(reader, packaging.kind) * total + _HEADROOM, f"the {packaging.kind}")
        tree = as_tree(reader, bundle, scratch / "tree", progress)
        progress.step(f"writing {destination}")
        new = scratch / "new"
        _write(tree, checked.manifest, packaging, new, scratch, progress)
        if destination.is_dir():
            destination.rename(scratch / "old")
        new.replace(destination)
    return Package(
        path=destination, kind=packaging.kind, size=_size(destination), name=checked.manifest.facts.name,
        payload_digest=checked.payload_digest,
    )  # fmt: skip


def _write(
    tree: Path, manifest: Manifest, packaging: Packaging, new: Path, scratch: Path, progress: Progress
) -> None:
    kind = packaging.kind
    with progress.bar(kind, None, "B") as bar:
        match kind:
            case PackageKind.DEB:
                write_debian(tree, manifest, packaging, new, scratch)
            case PackageKind.OCI:
                write_oci(tree, manifest, packaging, new, bar)
            case PackageKind.RAUC:
                write_rauc(tree, manifest, packaging, new, scratch)
            case PackageKind.SQUASHFS:
                write_squashfs(tree, new)
            case PackageKind.SWU:
                write_swupdate(tree, manifest, packaging, new, scratch, bar)
            case _:
                assert_never(kind)


def _refuse_encoder(manifest: Manifest, kind: PackageKind) -> None:
    """Raise UsageError for a service that has nothing to serve: an encoder answers what it is started with."""
    if manifest.facts.encoder and kind is PackageKind.DEB:
        what = f"--as {kind}: {manifest.facts.name} is an encoder's bundle, and the package's service a server's"
        raise UsageError(what, hint="take --as squashfs or oci, or deploy the bundle as it is")


def _copies(reader: BundleReader, kind: PackageKind) -> int:
    """How many times the bundle's bytes are on the disk at once, at most, beside the bundle."""
    unpacked = 0 if reader.format is Format.DIR else 1
    return unpacked + (2 if kind in (PackageKind.RAUC, PackageKind.SWU) else 1)


def _refuse_other(destination: Path, kind: PackageKind) -> None:
    """Raise UsageError where something stands that no package of this kind is."""
    if not destination.exists():
        return
    same = (destination / "oci-layout").is_file() if kind is PackageKind.OCI else destination.is_file()
    if not same:
        what = f"{destination}: stands already and is no {kind}, so it is not replaced"
        raise UsageError(what, hint="choose another place with --out, or remove it yourself")


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
