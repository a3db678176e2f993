"""Takes files out of a bundle's tar: those that its manifest declares, at the size it declares, and no other."""

import os
from pathlib import Path

from edgepack.domain.bundle import EVIDENCE, MANIFEST, MANIFEST_LIMIT, SIGNATURE, SUMS, Format, Manifest
from edgepack.domain.errors import VerificationError
from edgepack.domain.progress import Bar, Progress
from edgepack.formats.opening import file_in, is_evidence, read_manifest
from edgepack.formats.payload import DIRECTORY_MODE, WRITTEN_AT
from edgepack.formats.reader import BundleReader, Kind, Member

_MOST_EVIDENCE = 64 << 20
"""Bytes of all evidence together; the manifest does not declare it."""
_HINT = "do not use it; delete it, and make or copy the bundle again"


def extract_bundle(reader: BundleReader, destination: Path, bar: Bar) -> None:
    """Write the whole bundle to the new directory `destination`; digests are `check`'s business.

    Nothing is written before every member is found to be declared. Raises VerificationError naming a member
    that is not, or that has another size than declared; what stays after an OSError is the caller's to remove.
    """
    manifest = read_manifest(reader)
    _refuse_undeclared(reader, manifest)
    executable = {file.path for file in manifest.files if file.executable}
    destination.mkdir(mode=DIRECTORY_MODE)
    for member in reader.members:
        if member.kind is Kind.FILE:
            extract_file(reader, member, destination / member.path, bar=bar)
            (destination / member.path).chmod(0o755 if member.path in executable else 0o644)
    settle(destination)


def as_tree(reader: BundleReader, bundle: Path, place: Path, progress: Progress) -> Path:
    """The bundle as a directory: itself, or what its tar holds, written to the new directory `place`."""
    if reader.format is Format.DIR:
        return bundle.resolve()
    with progress.bar("unpack", sum(member.size for member in reader.members), "B") as bar:
        extract_bundle(reader, place, bar)
    return place


def settle(root: Path) -> None:
    """Give the directories from `root` down the mode and time of every bundle's, whatever umask this user has."""
    directories = [path for path in root.rglob("*") if path.is_dir()]
    for directory in (*sorted(directories, reverse=True), root):
        directory.chmod(DIRECTORY_MODE)
        os.utime(directory, (WRITTEN_AT, WRITTEN_AT))


def extract_file(reader: BundleReader, member: Member, path: Path, *, bar: Bar) -> None:
    """Write one file of a bundle to the new file `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        for chunk in reader.chunks(member):
            file.write(chunk)
            bar.advance(len(chunk))
    os.utime(path, (WRITTEN_AT, WRITTEN_AT))


def _refuse_undeclared(reader: BundleReader, manifest: Manifest) -> None:
    declared = {file.path: file.size for file in manifest.files}
    for member in reader.members:
        if member.kind in (Kind.LINK, Kind.SPECIAL):
            raise VerificationError(f"{member.path}: is a {member.kind}", hint=_HINT)
        if member.kind is Kind.DIRECTORY or is_evidence(member.path):
            continue
        if member.path in (MANIFEST, SUMS, SIGNATURE):
            _refuse_larger(member, MANIFEST_LIMIT)
        elif member.path not in declared:
            raise VerificationError(f"{member.path}: not in the bundle's manifest", hint=_HINT)
        elif member.size != declared[member.path]:
            what = f"{member.path}: {member.size} bytes, the manifest declares {declared[member.path]}"
            raise VerificationError(what, hint=_HINT)
    for path in declared:
        if file_in(reader, path) is None:
            raise VerificationError(f"{path}: missing from the bundle", hint=_HINT)
    evidence = sum(member.size for member in reader.members if is_evidence(member.path))
    if evidence > _MOST_EVIDENCE:
        raise VerificationError(f"{EVIDENCE}/: {evidence} bytes, more than {_MOST_EVIDENCE}", hint=_HINT)


def _refuse_larger(member: Member, limit: int) -> None:
    if member.size > limit:
        raise VerificationError(f"{member.path}: {member.size} bytes, more than {limit}", hint=_HINT)
