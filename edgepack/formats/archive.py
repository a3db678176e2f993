"""A tar that somebody handed us: read without trust, extracted only where it is what its manifest says.

Not `tarfile`: it reads extended headers of any size into memory, knows sparse files and links, and what it
forgives differs between Python versions. Here anything but plain files and directories is an error.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from edgepack.domain.bundle import Format, is_safe_name, is_safe_path
from edgepack.domain.errors import BadInputError, VerificationError
from edgepack.formats.reader import Kind, Member
from edgepack.formats.sums import CHUNK

_BLOCK = 512
_MOST_HEADERS = 4096
_MOST_EXTENDED = 64 << 10
"""Bytes of one extended header; a path and a size need a few hundred."""
_NOT_A_TAR = "name a bundle's directory or its .tar; unpack a compressed one first"
_HINT = "delete it, and make or copy the bundle again"
_KINDS = {
    b"1": "a link", b"2": "a link", b"3": "a device", b"4": "a device", b"6": "a pipe", b"S": "a sparse file",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class _Header:
    path: bytes
    kind: bytes
    size: int
    mode: int


class TarReader:
    """A bundle's tar as members, whose paths begin below its one top directory.

    Raises BadInputError where the file is no tar, and VerificationError where it is one that no bundle is:
    unsafe or repeated paths, links, devices, more than one top directory, cut short, or damaged.
    """

    format = Format.TAR

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO = path.open("rb")
        try:
            self.top, self.members = self._checked(list(self._scan()))
        except BaseException:
            self._file.close()
            raise

    def chunks(self, member: Member) -> Iterator[bytes]:
        """A file's bytes, in pieces. Raises VerificationError where the archive ends too early."""
        self._file.seek(member.offset)
        left = member.size
        while left:
            chunk = self._file.read(min(CHUNK, left))
            if not chunk:
                self._fail(f"cut short inside {member.path}")
            left -= len(chunk)
            yield chunk

    def close(self) -> None:
        """Close the archive."""
        self._file.close()

    def _scan(self) -> Iterator[Member]:
        """Every member with its whole path; extended headers are folded into the members they belong to."""
        total = os.fstat(self._file.fileno()).st_size
        position, pending, seen = 0, _Extended(), 0
        while (block := self._block(position)) != bytes(_BLOCK):
            if (seen := seen + 1) > _MOST_HEADERS:
                self._fail(f"more than {_MOST_HEADERS} headers")
            header = self._header(block, position)
            start, size = position + _BLOCK, header.size
            if header.kind in (b"x", b"L"):
                pending = self._extended(header, start, pending)
            else:
                size = header.size if pending.size is None else pending.size
                yield self._member(header, pending.path or header.path, size, start)
                pending = _Extended()
            position = start + -(-size // _BLOCK) * _BLOCK
            if position > total:
                self._fail("cut short")
            self._zeros(start + size, position)
        self._zeros(position, total)

    def _block(self, position: int) -> bytes:
        self._file.seek(position)
        block = self._file.read(_BLOCK)
        if len(block) != _BLOCK:
            if not position:
                self._not_a_tar()
            self._fail("cut short: no end mark")
        return block

    def _header(self, block: bytes, position: int) -> _Header:
        checksum = sum(block[:148]) + sum(block[156:]) + 8 * ord(" ")
        if block[257:262] != b"ustar" or block[148:156] != b"%06o\0 " % checksum:
            if not position:
                self._not_a_tar()
            self._fail(f"a damaged header at byte {position}")
        name, prefix = block[:100].rstrip(b"\0"), block[345:500].rstrip(b"\0")
        if block[257:263] == b"ustar\0" and prefix:
            name = prefix + b"/" + name
        return _Header(
            path=name,
            kind=block[156:157],
            size=self._number(block[124:136]),
            mode=self._number(block[100:108]),
        )

    def _number(self, digits: bytes) -> int:
        if digits[0] == 0x80:  # GNU: a binary number, for sizes that octal digits do not hold
            return int.from_bytes(digits[1:], "big")
        text = digits.rstrip(b"\0 ")
        if not text.isdigit() or set(text) & set(b"89"):
            self._fail("a header's number is not octal")
        return int(text, 8)

    def _extended(self, header: _Header, start: int, pending: "_Extended") -> "_Extended":
        if header.size > _MOST_EXTENDED:
            self._fail(f"an extended header of {header.size} bytes")
        self._file.seek(start)
        data = self._file.read(header.size)
        if header.kind == b"L":
            return _Extended(path=data.rstrip(b"\0"), size=pending.size)
        return self._records(data)

    def _records(self, data: bytes) -> "_Extended":
        values: dict[bytes, bytes] = {}
        while data:
            digits = data.split(b" ", 1)[0]
            length = int(digits) if digits.isdigit() and len(digits) < 8 else 0
            record, data = data[:length], data[length:]
            key, equals, value = record[len(digits) + 1 :].partition(b"=")
            if len(record) != length or not equals or not value.endswith(b"\n"):
                self._fail("a damaged extended header")
            values[key] = value[:-1]
        strange = values.keys() - {b"path", b"size", b"mtime", b"atime", b"ctime"}
        if strange or not values.get(b"size", b"0").isdigit():
            self._fail(f"an extended header that no bundle has: {sorted(strange)!r}")
        size = int(values[b"size"]) if len(values.get(b"size", b"")) in range(1, 19) else None
        return _Extended(path=values.get(b"path"), size=size)

    def _member(self, header: _Header, raw: bytes, size: int, start: int) -> Member:
        path = raw.decode("ascii", errors="backslashreplace")
        kind = {b"0": Kind.FILE, b"\0": Kind.FILE, b"5": Kind.DIRECTORY}.get(header.kind)
        if kind is None:
            self._fail(f"{path!r} is {_KINDS.get(header.kind, 'no plain file')}")
        if kind is Kind.DIRECTORY:
            path = path.removesuffix("/")
            if size:
                self._fail(f"{path!r} is a directory with contents of its own")
        if not is_safe_path(path):
            self._fail(f"the path {path!r} is not one a bundle has")
        return Member(path=path, kind=kind, size=size, mode=header.mode, offset=start)

    def _checked(self, members: list[Member]) -> tuple[str, tuple[Member, ...]]:
        """The top directory's name, and the members below it."""
        tops = {member.path.split("/")[0] for member in members}
        if len(tops) != 1 or not is_safe_name(*tops):
            self._not_a_tar("not one top directory with a bundle in it")
        seen: set[str] = set()
        files = {member.path.lower() for member in members if member.kind is Kind.FILE}
        for member in members:
            path = member.path.lower()
            if path in seen:
                self._fail(f"{member.path!r} is in it twice")
            seen.add(path)
            if any(parent in files for parent in _parents(path)):
                self._fail(f"{member.path!r} lies inside a file")
        (top,) = tops
        return top, tuple(
            Member(path=below, kind=member.kind, size=member.size, mode=member.mode, offset=member.offset)
            for member in members
            if (below := member.path.partition("/")[2])
        )

    def _zeros(self, start: int, end: int) -> None:
        self._file.seek(start)
        while start < end:
            padding = self._file.read(min(CHUNK, end - start))
            if not padding or padding.count(0) != len(padding):
                self._fail(f"something between its members, at byte {start}")
            start += len(padding)

    def _fail(self, what: str) -> NoReturn:
        raise VerificationError(f"{self._path}: {what}", hint=_HINT)

    def _not_a_tar(self, what: str = "not a tar") -> NoReturn:
        raise BadInputError(f"{self._path}: no edgepack bundle: {what}", hint=_NOT_A_TAR)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Extended:
    """What an extended header says of the member after it."""

    path: bytes | None = None
    size: int | None = None


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
