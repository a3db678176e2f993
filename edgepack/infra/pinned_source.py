"""The pinned llama.cpp's conversion scripts: the checkout's, or unpacked from the pinned archive into the store."""

import shutil
import sys
import tarfile
from pathlib import Path, PurePosixPath

from edgepack.domain.bundle import PinnedSource
from edgepack.domain.errors import BadInputError, NetworkError
from edgepack.domain.progress import Progress
from edgepack.domain.step import Step
from edgepack.infra.digests import sha256_of
from edgepack.infra.pins import llama_cpp_pin, vendor_directory
from edgepack.infra.process import run
from edgepack.infra.store import Store, home

SCRIPT = "convert_hf_to_gguf.py"
_ROOT = PurePosixPath("vendor/llama.cpp")
_WANTED = ("conversion", "gguf-py")
_LARGEST = 16 << 20
"""Bytes of a script; the archive's largest has 200 kB."""


def conversion_scripts(*, offline: bool, progress: Progress) -> Path:
    """The directory of convert_hf_to_gguf.py and of what it imports.

    Raises NetworkError where the archive is not here and cannot be had.
    """
    pin = llama_cpp_pin()
    checkout = vendor_directory() / "cache" / _name(pin) / _ROOT
    if (checkout / SCRIPT).is_file():
        return checkout
    step = Step(name="conversion-scripts", inputs={"archive": pin.sha256}, parameters={}, tool="edgepack-source/1")

    def make(place: Path) -> None:
        arrived = place / "arrived"
        _unpack(_archive(pin, arrived, offline, progress), pin, place)
        shutil.rmtree(arrived, ignore_errors=True)

    entry, _ = Store(home()).get_or_make(step, make)
    return entry.path / "llama.cpp"


def _name(pin: PinnedSource) -> str:
    return f"{pin.name.replace('-', '_')}-{pin.version}"


def _archive(pin: PinnedSource, arrived: Path, offline: bool, progress: Progress) -> Path:
    """The archive, checked: one that lies in the checkout or in EDGEPACK_HOME/vendor, or a new one."""
    name = f"{_name(pin)}.tar.gz"
    for place in (vendor_directory() / "cache", home() / "vendor"):
        if (place / name).is_file() and sha256_of(place / name) == pin.sha256:
            return place / name
    if offline:
        raise NetworkError(
            f"{name}: not here, and --offline",
            hint=f"run it once without --offline, or copy it to {home() / 'vendor'}",
        )
    progress.step(f"fetching {pin.name} {pin.version} (77 MB)")
    _download(pin, arrived)
    found = sha256_of(arrived / name) if (arrived / name).is_file() else "nothing"
    if found != pin.sha256:
        raise NetworkError(f"{name}: pinned is {pin.sha256}, what came is {found}", hint="check pip's index")
    return arrived / name


def _download(pin: PinnedSource, arrived: Path) -> None:
    """By this interpreter's pip, from whatever index it is configured for."""
    arrived.mkdir()
    wanted = arrived / "requirements.txt"
    wanted.write_text(f"{pin.name}=={pin.version} --hash=sha256:{pin.sha256}\n", encoding="ascii")
    done = run([
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--no-binary", pin.name, "--require-hashes", "--dest", arrived, "--requirement", wanted,
    ])  # fmt: skip
    if done.status:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise NetworkError(
            f"pip cannot fetch {pin.name} {pin.version}: {said[-1]}",
            hint=f"check pip's index, or copy {_name(pin)}.tar.gz to {home() / 'vendor'}",
        )


def _unpack(archive: Path, pin: PinnedSource, place: Path) -> None:
    """The scripts alone: plain files below the one directory, and nothing that leads out of it."""
    root = PurePosixPath(_name(pin)) / _ROOT
    with tarfile.open(archive) as opened:
        for member in opened:
            path = PurePosixPath(member.name)
            if not member.isfile() or not path.is_relative_to(root) or ".." in path.parts:
                continue
            inner = path.relative_to(root)
            if inner.parts[0] in _WANTED or (len(inner.parts) == 1 and inner.name.startswith("convert_")):
                _write(opened, member, place / "llama.cpp" / inner)


def _write(opened: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    content = opened.extractfile(member)
    if content is None or member.size > _LARGEST:
        raise BadInputError(
            f"{member.name}: {member.size} bytes in the pinned archive", hint="check vendor/pins.toml"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.read())
