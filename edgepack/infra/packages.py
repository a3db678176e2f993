"""Pinned packages by this interpreter's pip, from whatever index it is configured for; nothing is installed."""

import sys
from collections.abc import Sequence
from pathlib import Path

from edgepack.domain.errors import NetworkError
from edgepack.infra.process import run
from edgepack.infra.store import home


def download(name: str, version: str, digests: Sequence[str], place: Path, *, source: bool) -> Path:
    """Bring the one archive of `name`, whose sha256 is among `digests`, into the new directory `place`.

    `source`: its source archive; else the wheel for this machine. Raises NetworkError where pip has none.
    """
    place.mkdir()
    wanted = place / "requirements.txt"
    hashes = " ".join(f"--hash=sha256:{digest}" for digest in digests)
    wanted.write_text(f"{name}=={version} {hashes}\n", encoding="ascii")
    done = run([
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--no-binary" if source else "--only-binary", name, "--require-hashes", "--dest", place,
        "--requirement", wanted,
    ])  # fmt: skip
    wanted.unlink()
    arrived = sorted(place.iterdir())
    if done.status or len(arrived) != 1:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise NetworkError(
            f"pip cannot fetch {name} {version}: {said[-1]}",
            hint=f"check pip's index, or copy the archive that vendor/pins.toml names to {home() / 'vendor'}",
        )
    return arrived[0]
