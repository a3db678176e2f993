"""SHA256SUMS as `sha256sum -c` reads it: digests by path, sorted; it does not know what the files are."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from edgepack.domain.bundle import is_safe_path, is_sha256
from edgepack.domain.errors import VerificationError

CHUNK = 4 << 20
"""Bytes read at once."""


def sums_text(digests: Mapping[str, str]) -> str:
    """One line a path, two spaces between digest and path, sorted by path."""
    return "".join(f"{digests[path]}  {path}\n" for path in sorted(digests))


def parse_sums(text: str, *, subject: str) -> dict[str, str]:
    """The digests by path.

    Raises VerificationError naming the line where the text is not exactly what `sums_text` writes.
    """
    digests: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        digest, gap, path = line[:64], line[64:66], line[66:]
        if not is_sha256(digest) or gap != "  " or not is_safe_path(path):
            raise _damaged(subject, f"line {number} is not a digest and a path")
        digests[path] = digest
    if sums_text(digests) != text:
        raise _damaged(subject, "not sorted, a path twice, or cut short")
    return digests


def _damaged(subject: str, what: str) -> VerificationError:
    return VerificationError(f"{subject}: {what}", hint="delete the bundle and make or copy it again")


def file_chunks(path: Path) -> Iterable[bytes]:
    """A file's bytes, in pieces."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
