"""What an ELF file says of itself: its machine, and what of it is loaded; it reads no symbols."""

import struct
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

from edgepack.domain.errors import BadInputError

_HEAD = 20
_LITTLE = 1
_CLASS_64 = 2
_LOAD = 1


class Machine(StrEnum):
    """Machines that llama.cpp runs on here, by the first part of a target triple."""

    AARCH64 = "aarch64"
    ARM = "arm"
    X86_64 = "x86_64"
    RISCV64 = "riscv64"

    @classmethod
    def of_target(cls, triple: str) -> Self | None:
        """The machine of a target triple, where it is one of these."""
        name = triple.partition("-")[0]
        return cls(name) if name in {machine.value for machine in cls} else None


# e_machine and bits, as in the System V ABI's ELF header
_NUMBERS = {
    (183, 64): Machine.AARCH64,
    (40, 32): Machine.ARM,
    (62, 64): Machine.X86_64,
    (243, 64): Machine.RISCV64,
}


def machine_of(path: Path) -> Machine | None:
    """The machine that the program at `path` is for; None for another, or no ELF program. Raises BadInputError."""
    try:
        with path.open("rb") as opened:
            head = opened.read(_HEAD)
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read: {error.strerror}", hint="check the path") from error
    if len(head) < _HEAD or head[:4] != b"\x7fELF" or head[5] != _LITTLE:
        return None
    bits = 64 if head[4] == _CLASS_64 else 32
    return _NUMBERS.get((struct.unpack_from("<H", head, 18)[0], bits))


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """What a LOAD program header says: where it lies in the file and in memory, its alignment, whether it is code."""

    offset: int
    address: int
    size: int
    alignment: int
    executable: bool


def load_segments(path: Path) -> tuple[Segment, ...]:
    """Of a 64-bit little-endian ELF file. Raises BadInputError where it is none, or cut short."""
    data = path.read_bytes()
    try:
        table, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
        headers = [struct.unpack_from("<IIQQQQQQ", data, table + 56 * index) for index in range(count)]
    except struct.error as error:
        raise BadInputError(f"{path}: no whole ELF program", hint="make or copy it again") from error
    segments = tuple(
        Segment(offset=offset, address=address, size=size, alignment=alignment, executable=bool(flags & 1))
        for kind, flags, offset, address, _, size, _, alignment in headers
        if kind == _LOAD
    )
    if not segments or any(segment.offset + segment.size > len(data) for segment in segments):
        raise BadInputError(f"{path}: its program headers lie outside it", hint="make or copy it again")
    return segments
