"""A program is let into an app only where Android would let it run; what is wrong with it is named."""

import struct
from pathlib import Path

import pytest

from edgepack.domain.errors import BadInputError
from edgepack.infra.android import app_rules
from edgepack.stages.app import check_server, gradle_value

ADDRESS = 0x10000
SVC = 0xD4000001
RET = 0xD65F03C0


def program(path: Path, *numbers: int, alignment: int = 1 << 16, text: bytes = b"") -> Path:
    """An arm64 ELF file that makes these system calls, one after the other, and holds that text."""
    words = [word for number in numbers for word in (0x52800008 | number << 5, SVC)]
    code = struct.pack(f"<{len(words) + 1}I", *words, RET)
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 183, 1, ADDRESS, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    begin = 64 + 2 * 56
    segments = [(5, begin, code), (4, begin + len(code), text)]
    headers = b"".join(
        struct.pack("<IIQQQQQQ", 1, flags, at, ADDRESS + at, ADDRESS + at, len(content), len(content), alignment)
        for flags, at, content in segments
    )
    path.write_bytes(head + headers + code + text)
    return path


def number_of(name: str) -> int:
    return next(number for number, known in app_rules().names.items() if known == name)


def test_a_program_of_allowed_calls_is_let_in(tmp_path: Path) -> None:
    assert check_server(program(tmp_path / "llama", number_of("read"), number_of("openat"))) == ()


def test_what_a_static_musl_program_contains_and_never_makes_is_named(tmp_path: Path) -> None:
    calls = [number_of(name) for name in ("set_robust_list", "setuid", "setgid", "accept")]
    assert check_server(program(tmp_path / "llama", *calls)) == ("accept", "set_robust_list", "setgid", "setuid")


def test_a_call_off_the_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"rseq \(293\), not allowed on Android 10, 12, 13, 14, 15"):
        check_server(program(tmp_path / "llama", number_of("rseq")))


def test_static_glibc_is_refused(tmp_path: Path) -> None:
    """Also where its calls alone would be excused, as those of a glibc before rseq."""
    with pytest.raises(BadInputError, match="linked with glibc"):
        check_server(program(tmp_path / "llama", number_of("set_robust_list"), text=b"glibc.malloc.check"))


def test_segments_that_do_not_fit_pages_of_16_kib_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="aligned to 4096 bytes"):
        check_server(program(tmp_path / "llama", number_of("read"), alignment=4096))


def test_another_machines_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "llama"
    path.write_bytes(b"#!/bin/sh\n")
    with pytest.raises(BadInputError, match="no arm64 program"):
        check_server(path)


def test_a_program_cut_short_is_refused(tmp_path: Path) -> None:
    path = program(tmp_path / "llama", 63)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BadInputError):
        check_server(path)


def test_debians_static_glibc_programs_are_refused() -> None:
    busybox = Path(__file__).parents[2] / "vendor/cache/foreign/arm64/bin/busybox"
    if not busybox.is_file():
        pytest.skip("no arm64 programs of Debian here: run `make foreign`")
    with pytest.raises(BadInputError, match="linked with glibc"):
        check_server(busybox)


def test_a_gradle_value_that_is_not_there_is_told() -> None:
    assert gradle_value('  versionName = "0.1"\n', "versionName") == "0.1"
    with pytest.raises(BadInputError, match="no minSdk"):
        gradle_value("minSdk = \n", "minSdk")
