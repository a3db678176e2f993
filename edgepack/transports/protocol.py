"""What a stage may ask of a device, whichever way leads there; and what a way must be able to do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from edgepack.domain.device import Device
from edgepack.domain.errors import DeviceError
from edgepack.infra.process import Completed

MINUTE = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long a struggling connection is borne with; all but `attempts` in seconds."""

    connect: float = 15.0
    """For a connection and the first word of the device's shell."""
    attempts: int = 5
    """In a row that bring nothing; a device that was never reached gets one."""
    first_wait: float = 0.5
    """Before the second attempt; it doubles with each."""
    longest_wait: float = 8.0
    stall: float = 30.0
    """Without a byte taken or given, in the midst of a transfer."""
    beat: float = 5.0
    """Between two signs of life that the device is given."""
    silence: int = 20
    """Between two looks of the device for one; without any it ends the run. POSIX sleep wants whole seconds."""
    grace: float = 5.0
    """For a command that was told to stop, with all it started."""


class Remote(Protocol):
    """A long-running command on a device; it ends when it wants, when it is told to, or with the connection."""

    @property
    def running(self) -> bool:
        """Whether its end has not been heard of yet."""

    def lines(self, timeout: float) -> Iterator[str]:
        """What it writes, stdout and stderr, a line at a time, without line ends; ends when it does.

        Of what nobody reads, the last 10,000 lines are kept. Raises DeviceTimeoutError where it is silent for
        `timeout` seconds, LostError with the connection.
        """

    def wait(self, timeout: float) -> int:
        """Its exit status. Raises DeviceTimeoutError after so many seconds, LostError with the connection."""

    def stop(self) -> None:
        """End it with all that it started: SIGTERM, then SIGKILL; not to be found on the device afterwards."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Transport(Protocol):
    """Commands run on a device, files brought there and back. Not for several threads at once.

    All errors are DeviceError, and NoSpaceError for the device's disk. A lost connection is made again, a few
    times; what was running then is not started again.
    """

    @property
    def device(self) -> Device:
        """Where it leads."""

    @property
    def root(self) -> str:
        """The directory on the device that is edgepack's; programs may run from there."""

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = MINUTE) -> Completed:
        """Run a command to its end, in an empty directory that goes with it; its arguments arrive as they are.

        Nothing of it stays behind: not when it ends, not when the time is up (DeviceTimeoutError), not when the
        connection goes (LostError).
        """

    def start(self, argv: Sequence[str], *, stdin: bytes = b"") -> Remote:
        """Start a command that runs on while other things are done; as `run` in everything else."""

    def push(self, source: Path, *, sha256: str, executable: bool = False) -> str:
        """Bring a file of that digest to the device, unless it is there; its path there, named by the digest.

        A push that was cut goes on where it stopped, now or in a later run. The file has its name only when
        the device's digest of it is `sha256`. Raises GarbledError where `source` has another.
        """

    def pull(self, place: str, target: Path, *, sha256: str | None = None) -> None:
        """Bring a file from the device; `target` is there only when it is whole.

        It is compared with `sha256`, or with the device's own digest of it.
        """

    def exists(self, place: str) -> bool:
        """Whether there is a file or directory of that path on the device."""

    def remove(self, place: str) -> None:
        """Remove what lies at that path below `root`, if anything does."""

    def free_space(self) -> int:
        """Bytes that are free on the disk that `root` is on."""

    def close(self) -> None:
        """Stop what still runs, and let the connection go."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Link(Protocol):
    """One way to a device's shell. It knows ssh or adb, and nothing of what is said there."""

    @property
    def device(self) -> Device:
        """Where it leads."""

    def connect(self) -> None:
        """See to it that a connection stands. Raises UnreachableError, RefusedError."""

    def arguments(self, command: str) -> list[str]:
        """The program here that runs `command` in the device's shell, its stdin and stdout connected to it."""

    def drop(self) -> None:
        """Take the connection for broken: the next `connect` makes a new one."""

    def failure(self, complaints: str) -> DeviceError | None:
        """What the program's stderr means, where it speaks of the connection."""

    def close(self) -> None:
        """Let the connection go."""
