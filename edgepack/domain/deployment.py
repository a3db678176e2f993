"""What a deployment did to a device, told without reaching one."""

import re
from dataclasses import dataclass

from edgepack.domain.errors import UsageError

_PLACE = re.compile(r"/[ -~]*[!-.0-~]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """A release that is the current one now: where, its payload's digest, and what had to be brought, in bytes.

    `previous` is the release that a roll-back would make the current one, "" where there is none.
    """

    device: str
    place: str
    release: str
    previous: str
    payload_digest: str
    files: int
    size: int
    brought: int
    linked: bool
    """Whether the files share the disk's blocks with those that were pushed, or are copies."""
    switched: bool
    """False where that bundle was the current one before."""
    selftest: str | None
    """What the self-test said last; None where there was none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RolledBack:
    """A device that serves an older release again."""

    device: str
    place: str
    release: str
    left: str
    """The release that it served before."""


def checked_place(place: str) -> str:
    """A directory of a device, as it may be given by hand. Raises UsageError."""
    if not _PLACE.fullmatch(place):
        raise UsageError(
            f"--to {place!r}: not a directory below / in printable ASCII",
            hint="name one by its whole path: /opt/model",
        )
    return place
