"""Writes a bundle beside its destination and moves it there whole; it does not know what weights mean."""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

from edgepack.domain.app import BESIDE, LARGEST_ASSET, App, SigningKey, refuse_for_app
from edgepack.domain.bundle import EVIDENCE, LICENCES, BundleFacts, Format, safe_name
from edgepack.domain.errors import BadInputError, EdgepackError, NoSpaceError, UsageError
from edgepack.domain.golden import GoldenTexts
from edgepack.domain.native import NativeRuntime
from edgepack.domain.progress import Bar, Progress
from edgepack.formats.apk import write_apk
from edgepack.formats.copying import copy_file
from edgepack.formats.directory import write_directory
from edgepack.formats.opening import open_bundle, read_manifest
from edgepack.formats.partial import one_maker, partial_directory, remove_stale
from edgepack.formats.payload import WRITTEN_AT, EncoderParts, Large, Payload, assemble
from edgepack.formats.reader import BundleReader
from edgepack.formats.standing import evidence_stands, payload_stands
from edgepack.formats.tar import tar_size, write_tar
from edgepack.infra.android import android_tools, sign
from edgepack.infra.digests import sha256_of
from edgepack.infra.store import require_space
from edgepack.infra.wheels import Wheel

_MOST_MAKERS = 16
"""Makers of one destination at once."""
_HEADROOM = 1 << 20
"""Bytes beyond the files themselves: directories and the disk's own books."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderContents:
    """Its tokenizer.json, the texts that it is tried on, and the packages that run it."""

    tokenizer: str
    golden: GoldenTexts
    wheels: tuple[Wheel, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleContents:
    """What goes into a bundle.

    `weights_sha256` is what the maker of `weights` says it is; None: it is read and computed. Evidence is
    bytes by file name. The licence files keep their names, as far as
    these are safe.
    """

    facts: BundleFacts
    weights: Path
    weights_sha256: str | None = None
    adapter: Path | None = None
    """The GGUF of the adapter that `facts` name, unless it is merged."""
    large: Path | None = None
    """The GGUF of the larger model that `facts` name."""
    state: Path | None = None
    """The prompt state that `facts` name."""
    system_prompt: str = ""
    """What it is the state after."""
    runtime: NativeRuntime | None = None
    """The programs that `facts` name."""
    licence_files: tuple[Path, ...] = ()
    encoder: EncoderContents | None = None
    """What an encoder has beside its weights."""
    adapter_licence_files: tuple[Path, ...] = ()
    """Their names get `adapter-` before them."""
    evidence: Mapping[str, bytes] = field(default_factory=dict)
    quantizer: Mapping[str, str] | None = None
    """What quantized, by name and sha256: with it the evidence says where the bundle comes from."""
    app: "SignedApp | None" = None
    """What carries it, for Format.APK alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedApp:
    """The app without a bundle, and the key that both are signed with."""

    app: App
    key: SigningKey


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """A bundle on disk: bytes of all its files, and the sha256 of its SHA256SUMS."""

    path: Path
    payload_digest: str
    format: Format
    size: int


