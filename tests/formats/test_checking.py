"""Every byte of a bundle is checked: whatever is missing, extra or changed is named."""

import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from edgepack.domain.bundle import Format
from edgepack.domain.errors import BadInputError, EdgepackError, VerificationError
from edgepack.domain.progress import Silent
from edgepack.formats.checking import Checked, check
from edgepack.formats.opening import open_bundle
from edgepack.formats.sums import parse_sums, sums_text
from tests.formats.bundles import FACTS, fake_gguf, make_bundle

GGUF = f"model/{FACTS.name}.gguf"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("made")
    weights = fake_gguf(directory / "blob", size=3000)
    make_bundle(directory, Format.TAR, weights=weights)
    return make_bundle(directory, weights=weights).path


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    """A bundle to break."""
    shutil.copytree(made, tmp_path / "bundle")
    return tmp_path / "bundle"


def checked(path: Path) -> Checked:
    with closing(open_bundle(path)) as reader, Silent().bar("", None, "B") as bar:
        return check(reader, bar)


@pytest.mark.parametrize("suffix", ["", ".tar"])
def test_a_good_bundle_is_right(made: Path, suffix: str) -> None:
    found = checked(Path(f"{made}{suffix}"))
    assert found.payload_digest == hashlib.sha256((made / "SHA256SUMS").read_bytes()).hexdigest()
    assert found.files == 11
    assert found.manifest.facts == FACTS


def append(path: str) -> Callable[[Path], None]:
    def change(bundle: Path) -> None:
        with (bundle / path).open("ab") as file:
            file.write(b"\n")

    return change


def replace_by_link(bundle: Path) -> None:
    (bundle / "run").rename(bundle.parent / "run")
    (bundle / "run").symlink_to(bundle.parent / "run")


