"""Which machine a program is for, by the head of its ELF file; it reads no further."""

import struct
from enum import StrEnum
from pathlib import Path
from typing import Self

from edgepack.domain.errors import BadInputError

_HEAD = 20
_LITTLE = 1
_CLASS_64 = 2


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
