"""A device's shell behind a link: guarded commands, connections made again. It knows no way that leads there."""

import io
import time
from collections.abc import Callable, Sequence
from typing import BinaryIO, TypeVar

from edgepack.domain.errors import DeviceError
from edgepack.domain.progress import Progress
from edgepack.infra.process import Completed
from edgepack.transports import scripts
from edgepack.transports.failures import DeviceTimeoutError, LostError, RefusedError, UnreachableError, last_line
from edgepack.transports.protocol import MINUTE, Link, Patience
from edgepack.transports.scripts import Intake
from edgepack.transports.session import Ending, Session, new_word

T = TypeVar("T")

_LONGEST_OUTPUT = 1 << 26
"""Bytes of a command's stdout; more is a mistake, or belongs into a file and a pull."""

_SLOWEST_READING = 4e6
"""Bytes/s: an armv6 core with busybox's sha256sum does about twice that."""


class Shell:
    """Conversations with one device, one after the other or several at once, over connections that may break."""

    def __init__(self, link: Link, *, root: str, progress: Progress, patience: Patience) -> None:
        """Greet the device: choose a place there, below `root` if one is given, and sweep it."""
        self.link = link
        self.patience = patience
        self.progress = progress
        progress.step(f"connecting to {link.device}")
        link.connect()
        self.root, self.has_sha256sum = self._greet(root)

    def run(
        self,
        argv: Sequence[str],
        *,
        intake: Intake | None = None,
        timeout: float = MINUTE,
        moved: Callable[[int], None] = lambda _: None,
    ) -> Completed:
        """Run a guarded command once, after as many attempts as it takes to reach the device."""
        with io.BytesIO() as heard:
            status, stderr = self.collect(argv, heard, intake=intake, timeout=timeout, moved=moved)
            stdout = heard.getvalue()
        return Completed(status=status, stdout=stdout.decode(errors="replace"), stderr=stderr)

    def ask(self, argv: Sequence[str], *, timeout: float = MINUTE) -> Completed:
        """Run a command that may as well run twice, again where the connection was lost."""
        return self.persist(lambda: self.run(argv, timeout=timeout))

    def insist(self, argv: Sequence[str], *, timeout: float = MINUTE) -> Completed:
        """As `ask`; a command that fails is an error."""
        return self.accept(self.ask(argv, timeout=timeout))

    def accept(self, done: Completed) -> Completed:
        """What a command of ours left, unless it failed."""
        if done.status:
            raise RefusedError(
                f"{self.link.device}: {last_line(done.stderr) or f'a command ended with status {done.status}'}",
                hint=f"see there who owns {self.root}, and whether the disk is full (df) or read-only (mount)",
            )
        return done

    def fetch(self, argv: Sequence[str]) -> bytes:
        """The bytes that a command prints; one that fails is an error."""
        with io.BytesIO() as heard:
            status, stderr = self.collect(argv, heard)
            self.accept(Completed(status=status, stdout="", stderr=stderr))
            return heard.getvalue()

    def survey(self, place: str, part: str = "") -> tuple[int, int, int]:
        """Bytes of the files `place` and `part`, -1 where there is none; bytes that are free for edgepack's files."""
        seen = self.insist(scripts.survey(place, part, self.root))
        size, begun, free = (int(word) for word in seen.stdout.split())
        return size, begun, free * 1024

    def collect(
        self,
        argv: Sequence[str],
        heard: BinaryIO,
        *,
        intake: Intake | None = None,
        timeout: float = MINUTE,
        limit: int = _LONGEST_OUTPUT,
        moved: Callable[[int], None] = lambda _: None,
    ) -> tuple[int, str]:
        """The status and stderr of a guarded command whose stdout goes to `heard`, `limit` bytes at most.

        `moved` is told the bytes of the input as they are taken.
        """
        session = self.begin(argv, intake=intake)
        try:
            ending = self._hear_out(session, heard, what=argv[0], timeout=timeout, limit=limit, moved=moved)
        finally:
            session.close()
        return ending.status, ending.stderr.decode(errors="replace")

    def begin(self, argv: Sequence[str], *, intake: Intake | None = None, merged: bool = False) -> Session:
        """A session in which the guarded command begins; the caller steps and closes it."""
        word = new_word()
        script = scripts.guarded(
            argv, word=word, root=self.root, period=self.patience.silence, intake=intake, merged=merged
        )
        session = self._open(word)
        session.begin(script, intake.source if intake else None)
        return session

    def ended(self, ending: Ending) -> Ending:
        """The ending, unless it tells that the command never began."""
        match ending.kind:
            case "p":
                raise RefusedError(
                    f"{self.link.device}: no directory can be made below {self.root}",
                    hint="see there whether the disk is full (df) or read-only (mount)",
                )
            case "i":
                raise LostError(
                    f"{self.link.device}: the input did not arrive in full below {self.root}",
                    hint="see there whether the disk is full (df), and run it again",
                )
        return ending

    def persist(self, work: Callable[[], T], *, fruitful: Callable[[], bool] = lambda: False) -> T:
        """The result of work that may be done twice, after as many attempts as patience allows.

        Where an attempt was `fruitful` although the connection was lost, the attempts are counted anew.
        """
        return self._again(work, LostError, fruitful)

    def _open(self, word: str) -> Session:
        def attempt() -> Session:
            self.link.connect()
            return Session(self.link, self.patience, word)

        return self._again(attempt, UnreachableError, lambda: False)

    def _again(self, work: Callable[[], T], passing: type[DeviceError], fruitful: Callable[[], bool]) -> T:
        pause, left = self.patience.first_wait, self.patience.attempts
        while True:
            try:
                return work()
            except passing as error:
                if fruitful():
                    pause, left = self.patience.first_wait, self.patience.attempts
                left -= 1
                if left <= 0:
                    raise
                self.progress.warn(f"{error.what}; another attempt in {pause:g} s")
            time.sleep(pause)
            pause = min(2 * pause, self.patience.longest_wait)

    def _hear_out(
        self,
        session: Session,
        heard: BinaryIO,
        *,
        what: str,
        timeout: float,
        limit: int,
        moved: Callable[[int], None] = lambda _: None,
    ) -> Ending:
        size = 0
        while not session.over:
            arrived = session.step(moved)
            size += len(arrived)
            heard.write(arrived)
            if session.stalled:
                raise session.lost()
            if size > limit:
                raise RefusedError(
                    f"{self.link.device}: {what}: more than {limit} bytes of output",
                    hint="let it write to a file, and pull that",
                )
            if time.monotonic() > session.fed_at + timeout:
                self._end(session)
                raise self._late(what, timeout)
        return self.ended(session.ending(heard))

    def _end(self, session: Session) -> None:
        """Have the guard end the command, for as long as grace lasts."""
        session.stop()
        until = time.monotonic() + self.patience.grace
        while not session.over and time.monotonic() < until:
            session.step()

    def _late(self, what: str, timeout: float) -> DeviceTimeoutError:
        return DeviceTimeoutError(
            f"{self.link.device}: {what}: no end after {timeout:g} s; it was stopped",
            hint="see what keeps the device busy, or give it more time",
        )

    def _greet(self, wanted: str) -> tuple[str, bool]:
        """The place on the device, and whether it has sha256sum."""
        session = Session(self.link, self.patience, new_word())
        try:
            session.begin(scripts.hello(word=session.word, wanted=wanted))
            with io.BytesIO() as heard:
                ending = self._hear_out(session, heard, what="sh", timeout=MINUTE, limit=_LONGEST_OUTPUT)
                lines = heard.getvalue().decode(errors="replace").splitlines()
        finally:
            session.close()
        if ending.status:
            raise RefusedError(
                f"{self.link.device}: nowhere to put files that may also run: tried {', '.join(lines)}",
                hint="set EDGEPACK_HOME there to a directory on a disk that is neither read-only nor noexec",
            )
        return lines[0], bool(lines[1])


def time_to_read(size: int) -> float:
    """Seconds that a slow device may take to read and digest so many bytes."""
    return MINUTE + size / _SLOWEST_READING
