"""What every reader of a bundle offers: its members and their bytes; it does not judge them."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from edgepack.domain.bundle import Format


class Kind(StrEnum):
    """What a member is."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    SPECIAL = "device"


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One thing in a bundle: its path from the bundle's root, bytes, permission bits.

    `offset` is where its bytes begin in an archive.
    """

    path: str
    kind: Kind
    size: int
    mode: int
    offset: int = 0


class BundleReader(Protocol):
    """An open bundle, in whichever format."""

    @property
    def format(self) -> Format:
        """How it is written."""

    @property
    def members(self) -> tuple[Member, ...]:
        """Everything in it."""

    def chunks(self, member: Member) -> Iterator[bytes]:
        """A file's bytes, in pieces."""

    def close(self) -> None:
        """Let go of the file."""
