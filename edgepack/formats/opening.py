"""Opens a bundle in whichever format it is, and reads what it says of itself."""

from pathlib import Path

from edgepack.domain.bundle import EVIDENCE, MANIFEST, MANIFEST_LIMIT, SUMS, Manifest
from edgepack.domain.errors import BadInputError, VerificationError
from edgepack.domain.manifest import parse_manifest
from edgepack.formats.apk_reader import SUFFIX, ApkReader
from edgepack.formats.archive import TarReader
from edgepack.formats.directory import DirectoryReader
from edgepack.formats.reader import BundleReader, Kind, Member


def open_bundle(path: Path) -> BundleReader:
    """Open a bundle's directory, tar or APK; the caller closes it.

    Raises BadInputError where there is nothing, or no bundle, and VerificationError where an archive is damaged
    or hostile. A directory is listed, not judged.
    """
    try:
        reader = _reader(path)
    except OSError as error:
        what = f"{path}: cannot be opened: {error.strerror}"
        raise BadInputError(what, hint="name a bundle's directory or its .tar") from error
    if not {MANIFEST, SUMS} & {member.path for member in reader.members}:
        reader.close()
        what = f"{path}: no edgepack bundle: neither {MANIFEST} nor {SUMS} is in it"
        raise BadInputError(what, hint="name a bundle's directory or its .tar")
    return reader


def _reader(path: Path) -> BundleReader:
    if path.is_dir():
        return DirectoryReader(path)
    return ApkReader(path) if path.suffix == SUFFIX else TarReader(path)


def file_in(reader: BundleReader, path: str) -> Member | None:
    """The file at `path`, if there is one."""
    for member in reader.members:
        if member.path == path and member.kind is Kind.FILE:
            return member
    return None


def read_small(reader: BundleReader, path: str) -> bytes:
    """A text file's bytes. Raises VerificationError where it is missing or larger than such a file can be."""
    member = file_in(reader, path)
    if member is None:
        raise VerificationError(f"{path}: missing from the bundle", hint="make or copy the bundle again")
    if member.size > MANIFEST_LIMIT:
        what = f"{path}: {member.size} bytes, more than any bundle's"
        raise VerificationError(what, hint="make or copy the bundle again")
    return b"".join(reader.chunks(member))


def read_manifest(reader: BundleReader) -> Manifest:
    """The manifest. Raises VerificationError where it is missing, BadInputError where it is wrong."""
    return parse_manifest(read_small(reader, MANIFEST).decode("utf-8", errors="replace"))


def is_evidence(path: str) -> bool:
    """Whether a member lies outside the payload."""
    return path.startswith(f"{EVIDENCE}/")
