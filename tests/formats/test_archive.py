"""A tar from a stranger: what is not a bundle's is an error of ours, and nothing is written outside."""

import io
import tarfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgepack.domain.bundle import Format
from edgepack.domain.errors import BadInputError, VerificationError
from edgepack.domain.progress import Silent
from edgepack.formats.archive import TarReader
from edgepack.formats.extraction import extract_bundle
from edgepack.formats.opening import open_bundle
from edgepack.formats.tar import _header
from tests.formats.bundles import FACTS, make_bundle

TOP = FACTS.name


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("good"), Format.TAR).path


def extract(archive: Path, destination: Path) -> None:
    with closing(open_bundle(archive)) as reader, Silent().bar("", None, "B") as bar:
        extract_bundle(reader, destination, bar)


def with_member(good: Path, archive: Path, member: tarfile.TarInfo, data: bytes = b"", **options: object) -> Path:
    """The good bundle with one member more."""
    archive.write_bytes(good.read_bytes())
    member.size = len(data)
    with tarfile.open(archive, "a", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(member, io.BytesIO(data))
    return archive


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_a_good_bundle_comes_out_as_it_went_in(good: Path, tmp_path: Path) -> None:
    extract(good, tmp_path / "out")
    with tarfile.open(good) as tar:
        for inside in tar.getmembers():
            path = tmp_path / "out" / inside.name.removeprefix(TOP).removeprefix("/")
            if inside.isfile():
                content = tar.extractfile(inside)
                assert content is not None
                assert path.read_bytes() == content.read()
                assert path.stat().st_mode & 0o777 == inside.mode


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../outside", f"{TOP}/../../outside", f"{TOP}/./run2", f"{TOP}//x", "other/run", "C:/x",
     f"{TOP}/evidence/../../outside", f"{TOP}/evidence/.x", f"{TOP}/.x", f"{TOP}/a b",
     f"{TOP}/a\nb", f"{TOP}/\x1b[31m", "..", ""],
)  # fmt: skip
def test_a_path_that_no_bundle_has_is_refused(good: Path, tmp_path: Path, path: str) -> None:
    archive = with_member(good, tmp_path / "bad.tar", member(path), b"x")
    with pytest.raises((VerificationError, BadInputError)):
        open_bundle(archive)
    with pytest.raises((VerificationError, BadInputError)):
        extract(archive, tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == [archive]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a pipe"),
        (tarfile.GNUTYPE_SPARSE, "a sparse file"),
        (b"Z", "no plain file"),
    ],
)
def test_anything_but_files_and_directories_is_refused(good: Path, tmp_path: Path, kind: bytes, says: str) -> None:
    archive = with_member(good, tmp_path / "bad.tar", member(f"{TOP}/more", kind, "run"))
    with pytest.raises(VerificationError, match=says):
        extract(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", [f"{TOP}/run", f"{TOP}/RUN", f"{TOP}/model"])
def test_a_path_twice_is_refused(good: Path, tmp_path: Path, name: str) -> None:
    archive = with_member(good, tmp_path / "bad.tar", member(name), b"x")
    with pytest.raises(VerificationError, match="twice"):
        extract(archive, tmp_path / "out")


def test_a_file_inside_a_file_is_refused(good: Path, tmp_path: Path) -> None:
    archive = with_member(good, tmp_path / "bad.tar", member(f"{TOP}/run/x"), b"x")
    with pytest.raises(VerificationError, match="inside a file"):
        extract(archive, tmp_path / "out")


def test_a_file_that_the_manifest_does_not_declare_is_refused(good: Path, tmp_path: Path) -> None:
    archive = with_member(good, tmp_path / "bad.tar", member(f"{TOP}/more"), b"x")
    with pytest.raises(VerificationError, match="more: not in the bundle's manifest"):
        extract(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_too_much_evidence_is_refused(good: Path, tmp_path: Path) -> None:
    archive = with_member(good, tmp_path / "bad.tar", member(f"{TOP}/evidence/more"), bytes(64 << 20))
    with pytest.raises(VerificationError, match="evidence/"):
        extract(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def rewritten(good: Path, archive: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """The good bundle with the contents of its files changed, headers and all."""
    with tarfile.open(good) as old, tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as new:
        for info in old.getmembers():
            content = old.extractfile(info)
            data = change(info.name, content.read()) if content else b""
            info.size = len(data)
            new.addfile(info, io.BytesIO(data))
    return archive


def test_more_bytes_than_declared_are_refused_before_one_is_written(good: Path, tmp_path: Path) -> None:
    bomb = rewritten(good, tmp_path / "bad.tar", lambda name, data: data * (50 if name.endswith(".gguf") else 1))
    with pytest.raises(VerificationError, match="3500000 bytes, the manifest declares 70000"):
        extract(bomb, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_manifest_too_large_to_be_one_is_not_read(good: Path, tmp_path: Path) -> None:
    bomb = rewritten(
        good, tmp_path / "bad.tar", lambda name, data: bytes(17 << 20) if name.endswith("manifest.json") else data
    )
    with pytest.raises(VerificationError, match="more than any bundle's"):
        extract(bomb, tmp_path / "out")


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_bundle_that_somebody_packed_again_is_read(good: Path, tmp_path: Path, form: int) -> None:
    make_bundle(tmp_path)
    archive = tmp_path / "again.tar"
    with tarfile.open(archive, "w", format=form) as tar:
        tar.add(tmp_path / "out" / TOP, arcname=TOP)
    extract(archive, tmp_path / "unpacked")
    assert (tmp_path / "unpacked" / "run").read_bytes() == (tmp_path / "out" / TOP / "run").read_bytes()


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_paths_are_read_in_every_way_they_are_written(tmp_path: Path, form: int) -> None:
    path = "top/" + "/".join(["d" * 30] * 5)
    archive = tmp_path / "long.tar"
    with tarfile.open(archive, "w", format=form) as tar:
        info = member(path)
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    with closing(TarReader(archive)) as reader:
        assert [found.path for found in reader.members] == [path.removeprefix("top/")]


def test_a_file_of_more_than_8_gib_is_read_back_where_it_lies(tmp_path: Path) -> None:
    archive, size = tmp_path / "large.tar", (9 << 30) + 5
    with archive.open("wb") as file:
        file.write(_header("top/large", mode=0o644, size=size, kind=b"0"))
        start = file.tell()
        file.write(b"begin")
        file.seek(start + size - 3)
        file.write(b"end")
        file.truncate(start + -(-size // 512) * 512 + 1024)
    with closing(TarReader(archive)) as reader:
        (found,) = reader.members
        assert (found.path, found.size, found.offset) == ("large", size, start)
    with tarfile.open(archive) as tar:
        assert tar.getmembers()[0].size == size


@pytest.mark.parametrize(
    "data", [b"", b"x" * 100, b"x" * 5000, b"\x1f\x8b" + bytes(600), bytes(1024)], ids=lambda data: str(len(data))
)
def test_what_is_no_tar_is_bad_input(tmp_path: Path, data: bytes) -> None:
    archive = tmp_path / "x.tar"
    archive.write_bytes(data)
    with pytest.raises(BadInputError, match="no edgepack bundle"):
        open_bundle(archive)


def test_a_tar_with_something_else_in_it_is_bad_input(tmp_path: Path) -> None:
    archive = tmp_path / "x.tar"
    with tarfile.open(archive, "w") as tar:
        tar.addfile(member("top/readme"), io.BytesIO(b""))
    with pytest.raises(BadInputError, match=r"neither manifest\.json nor SHA256SUMS"):
        open_bundle(archive)


def test_two_top_directories_are_no_bundle(tmp_path: Path) -> None:
    archive = tmp_path / "x.tar"
    with tarfile.open(archive, "w") as tar:
        tar.addfile(member("a/manifest.json"), io.BytesIO(b""))
        tar.addfile(member("b/SHA256SUMS"), io.BytesIO(b""))
    with pytest.raises(BadInputError, match="not one top directory"):
        open_bundle(archive)


@pytest.mark.parametrize("keep", [512, 1000, 3000, 60_000])
def test_a_tar_that_was_cut_is_named_so(good: Path, tmp_path: Path, keep: int) -> None:
    archive = tmp_path / "cut.tar"
    archive.write_bytes(good.read_bytes()[:keep])
    with pytest.raises(VerificationError, match="cut short"):
        extract(archive, tmp_path / "out")


def test_an_endless_chain_of_small_members_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "many.tar"
    archive.write_bytes(
        b"".join(_header(f"top/{n}", mode=0o644, size=0, kind=b"0") for n in range(5000)) + bytes(1024)
    )
    with pytest.raises(VerificationError, match="more than 4096 headers"):
        open_bundle(archive)


@pytest.mark.parametrize(
    "record",
    [b"30 path=top/x\n", b"x", b"14 GNU.sparse=1\n", b"9999999999999 path=x\n", b"12 size=-9\n", b"9 path=a\n\n"],
)
def test_a_strange_extended_header_is_refused(tmp_path: Path, record: bytes) -> None:
    archive = tmp_path / "pax.tar"
    header = _header("PaxHeaders/x", mode=0o644, size=len(record), kind=b"x")
    archive.write_bytes(
        header + record.ljust(512, b"\0") + _header("top/x", mode=0o644, size=0, kind=b"0") + bytes(1024)
    )
    with pytest.raises(VerificationError, match="extended header"):
        open_bundle(archive)


def test_an_extended_header_that_would_fill_the_memory_is_not_read(tmp_path: Path) -> None:
    archive = tmp_path / "pax.tar"
    archive.write_bytes(_header("PaxHeaders/x", mode=0o644, size=1 << 30, kind=b"x") + bytes(4096))
    with pytest.raises(VerificationError, match="an extended header of 1073741824 bytes"):
        open_bundle(archive)


def test_a_chain_of_extended_headers_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "pax.tar"
    archive.write_bytes(_header("x", mode=0o644, size=0, kind=b"L") * 5000 + bytes(1024))
    with pytest.raises(VerificationError, match="more than 4096 headers"):
        open_bundle(archive)


KINDS = st.sampled_from([b"0", b"\0", b"1", b"2", b"3", b"5", b"6", b"L", b"x", b"g", b"S", b"K"])
PARTS = st.lists(
    st.sampled_from(["..", ".", "", "run", "model", "evidence", TOP, "a b", "\x00", "é"]), max_size=5
).map("/".join)
PATHS = st.one_of(PARTS, st.text(max_size=20)).map(lambda text: text.encode()[:100].decode(errors="ignore"))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    members=st.lists(st.tuples(PATHS, KINDS, st.integers(0, 0o77777777777), st.binary(max_size=600)), max_size=5),
    prepend=st.booleans(),
)
def test_no_archive_gets_anything_out_of_the_destination(
    good: Path, tmp_path: Path, members: list[tuple[str, bytes, int, bytes]], prepend: bool
) -> None:
    hostile = b"".join(
        _header(path, mode=0o4777, size=size, kind=kind) + data + bytes(-len(data) % 512)
        for path, kind, size, data in members
        if len(path.encode()) == len(path)
    )
    whole = good.read_bytes()
    area = tmp_path / "area"
    area.mkdir(exist_ok=True)
    archive = tmp_path / "hostile.tar"
    archive.write_bytes(hostile + whole if prepend else whole[:-1024] + hostile + bytes(1024))
    before = sorted(tmp_path.iterdir())
    try:
        extract(archive, area / "out")
    except (VerificationError, BadInputError):
        assert not list(area.iterdir())
    else:
        for path in (area / "out").rglob("*"):
            assert path.is_file() or path.is_dir()
            assert not path.is_symlink()
            assert not path.stat().st_mode & 0o7022
        for path in sorted((area / "out").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        (area / "out").rmdir()
    assert sorted(tmp_path.iterdir()) == before


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_anywhere_is_an_error_of_ours_or_harmless(good: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(good.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    archive = tmp_path / "damaged.tar"
    archive.write_bytes(content)
    with suppress(VerificationError, BadInputError):
        open_bundle(archive).close()
