"""Programs of other projects that write their own formats: called here, and what they lack or refuse said here."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgepack.domain.errors import BadInputError, UsageError
from edgepack.infra.process import ProgramMissing, run

DEBIAN_PACKAGES = {
    "mksquashfs": "squashfs-tools", "dpkg-deb": "dpkg", "rauc": "rauc squashfs-tools", "cpio": "cpio",
    "openssl": "openssl",
}  # fmt: skip
"""Where a Debian or Ubuntu has them."""


def call(
    words: Sequence[str | Path], *, cwd: Path | None = None, environment: Mapping[str, str] | None = None,
    text_in: str | None = None,
) -> str:  # fmt: skip
    """Run a program to its end and return its stdout.

    Raises UsageError where it is not installed, BadInputError with its own last line where it refuses.
    """
    name = str(words[0])
    try:
        done = run(words, cwd=cwd, environment=environment, text_in=text_in)
    except ProgramMissing as error:
        hint = f"install it (Debian, Ubuntu: apt-get install {DEBIAN_PACKAGES[name]})"
        raise UsageError(f"{name} is not installed", hint=hint) from error
    if done.status:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"it ended with {done.status}"]
        raise BadInputError(f"{name}: {said[-1]}", hint="see what it says; check key, certificate and free space")
    return done.stdout