def with_new_sums(change: Callable[[Path], None]) -> Callable[[Path], None]:
    """The change, and SHA256SUMS made to agree with it."""

    def both(bundle: Path) -> None:
        change(bundle)
        digests = {
            str(path.relative_to(bundle)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in bundle.rglob("*")
            if path.is_file() and path.name != "SHA256SUMS" and path.parent.name != "evidence"
        }
        (bundle / "SHA256SUMS").write_text(sums_text(digests))

    return both


def edit_manifest(old: str, new: str) -> Callable[[Path], None]:
    def change(bundle: Path) -> None:
        path = bundle / "manifest.json"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return with_new_sums(change)


@pytest.mark.parametrize(
    ("breaking", "says"),
    [
        (append("run"), "changed: run"),
        (append(GGUF), f"changed: {GGUF}"),
        (append("manifest.json"), r"changed: manifest\.json"),
        (append("evidence/measurement.json"), r"changed: evidence/measurement\.json"),
        (append("SHA256SUMS"), "SHA256SUMS: line 9"),
        (append("evidence/SHA256SUMS"), "evidence/SHA256SUMS: line 2"),
        (lambda bundle: (bundle / "run").unlink(), "missing: run"),
        (lambda bundle: (bundle / "manifest.json").unlink(), r"missing: manifest\.json"),
        (lambda bundle: (bundle / "SHA256SUMS").unlink(), "SHA256SUMS: missing"),
        (lambda bundle: (bundle / "LICENSES/LICENSE").unlink(), "missing: LICENSES/LICENSE"),
        (lambda bundle: (bundle / "evidence/measurement.json").unlink(), "missing: evidence/measurement"),
        (lambda bundle: (bundle / "evidence/SHA256SUMS").unlink(), r"extra: evidence/measurement\.json"),
        (lambda bundle: (bundle / "more").write_text("x"), "extra: more"),
        (lambda bundle: (bundle / "evidence/more").write_text("x"), "extra: evidence/more"),
        (lambda bundle: (bundle / "state").mkdir(), "extra: state/"),
        (lambda bundle: (bundle / "\x1b[2J").write_text("x"), r"extra: '\\x1b\[2J'"),
        (lambda bundle: (bundle / "run").chmod(0o644), "not executable: run"),
        (replace_by_link, "a link: run"),
        (lambda bundle: os.mkfifo(bundle / "pipe"), "a device: pipe"),
        (with_new_sums(lambda bundle: (bundle / "more").write_text("x")), "disagree on more"),
        (with_new_sums(append("run")), "disagree on run"),
        (with_new_sums(lambda bundle: (bundle / "bench").unlink()), "disagree on bench"),
    ],
)
def test_what_is_not_right_is_named(bundle: Path, breaking: Callable[[Path], None], says: str) -> None:
    breaking(bundle)
    with pytest.raises(VerificationError, match=says):
        checked(bundle)


def test_every_fault_is_named_and_many_are_counted(bundle: Path) -> None:
    (bundle / "run").unlink()
    append("bench")(bundle)
    for number in range(9):
        (bundle / f"more{number}").write_text("x")
    with pytest.raises(VerificationError, match=r"extra: more0, .* and 3 more"):
        checked(bundle)


@pytest.mark.parametrize("path", ["run", GGUF, "manifest.json", "SHA256SUMS", "sbom.cdx.json", "LICENSES/LICENSE",
                                  "evidence/measurement.json", "evidence/SHA256SUMS"])  # fmt: skip
def test_one_flipped_bit_in_any_file_is_found(bundle: Path, path: str) -> None:
    good = (bundle / path).read_bytes()
    for position in {*range(min(200, len(good))), len(good) // 2, len(good) - 1}:
        flipped = bytearray(good)
        flipped[position] ^= 1 << position % 8
        (bundle / path).write_bytes(flipped)
        with pytest.raises(VerificationError):
            checked(bundle)


def test_one_flipped_bit_anywhere_in_a_tar_is_found(made: Path, tmp_path: Path) -> None:
    good = Path(f"{made}.tar").read_bytes()
    archive = tmp_path / "flipped.tar"
    # A prime step meets headers, contents, padding and the end mark at every bit.
    for position in range(0, len(good), 41):
        flipped = bytearray(good)
        flipped[position] ^= 1 << position % 8
        archive.write_bytes(flipped)
        with pytest.raises(EdgepackError) as caught:
            checked(archive)
        assert isinstance(caught.value, VerificationError) or position < 512


def test_a_manifest_of_another_schema_is_bad_input_that_says_so(bundle: Path) -> None:
    edit_manifest("edgepack.bundle/1", "edgepack.bundle/2")(bundle)
    with pytest.raises(BadInputError, match=r"edgepack\.bundle/2"):
        checked(bundle)


def test_weights_that_are_no_gguf_are_refused(tmp_path: Path) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(b"PK\x03\x04")
    with pytest.raises(VerificationError, match="no GGUF"):
        checked(make_bundle(tmp_path, weights=blob).path)


def test_sums_may_not_name_evidence_or_themselves(bundle: Path) -> None:
    sums = parse_sums((bundle / "SHA256SUMS").read_text(), subject="x")
    (bundle / "SHA256SUMS").write_text(sums_text(sums | {"evidence/x": "0" * 64}))
    with pytest.raises(VerificationError, match="outside the payload: evidence/x"):
        checked(bundle)


def test_a_bundle_without_evidence_is_right(bundle: Path) -> None:
    shutil.rmtree(bundle / "evidence")
    assert checked(bundle).files == 9


@pytest.mark.parametrize(
    "text",
    ["x\n", "0" * 64 + "  a", "0" * 64 + " *a\n", "0" * 64 + "  ../a\n", "A" * 64 + "  a\n",
     f"{'0' * 64}  b\n{'0' * 64}  a\n", f"{'0' * 64}  a\n{'0' * 64}  a\n", f"{'0' * 64}  a\r\n", "\n"],
)  # fmt: skip
def test_sums_are_read_strictly(text: str) -> None:
    with pytest.raises(VerificationError, match=r"^here: "):
        parse_sums(text, subject="here")


def test_sums_are_read_as_they_are_written() -> None:
    digests = {"b": "0" * 64, "a/c": "1" * 64}
    assert parse_sums(sums_text(digests), subject="x") == digests
