"""`edgepack sign` and `verify --key`, held against openssl: keys, passwords, what is refused, what never leaks."""

import json
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from subprocess import run as start

import jsonschema
import pytest

from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode
from tests.conftest import ROOT
from tests.formats.bundles import PLAIN_FORMATS, fake_gguf, make_bundle

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
SCHEMA = json.loads((ROOT / "docs" / "schemas" / "sign.schema.json").read_text())
PASSWORD = "a word that stays here"


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """The two halves of a key, as openssl writes them."""

    private: Path
    public: Path


def make_key(directory: Path, name: str, *more: str, algorithm: str = "ed25519") -> Key:
    key = Key(private=directory / f"{name}.pem", public=directory / f"{name}.pub")
    openssl("genpkey", "-algorithm", algorithm, *more, "-out", str(key.private))
    openssl(
        "pkey",
        "-in",
        str(key.private),
        *(["-passin", f"pass:{PASSWORD}"] if more else []),
        "-pubout",
        "-out",
        str(key.public),
    )
    return key


def openssl(*words: str) -> int:
    done = start(["openssl", *words], capture_output=True, text=True)
    assert done.returncode == 0 or words[0] == "pkeyutl", done.stderr
    return done.returncode


@pytest.fixture
def key(tmp_path: Path) -> Key:
    return make_key(tmp_path, "key")


