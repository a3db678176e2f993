"""Releases in a directory of a device: put together from what was pushed, one of them the current one.

It knows digests and paths, and not what is in the files.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from secrets import token_hex

from edgepack.domain.bundle import PayloadFile
from edgepack.domain.errors import DeviceError, NoSpaceError, UsageError
from edgepack.infra.process import Completed
from edgepack.transports.failures import RefusedError, last_line
from edgepack.transports.protocol import MINUTE, Remote, Transport

_PATIENCE = 20 * MINUTE
"""Seconds; for what copies and syncs gigabytes on a slow card."""
_SOMETHING_ELSE, _NO_SUCH_RELEASE = 65, 66
"""releases.sh's statuses."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """What is there before anything is brought: the current release or "", digests that are missing, free bytes.

    `links` says whether a release shares the pushed files' blocks; `free_here` is the directory's disk, `free_there`
    that of the pushed files, `one_disk` whether they are the same.
    """

    current: str
    missing: frozenset[str]
    links: bool
    free_there: int
    free_here: int
    one_disk: bool


class Releases:
    """One directory of releases on a device; what changes it is done under `held`."""

    def __init__(self, transport: Transport, place: str) -> None:
        self._transport = transport
        self._holder: Remote | None = None
        self.place = place

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else deploys into the directory meanwhile. Raises DeviceError where somebody does."""
        try:
            self._hold()
            yield
        finally:
            if self._holder:
                self._holder.stop()

    def prepare(self, wanted: Sequence[PayloadFile]) -> Room:
        """Sweep what cut deploys left, and look what is there."""
        how, current, there, here, *missing = self._do("prepare", wanted=wanted).stdout.splitlines()
        (free_there, _, disk_there), (free_here, _, disk_here) = there.partition(" "), here.partition(" ")
        return Room(
            current=current, missing=frozenset(missing), links=how == "links", free_there=int(free_there) * 1024,
            free_here=int(free_here) * 1024, one_disk=disk_there == disk_here,
        )  # fmt: skip

    def assemble(self, name: str, wanted: Sequence[PayloadFile]) -> str:
        """A new release of those files, which have been pushed; its name, which ends in `name`."""
        return self._do("assemble", name, wanted=wanted).stdout.strip()

    def switch(self, release: str) -> None:
        """Make it the current one, by one rename."""
        self._do("switch", release)

    def drop(self, release: str) -> None:
        """Remove it, with the pushed files that no other needs."""
        self._do("drop", release)

    def prune(self, keep: int) -> None:
        """Remove those before the current one but the last `keep`."""
        self._do("prune", str(keep))

    def rollback(self) -> tuple[str, str]:
        """Make the one before the current one current; both names."""
        now, before = self._do("rollback").stdout.split()
        return now, before

    def path(self, release: str) -> str:
        """Where it lies on the device."""
        return f"{self.place}/releases/{release}"

    def _hold(self) -> None:
        if self._holder:
            self._holder.stop()
        self._holder = self._transport.start(self._words("hold", token_hex(8)))
        said = next(self._holder.lines(MINUTE), "")
        if said == "busy":
            raise DeviceError(
                f"{self._transport.device}: {self.place}: another deploy is at work there",
                hint="wait for its end, and run it again",
            )
        if said != "held":
            raise self._refused(said or "it cannot be written to")

    def _do(self, what: str, *words: str, wanted: Sequence[PayloadFile] = ()) -> Completed:
        if not self._holder or not self._holder.running:
            # The connection was lost, and the hold with it.
            self._hold()
        lines = (f"{file.sha256} {'755' if file.executable else '644'} {file.path}\n" for file in wanted)
        done = self._transport.run(self._words(what, *words), stdin="".join(lines).encode(), timeout=_PATIENCE)
        if done.status:
            raise self._failure(done)
        return done

    def _words(self, what: str, *words: str) -> list[str]:
        return ["sh", "-c", _script(), "sh", what, self.place, f"{self._transport.root}/files", *words]

    def _failure(self, done: Completed) -> Exception:
        where = f"{self._transport.device}: {self.place}"
        if "No space left" in done.stderr or "quota exceeded" in done.stderr:
            return NoSpaceError(f"{where}: its disk is full", hint="free some space there, or name another with --to")
        if done.status == _SOMETHING_ELSE:
            return UsageError(f"{where}: `current` there is something else", hint="name another directory with --to")
        if done.status == _NO_SUCH_RELEASE:
            return DeviceError(f"{where}: no release before the current one", hint="deploy the bundle that is wanted")
        return self._refused(last_line(done.stderr) or f"a command ended with status {done.status}")

    def _refused(self, why: str) -> RefusedError:
        return RefusedError(
            f"{self._transport.device}: {self.place}: {why}",
            hint="see there who may write to it, or name another directory with --to",
        )


@cache
def _script() -> str:
    text = files("edgepack.transports").joinpath("releases.sh").read_text(encoding="utf-8")
    lines = (line.lstrip() for line in text.splitlines())
    # One line that begins so is a script's that is written there.
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("# "))
