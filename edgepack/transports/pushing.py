"""A file brought to the device: it goes on where it was cut, and has its name only when it is whole."""

from pathlib import Path

from edgepack.domain.errors import NoSpaceError
from edgepack.domain.progress import Bar
from edgepack.infra.digests import sha256_of
from edgepack.infra.process import Completed
from edgepack.transports import scripts
from edgepack.transports.failures import GarbledError
from edgepack.transports.pulling import digest_by_reading
from edgepack.transports.scripts import BLOCK, Intake
from edgepack.transports.shell import Shell, time_to_read

_PIECE = 1 << 30
"""Bytes in one go: counts of 32 bits are the largest that old heads and shells are sure to have."""
_HEADROOM = 1 << 22
"""Bytes for directories and the disk's own books."""
_ANOTHER_FILE = 65
"""settle.sh's status."""
_UNDERWAY = 240.0
"""Seconds for what ssh and the network hold when the last byte was taken here: 8 MB at 32 kB/s."""
_FRUITFUL = 1 << 20
"""Bytes that an attempt must bring for the attempts to be counted anew."""


class Push:
    """One file on its way to its place on the device, over as many connections as it takes."""

    def __init__(self, shell: Shell, source: Path, *, sha256: str, executable: bool, bar: Bar) -> None:
        self._shell = shell
        self._source = source
        self._sha256 = sha256
        self._mode = "755" if executable else "644"
        self._bar = bar
        self._size = source.stat().st_size
        self._time = time_to_read(self._size)
        self._shown = self._begun = 0
        self._fruitful = False
        self.place = f"{shell.root}/files/{sha256}"
        self._part = f"{self.place}.part"

    def bring(self) -> None:
        """Have the file in its place. Raises LostError, NoSpaceError, GarbledError."""
        for _ in range(2):
            if self._shell.persist(self._attempt, fruitful=lambda: self._fruitful):
                return
            self._blame_source()
        raise GarbledError(
            f"{self._shell.link.device}: {self._source.name}: twice it arrived as another file than it was sent",
            hint="check the device's disk (dmesg) and cable, and run it again",
        )

    def _attempt(self) -> bool:
        """Bring what is missing; False where what lies there then is another file, and is gone again."""
        self._fruitful = False
        whole, begun, free = self._shell.survey(self.place, self._part)
        if whole == self._size:
            self._shell.insist(["chmod", self._mode, self.place])
            self._show(self._size)
            return True
        if wrong := self._wrong(whole, begun):
            self._shell.insist(["rm", "-f", *wrong])
        begun = 0 if begun > self._size else max(0, begun)
        self._fruitful = begun - self._begun >= _FRUITFUL
        self._begun = begun
        self._require_space(self._size - begun, free)
        self._show(begun)
        return self._bring_rest(begun // BLOCK * BLOCK)

    def _wrong(self, whole: int, begun: int) -> list[str]:
        """What cannot be right: a disk has lost some of it."""
        return [*([self.place] if whole >= 0 else []), *([self._part] if begun > self._size else [])]

    def _require_space(self, missing: int, free: int) -> None:
        if missing + _HEADROOM > free:
            raise NoSpaceError(
                f"{self._shell.link.device}: {self._source.name}: {missing / 1e6:,.1f} MB to bring, "
                f"{free / 1e6:,.1f} MB free below {self._shell.root}",
                hint="free some space there, or set EDGEPACK_HOME there to a directory on a larger disk",
            )

    def _bring_rest(self, at: int) -> bool:
        while self._size - at > _PIECE:
            self._shell.accept(self._send(at, _PIECE, ["true"]))
            at += _PIECE
        if self._shell.has_sha256sum:
            return self._settled(self._send(at, self._size - at, self._settle(self._sha256)))
        self._shell.accept(self._send(at, self._size - at, ["true"]))
        if digest_by_reading(self._shell, self._part, self._size) != self._sha256:
            self._shell.insist(["rm", "-f", self._part])
            return False
        return self._settled(self._shell.ask(self._settle(""), timeout=self._time))

    def _settle(self, sha256: str) -> list[str]:
        return scripts.settle(self._part, self.place, mode=self._mode, sha256=sha256)

    def _settled(self, done: Completed) -> bool:
        if done.status == _ANOTHER_FILE:
            return False
        self._shell.accept(done)
        return True

    def _send(self, at: int, size: int, then: list[str]) -> Completed:
        sent = 0

        def moved(count: int) -> None:
            nonlocal sent
            sent += count
            self._show(at + min(sent, size))

        with self._source.open("rb") as file:
            file.seek(at)
            intake = Intake(source=file, size=size, into=self._part, begin=at)
            return self._shell.run(then, intake=intake, timeout=self._time + _UNDERWAY, moved=moved)

    def _show(self, position: int) -> None:
        """Bytes that are sent again are not shown again."""
        if position > self._shown:
            self._bar.advance(position - self._shown)
            self._shown = position

    def _blame_source(self) -> None:
        if sha256_of(self._source) != self._sha256:
            raise GarbledError(
                f"{self._source}: no longer the file whose sha256 begins with {self._sha256[:12]}",
                hint="let nothing change it, and run it again",
            )


def push(shell: Shell, source: Path, *, sha256: str, executable: bool) -> str:
    """Bring a file to the device, unless it is there; its path there."""
    size = source.stat().st_size
    with shell.progress.bar(f"push {source.name}", size, "B") as bar:
        one = Push(shell, source, sha256=sha256, executable=executable, bar=bar)
        one.bring()
    return one.place