def write_bundle(contents: BundleContents, *, destination: Path, format: Format, progress: Progress) -> Bundle:
    """Write the bundle at `destination`, a directory, a .tar or an .apk, in one rename.

    A bundle that stands there already with the same payload stays, and only its evidence is replaced;
    another bundle is replaced. Raises UsageError where something else stands there, NoSpaceError before or
    while the disk is full, BadInputError where the weights or a licence cannot be read.
    """
    destination = destination.resolve()
    payload = _assembled(contents, progress)
    with _disk_errors(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
        with one_maker(destination.parent):
            _place(payload, destination, format, contents.app, progress)
    return Bundle(path=destination, payload_digest=payload.digest, format=format, size=payload.size)


def _assembled(contents: BundleContents, progress: Progress) -> Payload:
    try:
        licences = {name: path.read_bytes() for name, path in _licence_names(contents)}
        licences |= _wheel_licences(contents.encoder)
        weights = _large(contents.weights, contents.weights_sha256, progress)
        adapter = _large(contents.adapter, None, progress) if contents.adapter else None
        second = _large(contents.large, None, progress) if contents.large else None
        state = _large(contents.state, None, progress) if contents.state else None
        encoder = _encoder(contents.encoder, progress) if contents.encoder else None
    except OSError as error:
        what = f"{error.filename}: cannot be read: {error.strerror}"
        raise BadInputError(what, hint="check the path and who may read it") from error
    if len(licences) != len(list(_licence_names(contents))) + len(_wheel_licences(contents.encoder)):
        raise BadInputError(f"two licence files have one name in {LICENCES}/", hint="give them different names")
    try:
        return assemble(
            contents.facts,
            weights=weights,
            adapter=adapter,
            second=second,
            state=state,
            system_prompt=contents.system_prompt,
            programs=_programs(contents.runtime),
            encoder=encoder,
            licences=licences,
            evidence=contents.evidence,
            quantizer=contents.quantizer,
        )
    except ValueError as error:
        raise BadInputError(str(error), hint="use letters, digits and ._+- only in names") from error


def _programs(runtime: NativeRuntime | None) -> dict[str, Large]:
    files = runtime.files if runtime else ()
    return {file.name: Large(path=file.path, size=file.size, sha256=file.sha256) for file in files}


def _encoder(encoder: EncoderContents, progress: Progress) -> EncoderParts:
    wheels = {wheel.path.name: _large(wheel.path, wheel.sha256, progress) for wheel in encoder.wheels}
    return EncoderParts(tokenizer=encoder.tokenizer, golden=encoder.golden, wheels=wheels)


def _wheel_licences(encoder: EncoderContents | None) -> dict[str, bytes]:
    wheels = encoder.wheels if encoder else ()
    return {safe_name(name): text for wheel in wheels for name, text in wheel.licences.items()}


def _licence_names(contents: BundleContents) -> Iterator[tuple[str, Path]]:
    """Each licence file with the name that it gets."""
    yield from ((safe_name(path.name), path) for path in contents.licence_files)
    yield from ((safe_name(f"adapter-{path.name}"), path) for path in contents.adapter_licence_files)
    if contents.runtime:
        yield from ((safe_name(f"runtime-{path.name}"), path) for path in contents.runtime.licences)


def _large(path: Path, sha256: str | None, progress: Progress) -> Large:
    size = path.stat().st_size
    if sha256 is None:
        with progress.bar(f"digest of {path.name}", size, "B") as bar:
            sha256 = sha256_of(path, advance=bar.advance)
    return Large(path=path, size=size, sha256=sha256)


def _place(
    payload: Payload, destination: Path, format: Format, app: SignedApp | None, progress: Progress
) -> None:  # fmt: skip
    remove_stale(destination)  # a maker that was killed after its bundle got its name left its directory all the same
    standing = _standing(destination)
    try:
        # An APK is more than its payload: the app around it and its signature may be others.
        kept = standing is not None and standing.format is format and format is not Format.APK
        same = kept and standing is not None and payload_stands(standing, payload)
        if same and standing is not None and evidence_stands(standing, payload):
            progress.step(f"the bundle stands already at {destination}")
            return
    finally:
        if standing is not None:
            standing.close()
    with partial_directory(destination) as partial:
        if same and format is Format.DIR:
            progress.step(f"the payload stands already at {destination}; new evidence")
            _replace_evidence(payload, destination, partial, progress)
        else:
            _write(payload, destination, format, app, partial, progress)


def _standing(destination: Path) -> BundleReader | None:
    """The bundle that would be replaced; None where nothing stands, or an empty directory."""
    if not destination.exists() or (destination.is_dir() and not any(destination.iterdir())):
        return None
    try:
        reader = open_bundle(destination)
        read_manifest(reader)
    except EdgepackError as error:
        raise UsageError(
            f"{destination}: stands already and is no edgepack bundle, so it is not replaced",
            hint="choose another place with --out, or remove it yourself",
        ) from error
    return reader


def _write(
    payload: Payload, destination: Path, format: Format, app: SignedApp | None, partial: Path, progress: Progress
) -> None:  # fmt: skip
    needed = {Format.DIR: payload.size, Format.TAR: tar_size(payload), Format.APK: 2 * payload.size}[format]
    require_space(partial.parent, needed + _HEADROOM, "the bundle")
    progress.step(f"writing {destination}")
    new = partial / "new"
    with progress.bar("bundle", payload.size, "B") as bar:
        match format:
            case Format.DIR:
                write_directory(payload.all, new, bar)
            case Format.TAR:
                write_tar(payload, new, bar)
            case Format.APK:
                assert app is not None, "whoever asks for an APK brings the app"
                _write_app(payload, app, new, destination.with_suffix(BESIDE), bar)
            case _:
                assert_never(format)
    _move(new, destination, partial / "aside")


def _write_app(payload: Payload, app: SignedApp, new: Path, beside: Path, bar: Bar) -> None:
    """The signed APK; weights that are too large for one go to the directory `beside`, whose old content goes."""
    refuse_for_app(payload.manifest.facts)
    models = {file.path for file in payload.manifest.ggufs}
    large = [source for source in payload.all if source.file.path in models and source.file.size > LARGEST_ASSET]
    unsigned = new.with_name("unsigned.apk")
    write_apk(payload, app.app, unsigned, bar, without=frozenset(source.file.path for source in large))
    sign(unsigned, new, app.key, least_sdk=app.app.least_sdk, tools=android_tools())
    unsigned.unlink()
    if beside.exists():
        shutil.rmtree(beside)
    for source in large:
        assert isinstance(source.content, Path), "only files are as large"
        place = beside / source.file.path
        place.parent.mkdir(parents=True, exist_ok=True)
        copy_file(source.content, place, size=source.file.size, bar=bar)


def _replace_evidence(payload: Payload, destination: Path, partial: Path, progress: Progress) -> None:
    with progress.bar("evidence", None, "B") as bar:
        write_directory(payload.evidence, partial / "new", bar)
    _move(partial / "new" / EVIDENCE, destination / EVIDENCE, partial / "aside")
    os.utime(destination, (WRITTEN_AT, WRITTEN_AT))


def _move(new: Path, destination: Path, aside: Path) -> None:
    """One rename; a directory that stands there goes `aside` first, and comes back if the rename fails.

    On a disk without locks another maker may have put its bundle there meanwhile: that one goes aside too.
    """
    aside.mkdir()
    for attempt in range(_MOST_MAKERS):
        old = aside / str(attempt)
        with suppress(FileNotFoundError):
            if destination.is_dir():
                destination.rename(old)
        try:
            new.replace(destination)
        except BaseException as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                continue
            if old.exists():
                old.rename(destination)
            raise
        return
    raise UsageError(
        f"{destination}: other makers keep putting bundles there",
        hint="build one after the other, or with another --out",
    )


@contextmanager
def _disk_errors(destination: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            what = f"{destination}: no space left while writing the bundle"
            hint = "free some space, or choose another disk with --out; nothing half-written was left"
            raise NoSpaceError(what, hint=hint) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            what = f"{error.filename or destination}: cannot be written: {error.strerror}"
            raise UsageError(what, hint="choose another place with --out") from error
        raise
