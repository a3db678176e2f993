"""The packages that run an encoder on a device with Python: brought here, each with its licences."""

import zipfile
from importlib.metadata import distribution
from pathlib import Path, PurePosixPath

from edgepack.domain.bundle import WheelPlatform
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Progress
from edgepack.infra.packages import archive
from edgepack.infra.wheels import PinnedWheel, Wheel, pinned_wheels

_TEXTS = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "ThirdPartyNotices")
_APACHE = "licenses/LICENSE"
_MOST = 4 << 20
"""Bytes of a licence's text."""


def device_wheels(platform: WheelPlatform, *, offline: bool, progress: Progress) -> tuple[Wheel, ...]:
    """Raises NetworkError where one is not here and cannot be had."""
    return tuple(_wheel(pin, platform, offline, progress) for pin in pinned_wheels(platform))


def _wheel(pin: PinnedWheel, platform: WheelPlatform, offline: bool, progress: Progress) -> Wheel:
    path = archive(
        pin.name, pin.version, (pin.sha256,), source=False, offline=offline, progress=progress, platform=platform
    )
    if path.name != pin.file:
        raise BadInputError(f"{path}: not called {pin.file}", hint="remove the file, and run it again")
    return Wheel(path=path, sha256=pin.sha256, licences=_licences(pin.name, path))


def _licences(name: str, wheel: Path) -> dict[str, bytes]:
    """All texts in it; Apache's, which edgepack has too, where a wheel came without any."""
    with zipfile.ZipFile(wheel) as opened:
        paths = {PurePosixPath(member.filename): member for member in opened.infolist()}
        texts = {
            f"wheel-{name}-{_called(path)}": opened.read(member)
            for path, member in paths.items()
            if _is_licence(path) and member.file_size < _MOST
        }
    return texts or {f"wheel-{name}-LICENSE": (distribution("edgepack").read_text(_APACHE) or "").encode()}


def _is_licence(path: PurePosixPath) -> bool:
    """Beside a package's metadata, or first in the package itself."""
    at_home = path.parts[0].endswith(".dist-info") or len(path.parts) == 2
    return at_home and path.name.startswith(_TEXTS)


def _called(path: PurePosixPath) -> str:
    parts = path.parts[1:]
    return "-".join(parts[1:] if parts[0] == "licenses" else parts)
