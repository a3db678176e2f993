"""Digests of files: right, remembered while a file cannot have changed, and never longer."""

import os
from hashlib import sha256
from pathlib import Path

import pytest

from edgepack.infra.digests import sha256_of

OLD = 1_000_000_000 * 10**9


@pytest.fixture
def memo(tmp_path: Path) -> Path:
    return tmp_path / "memo"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"content" * 300_000)
    return path


def settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files count as old enough to be remembered: their ctime cannot be set."""
    monkeypatch.setattr("edgepack.infra.digests._SETTLED_NS", -(10**18))


def reads(path: Path, memo: Path) -> bool:
    """Whether the bytes were read, piece by piece, or skipped in one."""
    told: list[int] = []
    assert sha256_of(path, memo=memo, advance=told.append) == sha256(path.read_bytes()).hexdigest()
    assert sum(told) == path.stat().st_size
    return len(told) > 1


def test_the_digest_is_sha256_and_every_byte_is_told(file: Path) -> None:
    told: list[int] = []
    assert sha256_of(file, advance=told.append) == sha256(file.read_bytes()).hexdigest()
    assert sum(told) == file.stat().st_size


def test_an_empty_file_has_a_digest(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert sha256_of(tmp_path / "empty") == sha256(b"").hexdigest()


def test_an_unchanged_file_is_not_read_again(file: Path, memo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(monkeypatch)
    assert reads(file, memo)
    assert not reads(file, memo)


def test_a_file_that_has_just_changed_is_not_remembered(file: Path, memo: Path) -> None:
    """It could change again within one tick of the disk's clock."""
    assert reads(file, memo)
    assert not memo.exists()


def test_a_change_of_the_same_size_with_its_time_restored_is_noticed(
    file: Path, memo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ctime tells: no program can set it."""
    settle(monkeypatch)
    os.utime(file, ns=(OLD, OLD))
    assert reads(file, memo)
    data = bytearray(file.read_bytes())
    data[1000] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(OLD, OLD))
    assert file.stat().st_mtime_ns == OLD
    assert reads(file, memo)


def test_another_file_in_its_place_is_noticed(file: Path, memo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(monkeypatch)
    assert reads(file, memo)
    other = file.with_name("other")
    other.write_bytes(b"CONTENT" * 300_000)
    other.replace(file)
    assert reads(file, memo)


@pytest.mark.parametrize("damage", [b"", b"0123", b"\xff" * 64, b"G" * 64])
def test_a_damaged_memo_is_not_believed(
    damage: bytes, file: Path, memo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(monkeypatch)
    assert reads(file, memo)
    (kept,) = memo.iterdir()
    kept.write_bytes(damage)
    assert reads(file, memo)
    assert not reads(file, memo)


def test_nothing_but_the_memo_is_left(file: Path, memo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(monkeypatch)
    sha256_of(file, memo=memo)
    assert len([path.name for path in memo.iterdir()]) == 1
    assert not list(memo.glob("*.part"))
