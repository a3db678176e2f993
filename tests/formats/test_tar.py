"""The tar that edgepack writes is plain, the same everywhere, and every other tar reads it."""

import tarfile
from pathlib import Path

import pytest

from edgepack.domain.bundle import Format
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Silent
from edgepack.formats.payload import WRITTEN_AT, Large, assemble
from edgepack.formats.tar import _header, tar_size, write_tar
from tests.formats.bundles import FACTS, fake_gguf, make_bundle


def test_every_member_belongs_to_root_and_has_the_same_time_and_one_of_two_modes(tmp_path: Path) -> None:
    with tarfile.open(make_bundle(tmp_path, Format.TAR).path) as tar:
        for member in tar.getmembers():
            assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "root", "root")
            assert member.mtime == WRITTEN_AT
            executable = member.isdir() or member.name.rpartition("/")[2] in ("run", "bench", "selftest")
            assert member.mode == (0o755 if executable else 0o644)


def test_everything_lies_under_one_directory_named_after_the_bundle(tmp_path: Path) -> None:
    with tarfile.open(make_bundle(tmp_path, Format.TAR).path) as tar:
        assert {name.split("/")[0] for name in tar.getnames()} == {FACTS.name}


def test_the_manifest_comes_first_and_the_evidence_last(tmp_path: Path) -> None:
    with tarfile.open(make_bundle(tmp_path, Format.TAR).path) as tar:
        files = [member.name.removeprefix(FACTS.name + "/") for member in tar.getmembers() if member.isfile()]
    assert files[:2] == ["manifest.json", "SHA256SUMS"]
    payload = [name for name in files[2:] if not name.startswith("evidence/")]
    assert payload == sorted(payload)
    assert files[2:] == [*payload, "evidence/SHA256SUMS", "evidence/measurement.json"]


def test_tar_reads_what_was_written_to_the_last_byte(tmp_path: Path) -> None:
    archive = make_bundle(tmp_path, Format.TAR).path
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "unpacked")
    weights = tmp_path / "unpacked" / FACTS.name / "model" / f"{FACTS.name}.gguf"
    assert weights.read_bytes() == (tmp_path / "blob").read_bytes()
    assert archive.stat().st_size % 512 == 0


def test_the_size_is_known_to_suffice_before_writing(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path, Format.TAR)
    weights = Large(path=tmp_path / "blob", size=70_000, sha256="0" * 64)
    payload = assemble(FACTS, weights=weights, licences={}, evidence={})
    assert bundle.path.stat().st_size <= tar_size(payload) + 4096


@pytest.mark.parametrize("length", [1, 99, 100, 101, 180])
def test_paths_of_any_length_are_read_back_by_tar(tmp_path: Path, length: int) -> None:
    archive = tmp_path / "x.tar"
    archive.write_bytes(_header("x" * length, mode=0o644, size=0, kind=b"0") + bytes(1024))
    with tarfile.open(archive) as tar:
        assert tar.getnames() == ["x" * length]


@pytest.mark.parametrize("size", [69_999, 70_001])
def test_weights_that_change_while_they_are_read_are_an_error(tmp_path: Path, size: int) -> None:
    weights = Large(path=fake_gguf(tmp_path / "blob", size=size), size=70_000, sha256="0" * 64)
    payload = assemble(FACTS, weights=weights, licences={}, evidence={})
    with Silent().bar("", None, "B") as bar, pytest.raises(BadInputError, match="no longer the 70000 bytes"):
        write_tar(payload, tmp_path / "x.tar", bar)
