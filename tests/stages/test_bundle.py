"""A bundle stands whole at its destination or not at all, and is the same wherever and whenever it was made."""

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edgepack.domain.bundle import CacheType, Format
from edgepack.domain.errors import BadInputError, NoSpaceError, UsageError
from edgepack.domain.progress import Silent
from edgepack.stages.bundle import Bundle, BundleContents, write_bundle
from edgepack.stages.verify import verify
from tests.formats.bundles import EVIDENCE, FACTS, PLAIN_FORMATS, contents, fake_gguf, make_bundle

formats = pytest.mark.parametrize("format", PLAIN_FORMATS)

MAKE = """
import sys
from pathlib import Path
from edgepack.domain.bundle import Format
from tests.formats.bundles import make_bundle
bundle = make_bundle(Path(sys.argv[1]), Format(sys.argv[2]))
print(bundle.payload_digest)
"""

MAKE_THERE = """
import sys
from pathlib import Path
from edgepack.domain.bundle import Format
from edgepack.domain.progress import Silent
from edgepack.stages.bundle import write_bundle
from tests.formats.bundles import contents
own, out = Path(sys.argv[1]), Path(sys.argv[2])
own.mkdir()
bundle = write_bundle(contents(own), destination=out / "x", format=Format(sys.argv[3]), progress=Silent())
print(bundle.payload_digest)
"""


def write(made: BundleContents, destination: Path, format: Format = Format.DIR) -> Bundle:
    return write_bundle(made, destination=destination, format=format, progress=Silent())


def inode(path: Path) -> tuple[int, int]:
    return path.stat().st_ino, path.stat().st_mtime_ns


@formats
def test_the_payload_digest_is_the_sha256_of_sha256sums(tmp_path: Path, format: Format) -> None:
    bundle = make_bundle(tmp_path, format)
    if format is Format.TAR:
        with tarfile.open(bundle.path) as tar:
            tar.extractall(tmp_path / "x")
    root = bundle.path if format is Format.DIR else tmp_path / "x" / FACTS.name
    assert bundle.payload_digest == hashlib.sha256((root / "SHA256SUMS").read_bytes()).hexdigest()
    assert verify(bundle.path, run_model=False, progress=Silent()).payload_digest == bundle.payload_digest


