"""A bundle as a directory: fixed modes and times, links never followed, large files copied whole."""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from edgepack.domain.errors import BadInputError
from edgepack.formats import copying
from edgepack.formats.copying import copy_file
from edgepack.formats.directory import DirectoryReader
from edgepack.formats.payload import WRITTEN_AT
from edgepack.formats.reader import Kind, Member
from tests.formats.bundles import fake_gguf, make_bundle


class Heard:
    """A bar that remembers."""

    def __init__(self) -> None:
        self.amount = 0

    def advance(self, amount: int) -> None:
        self.amount += amount


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_modes_and_times_do_not_depend_on_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        root = make_bundle(tmp_path / "x").path
    finally:
        os.umask(before)
    for path in [root, *root.rglob("*")]:
        status = path.stat()
        assert status.st_mtime == WRITTEN_AT, path
        executable = path.is_dir() or path.name in ("run", "bench", "selftest")
        assert status.st_mode & 0o7777 == (0o755 if executable else 0o644), path


def test_links_and_devices_are_named_and_not_opened(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "loop").symlink_to(".")
    os.mkfifo(tmp_path / "pipe")
    with closing(DirectoryReader(tmp_path)) as reader:
        kinds = {member.path: member.kind for member in reader.members}
        assert kinds == {"link": Kind.LINK, "loop": Kind.LINK, "pipe": Kind.SPECIAL}
        pretended = Member(path="link", kind=Kind.FILE, size=1, mode=0o644)
        with pytest.raises(BadInputError, match="cannot be read"):
            list(reader.chunks(pretended))


def refuses(error: int) -> Callable[..., bool]:
    """Stands for a disk that cannot copy in the kernel."""

    def call(*_arguments: object) -> bool:
        raise OSError(error, os.strerror(error))

    return call


@pytest.mark.parametrize("in_kernel", [True, False])
def test_a_copy_has_every_byte_however_the_disk_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_kernel: bool
) -> None:
    if not in_kernel:
        monkeypatch.setattr(os, "copy_file_range", refuses(copying.errno.EXDEV), raising=False)
    source, bar = fake_gguf(tmp_path / "from", size=9_000_001), Heard()
    copy_file(source, tmp_path / "to", size=9_000_001, bar=bar)
    assert (tmp_path / "to").read_bytes() == source.read_bytes()
    assert bar.amount == 9_000_001


def test_a_failing_disk_is_not_taken_for_one_that_copies_another_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "copy_file_range", refuses(copying.errno.EIO), raising=False)
    with pytest.raises(OSError, match="Input/output"):
        copy_file(fake_gguf(tmp_path / "from"), tmp_path / "to", size=70_000, bar=Heard())


@pytest.mark.parametrize("size", [69_999, 70_001])
def test_a_file_of_another_size_is_not_copied(tmp_path: Path, size: int) -> None:
    with pytest.raises(BadInputError, match="no longer the"):
        copy_file(fake_gguf(tmp_path / "from"), tmp_path / "to", size=size, bar=Heard())
