"""A bundle in an APK: aligned, stored, the same bytes twice, read back whole; what is damaged is told."""

import struct
import warnings
import zipfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from edgepack.domain.app import (
    LIBRARY,
    PROGRAM,
    SETTINGS,
    App,
    app_json,
    place_in_app,
    place_in_bundle,
    refuse_for_app,
)
from edgepack.domain.bundle import BundledRuntime, BundleFacts, RuntimeFlags
from edgepack.domain.errors import UsageError, VerificationError
from edgepack.domain.progress import Silent
from edgepack.formats.apk import write_apk
from edgepack.formats.checking import check
from edgepack.formats.opening import open_bundle
from edgepack.formats.payload import Large, Payload, assemble
from edgepack.infra.digests import sha256_of
from tests.formats.bundles import ADAPTER, FACTS, fake_gguf

NATIVE = BundledRuntime(target="aarch64-linux-musl-cortex_a76", origin="llama.cpp 0c1e57098", digest="a" * 64)
PHONE = replace(FACTS, native=NATIVE)


def large(path: Path) -> Large:
    return Large(path=path, size=path.stat().st_size, sha256=sha256_of(path))


def payload(directory: Path, facts: BundleFacts = PHONE, *, size: int = 70_000) -> Payload:
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / "llama"
    program.write_bytes(b"\x7fELF" + bytes(5000))
    return assemble(
        facts, weights=large(fake_gguf(directory / "blob", size=size)), programs={"llama": large(program)},
        licences={"LICENSE": b"Do as you like.\n"}, evidence={},
    )  # fmt: skip


def written(directory: Path, *, without: frozenset[str] = frozenset(), size: int = 70_000) -> Path:
    made = payload(directory, size=size)
    app = directory / "classes.dex"
    app.write_bytes(b"dex\n035\0" + bytes(101))
    path = directory / "app.apk"
    with Silent().bar("", None, "B") as bar:
        write_apk(made, App(files=(("classes.dex", app),), least_sdk=26), path, bar, without=without)
    return path


def checked(apk: Path) -> int:
    """Files of the bundle in it, every byte of which is right."""
    with closing(open_bundle(apk)) as reader, Silent().bar("", None, "B") as bar:
        return check(reader, bar).files


def test_it_is_a_bundle_again(tmp_path: Path) -> None:
    assert checked(written(tmp_path)) == len(payload(tmp_path / "again").all)


def test_everything_is_stored_and_aligned(tmp_path: Path) -> None:
    """Programs at the largest pages of a kernel, all else at words: what zipalign -c asks, and more."""
    path = written(tmp_path)
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name, extra = struct.unpack_from("<HH", data, info.header_offset + 26)
            begin = info.header_offset + 30 + name + extra
            assert info.compress_type == zipfile.ZIP_STORED
            assert begin % (1 << 14 if info.filename == LIBRARY else 4) == 0, info.filename
        assert archive.testzip() is None


def test_two_builds_are_the_same_bytes(tmp_path: Path) -> None:
    assert written(tmp_path / "one").read_bytes() == written(tmp_path / "two").read_bytes()


def test_large_weights_lie_beside_it(tmp_path: Path) -> None:
    weights = payload(tmp_path / "first").manifest.weights.path
    apk = written(tmp_path, without=frozenset({weights}))
    with pytest.raises(VerificationError, match="missing: model"):
        checked(apk)
    beside = tmp_path / "app.beside" / weights
    beside.parent.mkdir(parents=True)
    beside.write_bytes((tmp_path / "blob").read_bytes())
    assert checked(apk) == len(payload(tmp_path / "again").all)


def _flip(data: bytearray) -> None:
    data[data.index(b"GGUF") + 100] ^= 1


def _cut(data: bytearray) -> None:
    del data[-30:]


@pytest.mark.parametrize("damage", [_flip, _cut])
def test_a_damaged_one_is_told(tmp_path: Path, damage: Callable[[bytearray], None]) -> None:
    apk = written(tmp_path)
    data = bytearray(apk.read_bytes())
    damage(data)
    apk.write_bytes(data)
    with pytest.raises(VerificationError):
        checked(apk)


@pytest.mark.parametrize("name", ["assets/bundle/../x", "assets/bundle/manifest.json", "assets/bundle//etc/x"])
def test_unsafe_and_repeated_paths_are_refused(tmp_path: Path, name: str) -> None:
    apk = written(tmp_path)
    with warnings.catch_warnings(), zipfile.ZipFile(apk, "a") as archive:
        warnings.simplefilter("ignore")  # zipfile's own, of the second one of a name
        archive.writestr(name, b"x")
    with pytest.raises(VerificationError, match="unsafe path, or is there twice"):
        open_bundle(apk)


def test_a_compressed_file_is_refused(tmp_path: Path) -> None:
    apk = written(tmp_path)
    with zipfile.ZipFile(apk, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("assets/bundle/extra", b"x" * 1000)
    with pytest.raises(VerificationError, match="compressed"):
        open_bundle(apk)


def test_a_path_leads_there_and_back() -> None:
    for path in ("manifest.json", "model/x.gguf", PROGRAM):
        assert place_in_bundle(place_in_app(path)) == path
    assert place_in_app(PROGRAM) == LIBRARY
    assert place_in_bundle(SETTINGS) is None


def test_the_settings_are_llama_cpps_own_arguments(tmp_path: Path) -> None:
    flags = RuntimeFlags(context=512, threads=4, micro_batch=64)
    settings = app_json(payload(tmp_path, replace(PHONE, flags=flags)).manifest)
    assert '"-c",\n    "512",\n    "-t",\n    "4",\n    "-ub",\n    "64"' in settings
    assert '"micro_batch": 64' in settings


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (FACTS, "this bundle's is none"),
        (replace(PHONE, native=replace(NATIVE, target="x86_64-linux-musl")), "this bundle's is x86_64"),
        (replace(PHONE, adapter=ADAPTER), "adapter"),
    ],
)
def test_what_the_app_cannot_run_is_refused(facts: BundleFacts, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        refuse_for_app(facts)
