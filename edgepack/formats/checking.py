"""Every byte of a bundle against SHA256SUMS and the manifest; it changes nothing and runs nothing."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgepack.domain.bundle import EVIDENCE, MANIFEST, SIGNATURE, SUMS, Manifest
from edgepack.domain.errors import VerificationError
from edgepack.domain.onnx_external import externals, mistakes
from edgepack.domain.progress import Bar, Progress
from edgepack.domain.weights import SYNTHETIC_KEY
from edgepack.formats.opening import file_in, read_manifest, read_small
from edgepack.formats.reader import BundleReader, Kind, Member
from edgepack.formats.sums import parse_sums

_SUMS_OF_EVIDENCE = f"{EVIDENCE}/{SUMS}"
_GGUF = b"GGUF"
_ONNX = ".onnx"
_FIRST_KEYS = 4096
"""Bytes: our own files say there that they are synthetic."""
_NAMED = 8
"""Faults an error names; the rest are counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """A bundle whose every byte is right: the sha256 of SHA256SUMS, files and bytes, evidence included."""

    manifest: Manifest
    payload_digest: str
    files: int
    size: int


def check_bundle(reader: BundleReader, path: Path, progress: Progress) -> Checked:
    """`check`, for whoever listens: what is checked, and how far it is."""
    progress.step(f"checking every byte of {path}")
    with progress.bar("check", sum(member.size for member in reader.members), "B") as bar:
        return check(reader, bar)


def check(reader: BundleReader, bar: Bar) -> Checked:
    """Check a bundle whole; the bar hears every byte.

    Raises VerificationError naming what is missing, extra, changed, a link, not executable or no GGUF, and
    BadInputError for a manifest whose digest is right and whose content is not.
    """
    sums = read_small(reader, SUMS)
    expected = _expected(reader, sums)
    _complain([*_strangers(reader, expected), *_changed(reader, expected, bar)])
    manifest = read_manifest(reader)
    _complain([*_contradictions(manifest, expected), *_not_executable(reader, manifest)])
    for gguf in manifest.ggufs:
        member = file_in(reader, gguf.path)
        head = next(reader.chunks(member), b"") if member else b""
        if not head.startswith(_GGUF):
            _complain([f"no GGUF: {gguf.path}"])
        if SYNTHETIC_KEY.encode() in head[:_FIRST_KEYS]:
            _complain([f"synthetic weights, which know nothing: {gguf.path}"])
    _complain(
        [mistake for file in manifest.files if file.path.endswith(_ONNX) for mistake in _elsewhere(reader, file.path)]
    )
    members = [member for member in reader.members if member.kind is Kind.FILE]
    return Checked(
        manifest=manifest,
        payload_digest=hashlib.sha256(sums).hexdigest(),
        files=len(members),
        size=sum(member.size for member in members),
    )


def _expected(reader: BundleReader, sums: bytes) -> dict[str, str]:
    """Digests by path, of the payload and of the evidence."""
    expected = parse_sums(sums.decode("utf-8", errors="replace"), subject=SUMS)
    beyond = sorted(path for path in expected if path in (SUMS, SIGNATURE) or path.split("/")[0] == EVIDENCE)
    if beyond:
        _complain([f"outside the payload: {path}" for path in beyond])
    if file_in(reader, _SUMS_OF_EVIDENCE):
        text = read_small(reader, _SUMS_OF_EVIDENCE).decode("utf-8", errors="replace")
        evidence = parse_sums(text, subject=_SUMS_OF_EVIDENCE)
        expected |= {f"{EVIDENCE}/{path}": digest for path, digest in evidence.items()}
    return expected


def _strangers(reader: BundleReader, expected: Mapping[str, str]) -> Iterator[str]:
    """What is there and should not be, then what should be there and is not."""
    known = expected.keys() | {SUMS, SIGNATURE, _SUMS_OF_EVIDENCE}
    directories = {"/".join(path.split("/")[:depth]) for path in known for depth in range(1, path.count("/") + 1)}
    for member in reader.members:
        match member.kind:
            case Kind.LINK | Kind.SPECIAL:
                yield f"a {member.kind}: {_shown(member.path)}"
            case Kind.FILE if member.path not in known:
                yield f"extra: {_shown(member.path)}"
            case Kind.DIRECTORY if member.path not in directories:
                yield f"extra: {_shown(member.path)}/"
    there = {member.path for member in reader.members}
    yield from (f"missing: {path}" for path in sorted(expected.keys() - there))


def _changed(reader: BundleReader, expected: Mapping[str, str], bar: Bar) -> Iterator[str]:
    for member in reader.members:
        digest = expected.get(member.path) if member.kind is Kind.FILE else None
        if digest is not None and _digest(reader, member, bar) != digest:
            yield f"changed: {member.path}"


def _digest(reader: BundleReader, member: Member, bar: Bar) -> str:
    running = hashlib.sha256()
    for chunk in reader.chunks(member):
        running.update(chunk)
        bar.advance(len(chunk))
    return running.hexdigest()


def _contradictions(manifest: Manifest, expected: Mapping[str, str]) -> Iterator[str]:
    """Where the manifest and SHA256SUMS do not list the same files."""
    listed = {file.path: file.sha256 for file in manifest.files}
    summed = {
        path: digest for path, digest in expected.items() if path != MANIFEST and path.split("/")[0] != EVIDENCE
    }
    for path in sorted(listed.keys() | summed.keys()):
        if listed.get(path) != summed.get(path):
            yield f"{MANIFEST} and {SUMS} disagree on {path}"


def _not_executable(reader: BundleReader, manifest: Manifest) -> Iterator[str]:
    for file in manifest.files:
        member = file_in(reader, file.path)
        if file.executable and member and not member.mode & 0o100:
            yield f"not executable: {file.path}"


def _elsewhere(reader: BundleReader, path: str) -> Iterator[str]:
    """Weights of an ONNX file that are not in the bundle, whatever onnxruntime would make of them."""
    member = file_in(reader, path)
    data = b"".join(reader.chunks(member)) if member else b""
    sizes = {other.path: other.size for other in reader.members if other.kind is Kind.FILE}
    try:
        for found in externals(data):
            yield from mistakes(found, path, sizes)
    except ValueError as error:
        yield f"no ONNX: {path} ({error})"


def _shown(path: str) -> str:
    """A name that somebody else chose, harmless on a terminal."""
    return path if path.isascii() and path.isprintable() else ascii(path)


def _complain(faults: list[str]) -> None:
    if faults:
        more = f" and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
        raise VerificationError(
            f"the bundle is not what it says: {', '.join(faults[:_NAMED])}{more}",
            hint="do not use it; delete it, and make or copy it again",
        )
