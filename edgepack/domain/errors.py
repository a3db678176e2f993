"""Every way edgepack ends, as a type: an exit code for Makefiles, what went wrong, what to do next."""

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """The documented exit codes; a number never changes its meaning."""

    DONE = 0
    BUG = 1
    USAGE = 2
    NOTHING_FITS = 3
    BAD_INPUT = 4
    NETWORK = 5
    DEVICE = 6
    VERIFICATION = 7
    NO_SPACE = 8
    INTERRUPTED = 130


class EdgepackError(Exception):
    """An ending a user can act on: `what` names the thing and the place, `hint` says what to do next.

    Both are one line; the command line prints them as two lines and exits with `exit_code`.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.BUG

    def __init__(self, what: str, *, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class UsageError(EdgepackError):
    """The words of the command line do not make sense together."""

    exit_code = ExitCode.USAGE


class NothingFitsError(EdgepackError):
    """No candidate meets the profile's or the user's limits."""

    exit_code = ExitCode.NOTHING_FITS


class BadInputError(EdgepackError):
    """A checkpoint, profile, bundle or task that is not what it claims to be."""

    exit_code = ExitCode.BAD_INPUT


class NetworkError(EdgepackError):
    """The hub could not be reached, refused, or delivered something else."""

    exit_code = ExitCode.NETWORK


class DeviceError(EdgepackError):
    """The device is unreachable, lost, too busy or too slow."""

    exit_code = ExitCode.DEVICE


class VerificationError(EdgepackError):
    """A bundle is not, byte for byte, what its manifest says, or its model does not run."""

    exit_code = ExitCode.VERIFICATION


class NoSpaceError(EdgepackError):
    """Out of disk or memory."""

    exit_code = ExitCode.NO_SPACE
