"""One conversation with a device's shell: a script, its input, signs of life while it runs, and how it ended.

The script goes over the connection's input, never on a command line: no length limits it, no login shell reads
it, nobody sees it in a list of processes. What marks its begin and end is a word that is new each time.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import SEEK_END
from secrets import token_hex
from typing import BinaryIO

from edgepack.domain.errors import DeviceError
from edgepack.infra.process import ProgramMissing, start
from edgepack.transports.failures import LostError, RefusedError, UnreachableError, last_line
from edgepack.transports.protocol import Link, Patience

# Read by whatever shell the login has: no single quote, no newline in it. `read` takes no byte too many. A script
# that comes in part is no script: it is one function and, last, its call. Where read knows -t (dash's does not), a
# connection that dies before the script has come leaves no shell that waits for it.
_BOOTSTRAP = "; ".join(
    (
        "stty raw -echo 2>/dev/null",
        '(echo | read -t 9 t) 2>/dev/null && t="-t {silence}" || t=',
        "echo {word}",
        'n=$(printf "\\n.")',
        "s=",
        'while IFS= read $t -r l; do [ "$l" = {word} ] && break; s="$s$l${{n%.}}"; done',
        'eval "$s"',
    )
)
_CHUNK = 1 << 18
_LOOK = 0.2
"""Seconds between two looks at the clock."""
_LONGEST_ENDING = 64
_LONGEST_GREETING = 1 << 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """The last line that came: `kind` is a letter of guard.sh's, `stderr` what the command left there."""

    kind: str
    status: int
    stderr: bytes


def new_word() -> str:
    """What marks one session's begin and end, and names its run."""
    return token_hex(8)


class Session:
    """One program of the link's at work; `step` until it is over, then ask for its `ending`."""

    def __init__(self, link: Link, patience: Patience, word: str) -> None:
        self.word = word
        self._link = link
        self._patience = patience
        self._source: BinaryIO | None = None
        self._feeding = self._closed = False
        self._beats = 0
        try:
            script = _BOOTSTRAP.format(word=word, silence=patience.silence)
            self._program = start(link.arguments(f"exec sh -c '{script}'"))
        except ProgramMissing as error:
            raise RefusedError(f"{link.device}: {error} is not installed here", hint=f"install {error}") from error
        try:
            self._await_shell()
        except BaseException:
            self.close(0)
            raise
        self._next_beat = self.fed_at = time.monotonic()

    @property
    def over(self) -> bool:
        """Whether all has come that will."""
        return self._program.ended

    fed_at: float
    """When the last byte of the input was taken, on the monotonic clock."""

    @property
    def stalled(self) -> bool:
        """Whether input waits, and none was taken for too long."""
        return self._feeding and time.monotonic() - self.fed_at > self._patience.stall

    def begin(self, script: str, source: BinaryIO | None = None) -> None:
        """Send the script, and after it the bytes of `source`."""
        self._program.send(script.encode(errors="surrogateescape") + f"\n{self.word}\n".encode())
        self._source = source
        self._feeding = True

    def step(self, moved: Callable[[int], None] = lambda _: None) -> bytes:
        """Move what can be moved; what arrived. `moved` is told the bytes of script and source that were taken."""
        self._refill()
        before = self._program.unsent
        arrived = self._program.exchange(_LOOK)
        if self._feeding and (taken := before - self._program.unsent):
            self.fed_at = time.monotonic()
            moved(taken)
        return arrived

    def stop(self) -> None:
        """Have the guard end its command; the ending still comes, unless this falls into the input."""
        if self._feeding:
            self._program.end_input()
        else:
            self._program.send(b"stop\n")

    def ending(self, heard: BinaryIO) -> Ending:
        """How it ended, taken off the end of what was `heard`. Raises LostError where there is no such end."""
        size = heard.seek(0, SEEK_END)
        heard.seek(max(0, size - _LONGEST_ENDING))
        found = re.search(rb"%s ([cip]) (\d{3}) (\d{10})\n" % self.word.encode(), heard.read())
        if not found:
            raise self.lost()
        start_of_stderr = max(0, max(0, size - _LONGEST_ENDING) + found.start() - int(found[3]))
        heard.seek(start_of_stderr)
        stderr = heard.read(int(found[3]))
        heard.truncate(start_of_stderr)
        return Ending(kind=found[1].decode(), status=int(found[2]), stderr=stderr)

    def lost(self) -> DeviceError:
        """Why nothing came any more, after closing."""
        self.close()
        self._link.drop()
        words = self._program.complaints
        reason = f": {last_line(words)}" if last_line(words) else ""
        return LostError(
            f"{self._link.device}: the connection went away{reason}",
            hint="check the device's power, network or cable, and run it again",
        )

    def close(self, grace: float | None = None) -> None:
        """Close the connection's input, at which the guard ends whatever still runs."""
        if not self._closed:
            self._closed = True
            self._program.finish(self._patience.grace if grace is None else grace)

    def _refill(self) -> None:
        if self._source and self._program.unsent < _CHUNK:
            chunk = self._source.read(_CHUNK)
            self._program.send(chunk)
            self._source = self._source if chunk else None
        if self._feeding:
            self._feeding = self._source is not None or self._program.unsent > 0
        elif time.monotonic() >= self._next_beat:
            self._beats += 1
            self._next_beat = time.monotonic() + self._patience.beat
            self._program.send(b"%d\n" % self._beats)

    def _await_shell(self) -> None:
        """Read up to the word; what a login's own scripts print before it is none of ours."""
        until = time.monotonic() + self._patience.connect
        greeting = b""
        while f"{self.word}\n".encode() not in greeting:
            if f"{self.word}\r\n".encode() in greeting:
                raise RefusedError(
                    f"{self._link.device}: its adb shell changes line ends, and has no stty to stop it",
                    hint="use a device with Android 7 or newer, or put busybox's stty on the device's PATH",
                )
            if self._program.ended or time.monotonic() > until:
                raise self._unready()
            greeting = (greeting + self._program.exchange(_LOOK))[-_LONGEST_GREETING:]

    def _unready(self) -> DeviceError:
        ended = self._program.ended
        self.close(0 if not ended else None)
        self._link.drop()
        complaints = self._program.complaints
        if told := self._link.failure(complaints):
            return told
        if not ended:
            return UnreachableError(
                f"{self._link.device}: no word from its shell in {self._patience.connect:.0f} s",
                hint="check that the device is not overloaded, and run it again",
            )
        said = last_line(complaints) or "it said nothing"
        return UnreachableError(
            f"{self._link.device}: connected, but no shell answered: {said}",
            hint="log in by hand and see whether `sh -c 'echo ok'` works there",
        )