@pytest.fixture(params=PLAIN_FORMATS)
def bundle(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return make_bundle(tmp_path, request.param).path


def verified(bundle: Path, key: Path) -> int:
    return run(["verify", str(bundle), "--no-run", "--quiet", "--key", str(key)])


def test_a_signed_bundle_verifies_with_its_key_alone(tmp_path: Path, bundle: Path, key: Key) -> None:
    assert verified(bundle, key.public) == ExitCode.VERIFICATION, "not signed yet"
    assert run(["sign", str(bundle), "--key", str(key.private), "--public", str(key.public)]) == 0
    assert verified(bundle, key.public) == 0
    assert verified(bundle, make_key(tmp_path, "another").public) == ExitCode.VERIFICATION
    assert run(["verify", str(bundle), "--no-run", "--quiet"]) == 0


def test_openssl_agrees(tmp_path: Path, bundle: Path, key: Key) -> None:
    assert run(["sign", str(bundle), "--key", str(key.private), "--quiet"]) == 0
    if bundle.is_file():
        with tarfile.open(bundle) as archive:
            archive.extractall(tmp_path / "unpacked", filter="data")
        (bundle,) = (tmp_path / "unpacked").iterdir()
    words = ["-pubin", "-inkey", str(key.public), "-rawin", "-in", str(bundle / "SHA256SUMS")]
    assert openssl("pkeyutl", "-verify", *words, "-sigfile", str(bundle / "SHA256SUMS.sig")) == 0


def test_signing_again_gives_the_same_bytes_and_keeps_the_times(bundle: Path, key: Key) -> None:
    def sign() -> dict[str, tuple[bytes, float]]:
        assert run(["sign", str(bundle), "--key", str(key.private), "--quiet"]) == 0
        files = [bundle] if bundle.is_file() else [path for path in bundle.rglob("*") if path.is_file()]
        times = (lambda path: 0.0) if bundle.is_file() else (lambda path: path.stat().st_mtime)
        return {path.name: (path.read_bytes(), times(path)) for path in files}

    assert sign() == sign()
    assert {path.name for path in bundle.parent.iterdir() if "partial" in path.name} == set()


def test_the_json_follows_its_schema_and_the_key_is_nowhere(
    tmp_path: Path, bundle: Path, key: Key, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["sign", str(bundle), "--key", str(key.private), "--json"]) == 0
    shown = capsys.readouterr()
    jsonschema.validate(json.loads(shown.out), SCHEMA)
    secret = "".join(key.private.read_text().splitlines()[1:-1])
    assert secret not in shown.out + shown.err
    elsewhere = [path for path in tmp_path.rglob("*") if path.is_file() and path != key.private]
    assert not any(secret.encode() in path.read_bytes() for path in elsewhere)


def test_a_broken_bundle_is_not_signed(bundle: Path, key: Key) -> None:
    damaged = bundle if bundle.is_file() else bundle / "run"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    before = bundle.read_bytes() if bundle.is_file() else None
    assert run(["sign", str(bundle), "--key", str(key.private), "--quiet"]) == ExitCode.VERIFICATION
    assert before == (bundle.read_bytes() if before else None)
    assert bundle.is_file() or not (bundle / "SHA256SUMS.sig").exists()


@pytest.mark.parametrize(
    "change", [lambda old: old[:-1], lambda old: old + b"\0", lambda old: bytes(64), lambda _: b""]
)
def test_a_changed_signature_is_refused(tmp_path: Path, key: Key, change: object) -> None:
    bundle = make_bundle(tmp_path).path
    assert run(["sign", str(bundle), "--key", str(key.private), "--quiet"]) == 0
    assert callable(change)
    (bundle / "SHA256SUMS.sig").write_bytes(change((bundle / "SHA256SUMS.sig").read_bytes()))
    assert verified(bundle, key.public) == ExitCode.VERIFICATION


def test_the_same_build_keeps_the_signature_and_another_loses_it(tmp_path: Path, key: Key) -> None:
    bundle = make_bundle(tmp_path).path
    assert run(["sign", str(bundle), "--key", str(key.private), "--quiet"]) == 0
    make_bundle(tmp_path)
    assert verified(bundle, key.public) == 0
    make_bundle(tmp_path, weights=fake_gguf(tmp_path / "other", seed=2))
    assert not (bundle / "SHA256SUMS.sig").exists()


def test_an_encrypted_key_asks_for_its_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = make_key(tmp_path, "locked", "-aes-256-cbc", "-pass", f"pass:{PASSWORD}")
    bundle = make_bundle(tmp_path).path
    monkeypatch.setenv("EDGEPACK_KEY_PASSWORD", "another word")
    assert run(["sign", str(bundle), "--key", str(key.private), "--quiet"]) == ExitCode.BAD_INPUT
    monkeypatch.setenv("EDGEPACK_KEY_PASSWORD", PASSWORD)
    assert run(["sign", str(bundle), "--key", str(key.private), "--quiet"]) == 0
    assert verified(bundle, key.public) == 0


def test_what_is_no_such_key_ends_with_4_and_two_lines(
    tmp_path: Path, key: Key, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = make_bundle(tmp_path).path
    other = make_key(tmp_path, "other", algorithm="x25519")
    (tmp_path / "empty.pem").touch()
    for wrong in (other.private, key.public, tmp_path / "empty.pem", tmp_path / "none.pem"):
        assert run(["sign", str(bundle), "--key", str(wrong), "--quiet"]) == ExitCode.BAD_INPUT
        assert len(capsys.readouterr().err.splitlines()) == 2
    for wrong in (other.public, key.private, tmp_path / "empty.pem"):
        assert run(["sign", str(bundle), "--key", str(key.private), "--quiet"]) == 0
        assert verified(bundle, wrong) == ExitCode.BAD_INPUT
    words = ["sign", str(bundle), "--key", str(key.private), "--public", str(make_key(tmp_path, "third").public)]
    assert run(words) == ExitCode.BAD_INPUT


@pytest.mark.parametrize("has", ["openssl", "none"])
def test_the_selftest_checks_the_signature_with_openssl(tmp_path: Path, key: Key, has: str) -> None:
    bundle = make_bundle(tmp_path).path
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in (
        "dirname",
        "readlink",
        "nproc",
        "sha256sum",
        "awk",
        "grep",
        *(["openssl"] if has == "openssl" else []),
    ):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)

    def selftest(public: Path) -> int:
        environment = {"PATH": str(programs), "EDGEPACK_NO_RUN": "1", "EDGEPACK_KEY": str(public)}
        return start(
            ["/bin/sh", str(bundle / "selftest")], env=environment, capture_output=True, check=False
        ).returncode

    assert selftest(tmp_path / "none.pub") == 2
    assert selftest(key.public) == 7, "not signed"
    assert run(["sign", str(bundle), "--key", str(key.private), "--quiet"]) == 0
    assert selftest(key.public) == (0 if has == "openssl" else 6)
    assert selftest(make_key(tmp_path, "another").public) == (7 if has == "openssl" else 6)