@formats
def test_two_makers_far_apart_make_the_same_bytes(tmp_path: Path, format: Format) -> None:
    here = make_bundle(tmp_path / "here", format)
    time.sleep(0.01)
    settings = {"LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "7", "PATH": os.environ["PATH"]}
    there = tmp_path / "a much longer way" / "there"
    done = subprocess.run(
        [sys.executable, "-c", f"import os; os.umask(0o077)\n{MAKE}", str(there), format],
        env=settings | {"PYTHONPATH": str(Path.cwd())}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == here.payload_digest
    mine, other = here.path, there / "out" / here.path.name
    if format is Format.TAR:
        assert mine.read_bytes() == other.read_bytes()
    else:
        listing = [
            {p.relative_to(root): (p.stat().st_mode, p.stat().st_mtime, p.read_bytes() if p.is_file() else b"")
             for p in [root, *root.rglob("*")]}
            for root in (mine, other)
        ]  # fmt: skip
        assert listing[0] == listing[1]


def test_both_formats_hold_the_same_payload(tmp_path: Path) -> None:
    assert make_bundle(tmp_path).payload_digest == make_bundle(tmp_path, Format.TAR).payload_digest


def test_evidence_is_no_part_of_the_payload(tmp_path: Path) -> None:
    first = write(contents(tmp_path), tmp_path / "a")
    second = write(contents(tmp_path, evidence={}), tmp_path / "b")
    assert first.payload_digest == second.payload_digest
    assert not (tmp_path / "b" / "evidence").exists()


@pytest.mark.parametrize(
    "facts",
    [
        replace(FACTS, flags=replace(FACTS.flags, context=512)),
        replace(FACTS, flags=replace(FACTS.flags, cache_type=CacheType.Q8_0)),
        replace(FACTS, profile=replace(FACTS.profile, digest="0" * 64)),
        replace(FACTS, plan=None),
    ],
)
def test_other_facts_make_another_payload(tmp_path: Path, facts: object) -> None:
    assert isinstance(facts, type(FACTS))
    assert make_bundle(tmp_path / "a").payload_digest != make_bundle(tmp_path / "b", facts=facts).payload_digest


@formats
def test_a_bundle_that_stands_already_is_not_written_again(tmp_path: Path, format: Format) -> None:
    first = make_bundle(tmp_path, format)
    before = inode(first.path)
    assert make_bundle(tmp_path, format) == first
    assert inode(first.path) == before


@formats
def test_new_evidence_replaces_the_old_and_nothing_else(tmp_path: Path, format: Format) -> None:
    first = make_bundle(tmp_path, format)
    weights = first.path / "model" / f"{FACTS.name}.gguf"
    before = inode(weights) if format is Format.DIR else None
    second = write(contents(tmp_path, evidence={"plan.json": b"{}\n"}), first.path, format)
    assert second.payload_digest == first.payload_digest
    assert verify(second.path, run_model=False, progress=Silent()).size == second.size
    if format is Format.DIR:
        assert inode(weights) == before
        assert {path.name for path in (first.path / "evidence").iterdir()} == {"SHA256SUMS", "plan.json"}
    assert [path.name for path in (tmp_path / "out").iterdir()] == [first.path.name]


def test_no_new_evidence_leaves_the_old(tmp_path: Path) -> None:
    first = make_bundle(tmp_path)
    write(contents(tmp_path, evidence={}), first.path)
    assert (first.path / "evidence/measurement.json").read_bytes() == EVIDENCE["measurement.json"]


@formats
def test_another_bundle_is_replaced_whole(tmp_path: Path, format: Format) -> None:
    first = make_bundle(tmp_path, format)
    other = contents(tmp_path, weights=fake_gguf(tmp_path / "other", seed=2))
    second = write(other, first.path, format)
    assert second.payload_digest != first.payload_digest
    assert verify(first.path, run_model=False, progress=Silent()).payload_digest == second.payload_digest
    assert [path.name for path in (tmp_path / "out").iterdir()] == [first.path.name]


@pytest.mark.parametrize("broken", ["run", "model", "extra", "mode"])
def test_a_damaged_bundle_is_written_again(tmp_path: Path, broken: str) -> None:
    path = make_bundle(tmp_path).path
    match broken:
        case "run":
            content = (path / "run").read_bytes()
            (path / "run").write_bytes(content[:-2] + b"x\n")
        case "model":
            os.truncate(path / "model" / f"{FACTS.name}.gguf", 100)
        case "extra":
            (path / "more").write_text("x")
        case "mode":
            (path / "run").chmod(0o644)
    make_bundle(tmp_path)
    verify(path, run_model=False, progress=Silent())


@pytest.mark.parametrize("kind", ["file", "directory", "manifest", "tar"])
def test_what_is_no_bundle_is_not_replaced(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "mine"
    match kind:
        case "file":
            target.write_text("my thesis")
        case "directory":
            target.mkdir()
            (target / "thesis").write_text("my thesis")
        case "manifest":
            target.mkdir()
            (target / "manifest.json").write_text('{"name": "a web app"}')
        case "tar":
            with tarfile.open(target, "w") as tar:
                tar.add(__file__, arcname="top/thesis")
    before = {path: path.read_bytes() for path in [target, *target.rglob("*")] if path.is_file()}
    with pytest.raises(UsageError, match="no edgepack bundle"):
        write(contents(tmp_path), target)
    assert {path: path.read_bytes() for path in [target, *target.rglob("*")] if path.is_file()} == before


def test_an_empty_directory_is_taken(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert write(contents(tmp_path), tmp_path / "empty").path == tmp_path / "empty"


def test_weights_that_are_not_there_are_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="nowhere"):
        write(contents(tmp_path, weights=tmp_path / "nowhere"), tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", ["a b", "../LICENSE", ".x"])
def test_evidence_with_a_name_that_no_bundle_holds_is_bad_input(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError, match="cannot be a file"):
        write(contents(tmp_path, evidence={name: b""}), tmp_path / "x")


def test_two_licences_of_one_name_are_bad_input(tmp_path: Path) -> None:
    made = contents(tmp_path)
    with pytest.raises(BadInputError, match="one name"):
        write(replace(made, licence_files=made.licence_files * 2), tmp_path / "x")


def test_a_licence_keeps_its_name_as_far_as_it_is_safe(tmp_path: Path) -> None:
    made = contents(tmp_path)
    odd = tmp_path / ".Licence agreement (1).txt"
    odd.write_text("x")
    bundle = write(replace(made, licence_files=(*made.licence_files, odd)), tmp_path / "x")
    assert {path.name for path in (bundle.path / "LICENSES").iterdir()} == {"LICENSE", "Licence_agreement_1_.txt"}


@formats
def test_several_makers_at_once_end_with_one_whole_bundle(tmp_path: Path, format: Format) -> None:
    expected = make_bundle(tmp_path / "elsewhere", format).payload_digest
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", MAKE_THERE, str(tmp_path / str(number)), str(tmp_path / "x/out"), format],
            stdout=subprocess.PIPE, text=True,
        )
        for number in range(4)
    ]  # fmt: skip
    assert [maker.communicate(timeout=60)[0].strip() for maker in makers] == [expected] * 4
    (left,) = (tmp_path / "x/out").iterdir()
    assert verify(left, run_model=False, progress=Silent()).payload_digest == expected


def test_a_bundle_that_comes_meanwhile_is_replaced(tmp_path: Path) -> None:
    quicker = make_bundle(tmp_path / "elsewhere", facts=replace(FACTS, plan=None)).path

    class Late(Silent):
        def step(self, text: str) -> None:
            if text.startswith("writing"):
                shutil.copytree(quicker, tmp_path / "x")

    bundle = write_bundle(contents(tmp_path), destination=tmp_path / "x", format=Format.DIR, progress=Late())
    assert verify(tmp_path / "x", run_model=False, progress=Silent()).payload_digest == bundle.payload_digest


def test_a_wrong_digest_from_the_maker_is_found_by_verify_not_trusted(tmp_path: Path) -> None:
    bundle = write(replace(contents(tmp_path), weights_sha256="0" * 64), tmp_path / "x")
    with pytest.raises(Exception, match="changed: model/"):
        verify(bundle.path, run_model=False, progress=Silent())


def test_a_disk_known_to_be_too_small_is_not_begun(tmp_path: Path) -> None:
    weights = tmp_path / "huge"
    fake_gguf(weights)
    os.truncate(weights, 1 << 43) if _holds_sparse(tmp_path) else pytest.skip("no file of 8 TiB here")
    with pytest.raises(NoSpaceError, match="the bundle needs"):
        write(replace(contents(tmp_path, weights=weights), weights_sha256="0" * 64), tmp_path / "x")
    assert not (tmp_path / "x").exists()


def _holds_sparse(directory: Path) -> bool:
    try:
        with (directory / "probe").open("wb") as file:
            file.truncate(1 << 43)
    except OSError:
        return False
    finally:
        (directory / "probe").unlink(missing_ok=True)
    return True


@formats
def test_a_failure_while_writing_leaves_what_stood_there(
    tmp_path: Path, format: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_bundle(tmp_path, format)
    shrinks = contents(tmp_path, weights=fake_gguf(tmp_path / "other", seed=2))

    class Shrinking(Silent):
        def step(self, text: str) -> None:
            if text.startswith("writing"):
                os.truncate(tmp_path / "other", 10)

    with pytest.raises(BadInputError, match="no longer the"):
        write_bundle(shrinks, destination=first.path, format=format, progress=Shrinking())
    assert verify(first.path, run_model=False, progress=Silent()).payload_digest == first.payload_digest
    assert [path.name for path in (tmp_path / "out").iterdir()] == [first.path.name]


def test_a_failure_of_the_rename_brings_the_old_bundle_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make_bundle(tmp_path)
    other = contents(tmp_path, weights=fake_gguf(tmp_path / "other", seed=2))

    def fails(_self: Path, _target: Path) -> Path:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", fails)
        with pytest.raises(OSError, match="Input/output"):
            write(other, first.path)
    assert verify(first.path, run_model=False, progress=Silent()).payload_digest == first.payload_digest
    assert [path.name for path in (tmp_path / "out").iterdir()] == [first.path.name]


SLOW = """
import os, sys
from pathlib import Path
from edgepack.formats import directory, tar
from edgepack.domain.bundle import Format
from tests.formats.bundles import make_bundle
real = Path.chmod
calls = 0
def chmod(self, mode):
    # Between two files, as good a moment to die as any.
    global calls
    calls += 1
    if calls == int(sys.argv[3]):
        print("now", flush=True)
        sys.stdin.readline()
    real(self, mode)
Path.chmod = chmod
make_bundle(Path(sys.argv[1]), Format(sys.argv[2]))
print("whole", flush=True)
"""


@pytest.mark.parametrize(
    ("format", "moment"), [(Format.DIR, 1), (Format.DIR, 4), (Format.DIR, 9), (Format.DIR, 12), (Format.TAR, 1)]
)
@pytest.mark.parametrize("over", [False, True], ids=["new", "over another"])
def test_a_killed_maker_leaves_no_bundle_that_is_not_whole(
    tmp_path: Path, format: Format, moment: int, over: bool
) -> None:
    expected = make_bundle(tmp_path / "elsewhere", format).payload_digest
    old = None
    if over:
        (tmp_path / "x").mkdir()
        name = FACTS.name + (".tar" if format is Format.TAR else "")
        old = write(
            contents(tmp_path / "x", weights=fake_gguf(tmp_path / "x/old", seed=3)), tmp_path / "x/out" / name, format
        )
    maker = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(tmp_path / "x"), format, str(moment)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert maker.stdout is not None
    assert maker.stdout.readline() == "now\n"
    maker.send_signal(signal.SIGKILL)
    maker.communicate(timeout=60)
    out = tmp_path / "x/out"
    assert any("edgepack-partial" in path.name for path in out.iterdir())
    if old:
        assert verify(old.path, run_model=False, progress=Silent()).payload_digest == old.payload_digest
    again = make_bundle(tmp_path / "x", format)
    assert again.payload_digest == expected
    assert [path.name for path in out.iterdir()] == [again.path.name]
    verify(again.path, run_model=False, progress=Silent())


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.privileged
@formats
def test_a_disk_too_small_for_the_bundle_is_named_and_left_empty(
    tmp_path: Path, tiny_disk: Path, format: Format
) -> None:
    made = contents(tmp_path, weights=fake_gguf(tmp_path / "blob", size=3 << 20))
    with pytest.raises(NoSpaceError):
        write(made, tiny_disk / "x", format)
    assert not list(tiny_disk.iterdir())


@pytest.mark.privileged
@formats
def test_a_disk_that_fills_up_meanwhile_is_named_and_left_as_it_was(
    tmp_path: Path, tiny_disk: Path, format: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = contents(tmp_path, weights=fake_gguf(tmp_path / "blob", size=900_000))

    class Filling(Silent):
        def step(self, text: str) -> None:
            if text.startswith("writing"):
                (tiny_disk / "other").write_bytes(bytes(1_500_000))

    with pytest.raises(NoSpaceError, match="no space left while writing the bundle"):
        write_bundle(made, destination=tiny_disk / "x", format=format, progress=Filling())
    assert [path.name for path in tiny_disk.iterdir()] == ["other"]


def test_a_place_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write(contents(tmp_path), tmp_path / "file" / "x")


def test_a_link_to_the_destination_stays_a_link(tmp_path: Path) -> None:
    first = make_bundle(tmp_path)
    (tmp_path / "link").symlink_to(first.path)
    shutil.rmtree(first.path / "LICENSES")
    write(contents(tmp_path), tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    verify(first.path, run_model=False, progress=Silent())
