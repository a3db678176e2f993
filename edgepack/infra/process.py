"""The one place that starts programs: argument lists only, no shell, foreign failures translated."""

import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True, kw_only=True, slots=True)
class Completed:
    """What a finished program left: exit status (negative: the signal that ended it) and its text."""

    status: int
    stdout: str
    stderr: str


class ProgramMissing(Exception):
    """The program is not installed here."""


class ProgramTimeout(Exception):
    """The program did not end in time and was killed."""


def find_program(name: str) -> Path | None:
    """Where PATH has `name`, if it does."""
    found = shutil.which(name)
    return Path(found) if found else None


def run(
    arguments: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    text_in: str | None = None,
    timeout: float | None = None,
) -> Completed:
    """Run a program to its end and return what it left.

    `timeout` is in seconds. Raises ProgramMissing and ProgramTimeout; a non-zero status is not an exception.
    """
    try:
        done = subprocess.run(
            [str(argument) for argument in arguments],
            cwd=cwd, env=environment, input=text_in, timeout=timeout,
            stdin=subprocess.DEVNULL if text_in is None else None,
            capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise ProgramMissing(str(arguments[0])) from error
    except subprocess.TimeoutExpired as error:
        raise ProgramTimeout(f"{arguments[0]}: no end after {timeout} s") from error
    return Completed(status=done.returncode, stdout=done.stdout, stderr=done.stderr)


_CHUNK = 1 << 18
_LONGEST_COMPLAINT = 1 << 16
"""Bytes of stderr that are kept, the last ones."""
_LOOK = 0.05
"""Seconds between two looks at whether a program has ended."""
_GRACE = 10.0
"""Seconds for a program to end that has closed its stdout."""


class Running:
    """A program at work and its three pipes; nothing here takes longer than it is told to."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        self._process = process
        self._in, self._out, self._err = process.stdin, process.stdout, process.stderr
        self._selector = selectors.DefaultSelector()
        for stream in (self._in, self._out, self._err):
            os.set_blocking(stream.fileno(), False)
        for stream in (self._out, self._err):
            self._selector.register(stream, selectors.EVENT_READ)
        self._unsent = bytearray()
        self._complaints = bytearray()
        self.ended = False
        """Whether stdout has come to its end."""

    @property
    def unsent(self) -> int:
        """Bytes that the program has not taken yet."""
        return len(self._unsent)

    @property
    def complaints(self) -> str:
        """What came on stderr so far, the last of it where it was much."""
        return self._complaints.decode(errors="replace")

    def send(self, data: bytes) -> None:
        """Put `data` behind what waits for the program's stdin; `exchange` brings it there."""
        if data and not self._in.closed:
            if not self._unsent:
                self._selector.register(self._in, selectors.EVENT_WRITE)
            self._unsent += data

    def end_input(self) -> None:
        """Close the program's stdin now; what waits for it is dropped."""
        if self._unsent:
            self._selector.unregister(self._in)
            self._unsent.clear()
        self._in.close()

    def exchange(self, wait: float) -> bytes:
        """Move what can be moved, after at most `wait` seconds; what came on stdout, nothing where none did."""
        arrived = b""
        for key, _ in self._selector.select(wait):
            if key.fileobj is self._in:
                self._push_on()
            elif key.fileobj is self._out:
                arrived = self._take(self._out)
                self.ended = not arrived
            else:
                self._hear(self._take(self._err))
        return arrived

    def wait(self, seconds: float) -> int | None:
        """The exit status, None where the program has not ended in time."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(seconds)
        return None

    def finish(self, grace: float) -> int:
        """Close stdin, give the program `grace` seconds to end, else kill it with its group; its exit status.

        What it still writes is dropped, so that it is not held up by that.
        """
        self.end_input()
        until = time.monotonic() + grace
        while self._process.poll() is None and (left := until - time.monotonic()) > 0:
            if self.ended:
                self.wait(left)
            else:
                self.exchange(min(left, _LOOK))
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        status = self._process.wait()
        with suppress(BlockingIOError):
            self._hear(os.read(self._err.fileno(), _CHUNK))
        self._selector.close()
        self._out.close()
        self._err.close()
        return status

    def _push_on(self) -> None:
        try:
            sent = os.write(self._in.fileno(), self._unsent[:_CHUNK])
        except BrokenPipeError:
            self.end_input()
            return
        del self._unsent[:sent]
        if not self._unsent:
            self._selector.unregister(self._in)

    def _take(self, stream: IO[bytes]) -> bytes:
        data = os.read(stream.fileno(), _CHUNK)
        if not data:
            self._selector.unregister(stream)
        return data

    def _hear(self, complaint: bytes) -> None:
        self._complaints += complaint
        del self._complaints[:-_LONGEST_COMPLAINT]


def start(arguments: Sequence[str | Path], *, environment: Mapping[str, str] | None = None) -> Running:
    """Start a program in a session of its own, where the terminal's ^C does not reach it. Raises ProgramMissing."""
    try:
        process = subprocess.Popen(
            [str(argument) for argument in arguments], bufsize=0, env=environment, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise ProgramMissing(str(arguments[0])) from error
    return Running(process)


def follow(
    arguments: Sequence[str | Path], *, on_line: Callable[[str], None], environment: Mapping[str, str] | None = None
) -> Completed:
    """Run a program to its end, telling `on_line` each line of its stdout as it comes.

    It and all it started are killed when an exception, ^C among them, leaves here. `stdout` is its last 64 KiB.
    Raises ProgramMissing.
    """
    running = start(arguments, environment=environment)
    heard, rest = b"", b""
    try:
        running.end_input()
        while not running.ended:
            arrived = running.exchange(_LOOK)
            heard = (heard + arrived)[-_LONGEST_COMPLAINT:]
            *lines, rest = (rest + arrived).split(b"\n")
            for line in lines:
                on_line(line.decode(errors="replace"))
    except BaseException:
        running.finish(0)
        raise
    status = running.finish(_GRACE)
    return Completed(status=status, stdout=heard.decode(errors="replace"), stderr=running.complaints)
