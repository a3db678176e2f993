"""The pinned llama.cpp's scripts and source: the checkout's, or unpacked from the pinned archive."""

import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from edgepack.domain.bundle import PinnedSource
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Progress
from edgepack.domain.step import Step
from edgepack.infra.packages import archive
from edgepack.infra.pins import llama_cpp_pin, vendor_directory
from edgepack.infra.store import Store, home

SCRIPT = "convert_hf_to_gguf.py"
_ROOT = PurePosixPath("vendor/llama.cpp")
_WANTED = ("conversion", "gguf-py")
_LARGEST = 16 << 20
"""Bytes of a file; the archive's largest has 15.8 MB, its largest script 200 kB."""


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
        _unpack(_archive(pin, offline, progress), pin, place, _is_script)

    entry, _ = Store(home()).get_or_make(step, make)
    return entry.path / "llama.cpp"


def llama_cpp_source(place: Path, *, offline: bool, progress: Progress) -> Path:
    """The whole llama.cpp source to build from: the checkout's, or unpacked below the directory `place`.

    Raises NetworkError where the archive is not here and cannot be had.
    """
    pin = llama_cpp_pin()
    checkout = vendor_directory() / "cache" / _name(pin) / _ROOT
    if (checkout / "CMakeLists.txt").is_file():
        return checkout
    progress.step(f"unpacking {pin.name} {pin.version}")
    _unpack(_archive(pin, offline, progress), pin, place, lambda _: True)
    return place / "llama.cpp"


def _name(pin: PinnedSource) -> str:
    return f"{pin.name.replace('-', '_')}-{pin.version}"


def _archive(pin: PinnedSource, offline: bool, progress: Progress) -> Path:
    checkout = vendor_directory() / "cache"
    return archive(
        pin.name, pin.version, [pin.sha256], source=True, offline=offline, progress=progress, also=[checkout]
    )


def _is_script(inner: PurePosixPath) -> bool:
    return inner.parts[0] in _WANTED or (len(inner.parts) == 1 and inner.name.startswith("convert_"))


def _unpack(archive: Path, pin: PinnedSource, place: Path, wanted: Callable[[PurePosixPath], bool]) -> None:
    """Those wanted: plain files below llama.cpp's directory, and nothing that leads out of it."""
    root = PurePosixPath(_name(pin)) / _ROOT
    with tarfile.open(archive) as opened:
        for member in opened:
            path = PurePosixPath(member.name)
            if not member.isfile() or not path.is_relative_to(root) or ".." in path.parts:
                continue
            inner = path.relative_to(root)
            if wanted(inner):
                _write(opened, member, place / "llama.cpp" / inner)


def _write(opened: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    content = opened.extractfile(member)
    if content is None or member.size > _LARGEST:
        raise BadInputError(
            f"{member.name}: {member.size} bytes in the pinned archive", hint="check vendor/pins.toml"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.read())
