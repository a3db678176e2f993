"""Pinned packages by this interpreter's pip, from whatever index it is configured for; nothing is installed."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from shutil import rmtree

from edgepack.domain.bundle import WheelPlatform
from edgepack.domain.errors import NetworkError
from edgepack.domain.progress import Progress
from edgepack.infra.digests import sha256_of
from edgepack.infra.process import run
from edgepack.infra.store import home


def archive(
    name: str,
    version: str,
    digests: Sequence[str],
    *,
    source: bool,
    offline: bool,
    progress: Progress,
    also: Sequence[Path] = (),
    platform: WheelPlatform | None = None,
) -> Path:
    """The archive of `name` whose sha256 is among `digests`: kept in EDGEPACK_HOME/vendor or `also`, or fetched.

    `source`: its source archive; else the wheel for `platform`, or for this machine. What is fetched is kept, so that
    the next build needs no network. Raises NetworkError where it is not here and cannot be had.
    """
    kept = home() / "vendor"
    kept.mkdir(exist_ok=True)
    pattern = f"{name.replace('-', '_')}-{version}{'.tar.gz' if source else '-*.whl'}"
    for place in (*also, kept):
        for path in sorted(place.glob(pattern)):
            if sha256_of(path) in digests:
                return path
    if offline:
        raise NetworkError(
            f"{name} {version}: not here, and --offline",
            hint=f"run it once without --offline, or copy {pattern} to {kept}",
        )
    progress.step(f"fetching {name} {version}")
    arriving = kept / f"arriving-{token_hex(4)}"
    try:
        arrived = _download(name, version, digests, arriving, source=source, platform=platform)
        return arrived.replace(kept / arrived.name)
    finally:
        with suppress(FileNotFoundError):
            rmtree(arriving)


def _for(platform: WheelPlatform) -> list[str]:
    """What tells pip to choose for another machine; the oldest glibc that its packages were built for comes last."""
    tags = [f"manylinux_{tag}_{platform.architecture}" for tag in ("2_28", "2_27", "2_17")]
    return [
        "--python-version", platform.python, "--implementation", "cp",
        *(word for tag in tags for word in ("--platform", tag)),
    ]  # fmt: skip


def _download(
    name: str, version: str, digests: Sequence[str], place: Path, *, source: bool, platform: WheelPlatform | None
) -> Path:
    place.mkdir()
    wanted = place / "requirements.txt"
    hashes = " ".join(f"--hash=sha256:{digest}" for digest in digests)
    wanted.write_text(f"{name}=={version} {hashes}\n", encoding="ascii")
    done = run([
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--no-binary" if source else "--only-binary", name, "--require-hashes", "--dest", place,
        "--requirement", wanted, *(_for(platform) if platform else ()),
    ])  # fmt: skip
    wanted.unlink()
    arrived = sorted(place.iterdir())
    if done.status or len(arrived) != 1:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise NetworkError(
            f"pip cannot fetch {name} {version}: {said[-1]}",
            hint=f"check pip's index, or copy the archive of that version to {home() / 'vendor'}",
        )
    return arrived[0]
