"""The pinned compiler and build tools: their wheels kept in EDGEPACK_HOME/vendor, unpacked for one build."""

import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Progress
from edgepack.infra.packages import archive
from edgepack.infra.pins import PinnedTool, pinned_tools

UNPACKED = 800_000_000
"""Bytes that the tools take while a build runs, the compiler's own cache included."""
_COMPILER = "ziglang"


@dataclass(frozen=True, kw_only=True, slots=True)
class Toolchain:
    """Programs of one build, gone with its directory."""

    zig: Path
    cmake: Path
    ninja: Path
    licences: tuple[Path, ...]
    """Of what the compiler links into programs: musl, libc++, compiler-rt."""


def toolchain(place: Path, *, offline: bool, progress: Progress) -> Toolchain:
    """Unpack the pinned tools below the directory `place`. Raises NetworkError where a wheel cannot be had."""
    for tool in pinned_tools():
        _bring(tool, place, offline, progress)
    zig = _program(place / _COMPILER, "zig")
    return Toolchain(
        zig=zig, cmake=_program(place / "cmake", "cmake"), ninja=_program(place / "ninja", "ninja"),
        licences=licences(zig),
    )  # fmt: skip


def licences(zig: Path) -> tuple[Path, ...]:
    """Of what the compiler links into programs: musl, libc++, libunwind, compiler-rt."""
    libraries = zig.parent / "lib"
    texts = (
        libraries / "libc/musl/COPYRIGHT", libraries / "libcxx/LICENSE.TXT", libraries / "libunwind/LICENSE.TXT",
        zig.parent / "LICENSE",
    )  # fmt: skip
    return tuple(text for text in texts if text.is_file())


def compiler(place: Path, *, offline: bool, progress: Progress) -> Path:
    """Unpack the pinned zig alone below the directory `place`; the program. Raises NetworkError like `toolchain`."""
    _bring(next(tool for tool in pinned_tools() if tool.name == _COMPILER), place, offline, progress)
    return _program(place / _COMPILER, "zig")


def _bring(tool: PinnedTool, place: Path, offline: bool, progress: Progress) -> None:
    wheel = archive(tool.name, tool.version, tool.digests, source=False, offline=offline, progress=progress)
    _unpack(wheel, place / tool.name)


def _unpack(wheel: Path, place: Path) -> None:
    """Plain files with their run bits, and nothing that leads out of `place`."""
    with zipfile.ZipFile(wheel) as opened:
        for member in opened.infolist():
            path = PurePosixPath(member.filename)
            mode = member.external_attr >> 16
            if path.is_absolute() or ".." in path.parts or stat.S_ISLNK(mode):
                raise BadInputError(
                    f"{wheel.name}: {member.filename!r} leads out of it", hint="check vendor/pins.toml"
                )
            written = Path(opened.extract(member, place))
            if mode & stat.S_IXUSR and not member.is_dir():
                written.chmod(0o755)


def _program(place: Path, name: str) -> Path:
    found = sorted(path for path in place.rglob(name) if path.is_file() and path.stat().st_mode & stat.S_IXUSR)
    if not found:
        raise BadInputError(f"{place.name}'s wheel has no program {name}", hint="check vendor/pins.toml")
    return found[0]
