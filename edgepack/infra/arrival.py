"""A file on its way to this machine: the part that is here, digested as it grows. Knows no network."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha1, sha256
from pathlib import Path

from edgepack.domain.progress import Bar

_PIECE = 1 << 20
_GIT_DIGITS = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteFile:
    """A file as the hub lists it: bytes, and 64 digits of its sha256 or 40 of its git blob."""

    name: str
    size: int
    digest: str


class TooLongError(Exception):
    """More bytes came than the hub lists."""


class Arrival:
    """The part of `file` at `path`, from now on; what lies there already counts, if it is not too long."""

    def __init__(self, file: RemoteFile, path: Path, bar: Bar) -> None:
        self.file = file
        self.path = path
        self._bar = bar
        self._begin()
        if path.is_file() and path.stat().st_size <= file.size:
            with path.open("rb") as part:
                while piece := part.read(_PIECE):
                    self._count(piece)
        else:
            self.path.unlink(missing_ok=True)

    @property
    def size(self) -> int:
        """Bytes here."""
        return self._size

    @property
    def whole(self) -> bool:
        """Whether as many bytes are here as the hub lists."""
        return self._size == self.file.size

    @property
    def right(self) -> bool:
        """Whether they are all here, and the right ones."""
        return self.whole and (self._git or self._sha256).hexdigest() == self.file.digest

    @property
    def sha256(self) -> str:
        """Of what is here."""
        return self._sha256.hexdigest()

    def append(self, pieces: Iterable[bytes]) -> None:
        """Write the pieces behind what is here; TooLongError before one that would be too much."""
        with self.path.open("ab") as part:
            for piece in pieces:
                if self._size + len(piece) > self.file.size:
                    raise TooLongError
                part.write(piece)
                self._count(piece)

    def discard(self) -> None:
        """Delete what is here, and begin anew."""
        self.path.unlink(missing_ok=True)
        self._bar.advance(-self._size)
        self._begin()

    def _begin(self) -> None:
        self._size = 0
        self._sha256 = sha256()
        # What git names a file by (gitformat-pack: "blob SIZE\0" and the bytes); no protection, a checksum.
        header = b"blob %d\0" % self.file.size
        self._git = sha1(header, usedforsecurity=False) if len(self.file.digest) == _GIT_DIGITS else None

    def _count(self, piece: bytes) -> None:
        self._size += len(piece)
        self._sha256.update(piece)
        if self._git:
            self._git.update(piece)
        self._bar.advance(len(piece))
