"""A program's machine, read from its first bytes."""

import struct
from pathlib import Path

import pytest

from edgepack.domain.errors import BadInputError
from edgepack.infra.elf import Machine, machine_of


def elf(machine: int, bits: int = 64, order: int = 1) -> bytes:
    """The head of an ELF executable."""
    return b"\x7fELF" + bytes([bits // 32, order, 1]) + bytes(9) + struct.pack("<HH", 2, machine)


@pytest.mark.parametrize(
    ("head", "machine"),
    [
        (elf(183), Machine.AARCH64), (elf(40, 32), Machine.ARM), (elf(62), Machine.X86_64),
        (elf(243), Machine.RISCV64), (elf(243, 32), None), (elf(8, 32), None), (elf(183, order=2), None),
        (b"#!/bin/sh\nexec llama\n", None), (b"\x7fELF", None), (b"", None),
    ],
)  # fmt: skip
def test_the_machine_is_told(head: bytes, machine: Machine | None, tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(head)
    assert machine_of(tmp_path / "program") is machine


def test_a_directory_is_no_program(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be read"):
        machine_of(tmp_path)


def test_a_target_triple_names_its_machine() -> None:
    assert Machine.of_target("arm-linux-musleabihf") is Machine.ARM
    assert Machine.of_target("mips-linux-musl") is None
