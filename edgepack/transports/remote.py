"""A command that runs on a device while the caller does other things; a thread keeps its connection alive."""

import io
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Self

from edgepack.domain.errors import DeviceError
from edgepack.transports.failures import DeviceTimeoutError
from edgepack.transports.session import Session
from edgepack.transports.shell import Shell

_LONGEST_LINE = 1 << 20
"""Bytes; a longer one is passed on in parts."""
_MOST_LINES = 10_000
"""That are kept for who has not read them yet."""


class RemoteCommand:
    """One command's session, stepped by a thread of its own; see protocol.Remote."""

    def __init__(self, shell: Shell, session: Session, what: str) -> None:
        self._shell = shell
        self._session = session
        self._what = f"{shell.link.device}: {what}"
        self._lines: queue.Queue[str | None] = queue.Queue(_MOST_LINES)
        self._stopping = threading.Event()
        self._status = 0
        self._error: DeviceError | None = None
        self._thread = threading.Thread(target=self._attend, name=f"edgepack {what}", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def lines(self, timeout: float) -> Iterator[str]:
        while True:
            try:
                line = self._lines.get(timeout=timeout)
            except queue.Empty:
                raise self._late(timeout, "silent for") from None
            if line is None:
                self._keep(None)  # For whoever asks again.
                self.wait(timeout)
                return
            yield line

    def wait(self, timeout: float) -> int:
        self._thread.join(timeout)
        if self.running:
            raise self._late(timeout, "no end after")
        if self._error:
            raise self._error
        return self._status

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _late(self, seconds: float, how: str) -> DeviceTimeoutError:
        return DeviceTimeoutError(
            f"{self._what}: {how} {seconds:g} s",
            hint="see what keeps the device busy, or give it more time",
        )

    def _attend(self) -> None:
        """Hear the command out; the thread's whole life."""
        try:
            rest = io.BytesIO(self._hear())
            self._status = self._shell.ended(self._session.ending(rest)).status
            if last_words := rest.getvalue():
                self._pass_on(last_words)
        except DeviceError as error:
            self._error = error
        finally:
            self._session.close()
            self._keep(None)

    def _hear(self) -> bytes:
        """Pass on line after line; what is left at the end, the session's last word in it."""
        rest = b""
        told_at = None
        while not self._session.over:
            rest = self._sort(rest + self._session.step())
            if self._session.stalled:
                raise self._session.lost()
            if self._stopping.is_set() and told_at is None:
                told_at = time.monotonic()
                self._session.stop()
            if told_at and time.monotonic() > told_at + self._shell.patience.grace:
                break
        return rest

    def _sort(self, heard: bytes) -> bytes:
        """Pass on the whole lines but the one with the session's word; what follows them."""
        *lines, rest = heard.split(b"\n")
        for number, line in enumerate(lines):
            if self._session.word.encode() in line:
                return b"\n".join([*lines[number:], rest])
            self._pass_on(line)
        if len(rest) > _LONGEST_LINE:
            self._pass_on(rest)
            return b""
        return rest

    def _pass_on(self, line: bytes) -> None:
        self._keep(line.decode(errors="replace"))

    def _keep(self, line: str | None) -> None:
        """For who reads; where nobody does, the oldest line makes place."""
        while True:
            with suppress(queue.Full):
                self._lines.put_nowait(line)
                return
            with suppress(queue.Empty):
                self._lines.get_nowait()
