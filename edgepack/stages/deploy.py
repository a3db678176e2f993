"""A bundle brought to a device, tested there, and made the one that serves; the old one serves until then.

The self-test comes before the switch: what fails it was never current, and nothing has to be taken back.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from edgepack.domain.bundle import EVIDENCE, Format, PayloadFile
from edgepack.domain.deployment import Deployment, RolledBack, checked_place
from edgepack.domain.device import Device
from edgepack.domain.errors import DeviceError, ExitCode, NoSpaceError, VerificationError
from edgepack.domain.golden import GOLDEN_OUTPUTS
from edgepack.domain.progress import Progress
from edgepack.formats.checking import Checked, check_bundle
from edgepack.formats.extraction import extract_file
from edgepack.formats.heads import device_files
from edgepack.formats.opening import file_in, open_bundle
from edgepack.formats.reader import BundleReader
from edgepack.infra.process import Completed
from edgepack.transports.opening import open_transport
from edgepack.transports.protocol import MINUTE, Transport
from edgepack.transports.releases import Releases, Room

_OUTPUTS = f"{EVIDENCE}/{GOLDEN_OUTPUTS}"
_PLACE = "deployed"
"""Below the device's own directory, where none is named."""
_NO_RUNTIME = "build the bundle with a runtime for this device, or install llama.cpp there"
_NO_PYTHON = "build the bundle --with-wheels for this device's --python, or install the packages there"
_HEADROOM = 1 << 22
"""Bytes for directories and the disk's own books."""
_SELFTEST = 60 * MINUTE
"""Seconds: reading gigabytes off a slow card, and a slow core's answers."""


def deploy(
    bundle: Path, device: Device, *, place: str | None, selftest: bool, keep: int, progress: Progress
) -> Deployment:
    """Make the bundle the current release in `place` on the device, and keep the last `keep` before it.

    Raises VerificationError where the bundle is not what it says or fails its self-test, NoSpaceError, DeviceError.
    In every ending the device serves the old release or the new one.
    """
    wanted_place = place and checked_place(place)
    with closing(open_bundle(bundle)) as reader:
        checked = check_bundle(reader, bundle, progress)
        wanted = device_files(reader, checked, _OUTPUTS)
        with open_transport(device, progress=progress) as transport:
            there = Releases(transport, wanted_place or f"{transport.root}/{_PLACE}")
            with there.held():
                room = there.prepare(wanted)
                _require_room(there, wanted, room)
                old = room.current
                new = (
                    old
                    if _is_of(old, checked)
                    else _bring(transport, there, reader, bundle, wanted, checked, progress)
                )
                hint = _NO_PYTHON if checked.manifest.facts.encoder else _NO_RUNTIME
                said = (
                    _selftest(transport, there, new, is_new=new != old, hint=hint, progress=progress)
                    if selftest
                    else None
                )
                if new != old:
                    progress.step(f"switching to {new}")
                    there.switch(new)
                there.prune(keep)
    size = sum(file.size for file in wanted)
    return Deployment(
        device=str(device), place=there.place, release=new, previous=old if new != old else "",
        payload_digest=checked.payload_digest, files=len(wanted), size=size,
        brought=sum(file.size for file in _once(wanted) if file.sha256 in room.missing) if new != old else 0,
        linked=room.links, switched=new != old, selftest=said,
    )  # fmt: skip


def roll_back(device: Device, *, place: str | None, progress: Progress) -> RolledBack:
    """Make the release before the current one the current one. Raises DeviceError where there is none."""
    wanted_place = place and checked_place(place)
    with open_transport(device, progress=progress) as transport:
        there = Releases(transport, wanted_place or f"{transport.root}/{_PLACE}")
        with there.held():
            now, left = there.rollback()
    return RolledBack(device=str(device), place=there.place, release=now, left=left)


def _once(wanted: tuple[PayloadFile, ...]) -> Iterator[PayloadFile]:
    """One file of each content."""
    yield from {file.sha256: file for file in wanted}.values()


def _name(checked: Checked) -> str:
    return checked.payload_digest[:16]


def _is_of(release: str, checked: Checked) -> bool:
    return release.partition("-")[2] == _name(checked)


def _require_room(there: Releases, wanted: tuple[PayloadFile, ...], room: Room) -> None:
    """Raise NoSpaceError before anything is brought in vain."""
    brought = sum(file.size for file in _once(wanted) if file.sha256 in room.missing) + _HEADROOM
    copied = 0 if room.links else sum(file.size for file in wanted) + _HEADROOM
    needs = [(brought, room.free_there), (copied, room.free_here)]
    if room.one_disk:
        needs = [(brought + copied, room.free_here)]
    for needed, free in needs:
        if needed > free:
            raise NoSpaceError(
                f"{there.place}: {needed / 1e6:,.1f} MB needed on the device, {free / 1e6:,.1f} MB free",
                hint="free some space there, or name a larger disk (--to; EDGEPACK_HOME in its environment)",
            )


def _bring(
    transport: Transport, there: Releases, reader: BundleReader, bundle: Path, wanted: tuple[PayloadFile, ...],
    checked: Checked, progress: Progress,
) -> str:  # fmt: skip
    """Every file pushed, and a release made of them."""
    progress.step(f"bringing {checked.manifest.facts.name} to {transport.device}")
    executable = {file.sha256 for file in wanted if file.executable}
    for file in _once(wanted):
        with _as_file(reader, bundle, file, progress) as path:
            transport.push(path, sha256=file.sha256, executable=file.sha256 in executable)
    return there.assemble(_name(checked), wanted)


@contextmanager
def _as_file(reader: BundleReader, bundle: Path, file: PayloadFile, progress: Progress) -> Iterator[Path]:
    """The file in the bundle's directory, or a copy of the tar's for as long as it is needed."""
    if reader.format is Format.DIR:
        yield bundle / file.path
        return
    member = file_in(reader, file.path)
    assert member is not None, "check() has seen it"
    with TemporaryDirectory(prefix="edgepack-") as scratch:
        path = Path(scratch) / Path(file.path).name
        with progress.bar(f"unpack {file.path}", member.size, "B") as bar:
            extract_file(reader, member, path, bar=bar)
        yield path


def _selftest(
    transport: Transport, there: Releases, release: str, *, is_new: bool, hint: str, progress: Progress
) -> str:
    """The last line of the release's self-test on the device; one that fails is removed if it `is_new`."""
    progress.step(f"self-test on {transport.device}")
    done = transport.run([f"{there.path(release)}/selftest"], timeout=_SELFTEST)
    if done.status == ExitCode.DONE:
        return _lines(done)[-1]
    if is_new:
        there.drop(release)
    kept = "the old release still serves" if is_new else "it is the one that serves"
    raise _failed(done, transport, kept=kept, hint=hint)


def _failed(done: Completed, transport: Transport, *, kept: str, hint: str) -> Exception:
    said = next((line.partition("error: ")[2] for line in _lines(done) if line.startswith("error: ")), "")
    reason = said or f"status {done.status}: {_lines(done)[-1]}"
    what = f"{transport.device}: the self-test failed: {reason}; {kept}"
    match done.status:
        case ExitCode.NO_SPACE:
            return NoSpaceError(what, hint="stop what uses the memory there, the old release too, and run it again")
        case ExitCode.DEVICE:
            return DeviceError(what, hint=hint)
        case _:
            return VerificationError(what, hint="build the bundle again, for this device's profile")


def _lines(done: Completed) -> list[str]:
    return [line for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()] or [""]
