"""Where two files are alike: content-defined chunks, whose borders move with what is inserted (FastCDC).

The one file that knows the chunking library.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from edgepack.domain.delta import Copy, Data, Piece

_AVERAGE = 64 << 10
"""Bytes of a chunk, about: a changed weight costs so much, and a gigabyte has 16,000 of them."""
_LEAST_COPY = 256 << 10
"""Bytes: a shorter run that two files share is brought anew, since a device's shell copies each run by itself."""


@dataclass(slots=True)
class _Run:
    """Bytes of a file from `offset` on, and where another has the same."""

    offset: int
    size: int
    place: tuple[str, int] | None

    def goes_on(self, place: tuple[str, int] | None) -> bool:
        if self.place is None or place is None:
            return self.place is place
        return place == (self.place[0], self.place[1] + self.size)


class Alike:
    """The chunks of some files, by content."""

    def __init__(self, files: Sequence[tuple[str, Path]]) -> None:
        """`files` are names and where they lie; of what several have, the first is taken."""
        self._places: dict[bytes, tuple[str, int]] = {}
        for name, path in files:
            for offset, _, digest in _chunks(path):
                self._places.setdefault(digest, (name, offset))

    def pieces(self, path: Path) -> tuple[Piece, ...]:
        """The file as runs that the others have, and runs that they have not; the latter's offsets are its own."""
        runs: list[_Run] = []
        for offset, size, digest in _chunks(path):
            _append(runs, _Run(offset, size, self._places.get(digest)))
        joined: list[_Run] = []
        for run in runs:
            if run.size < _LEAST_COPY:
                run.place = None
            _append(joined, run)
        return tuple(_piece(run) for run in joined)


def _append(runs: list[_Run], run: _Run) -> None:
    """Put a run behind the others, or make the last one longer."""
    if runs and runs[-1].goes_on(run.place):
        runs[-1].size += run.size
    else:
        runs.append(run)


def _piece(run: _Run) -> Piece:
    if run.place is None:
        return Data(offset=run.offset, size=run.size)
    return Copy(path=run.place[0], offset=run.place[1], size=run.size)


def _chunks(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Offset, size and digest of each; nothing of an empty file."""
    from pyfastcdc import FastCDC

    if not path.stat().st_size:
        return
    for chunk in FastCDC(avg_size=_AVERAGE).cut_file(path):
        yield chunk.offset, chunk.length, blake2b(chunk.data, digest_size=32).digest()
