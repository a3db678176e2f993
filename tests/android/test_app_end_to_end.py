"""The signed APK's own code on a JVM, its aarch64 server under qemu: what a person at the telephone would see."""

import json
import shutil
import time
from pathlib import Path

import pytest

from edgepack.domain.measurement_json import parse_measurement
from tests.android.phone import BuiltApp, build_app, installed, running

pytestmark = pytest.mark.android
READY = "^Ready$"
_LONG = "write me a very long story about a house in which every lamp has its own will"


def test_a_command_is_understood(app: BuiltApp) -> None:
    """The model is copied and checked, the server starts, the answer streams into the view, and fills the form."""
    with installed(app.apk, app.jar, app.fakes) as phone:
        phone.do("start")
        phone.until("status", READY)
        phone.do("type", "command", "dim the kitchen lamp to 30")
        phone.click("command_send")
        phone.until("answer", ".")
        figures = phone.until("figures", "tokens/s")
        assert json.loads(phone.text("answer"))["intent"] == "set_brightness"
        assert phone.text("intent").splitlines() == [
            "set_brightness", "device: lamp", "room: kitchen", "value: 30", "unit: percent",
        ]  # fmt: skip
        assert "battery 28.7" in figures
        assert phone.do("shown", "panel_intents") == "true"
        assert not list((phone.home / "files").rglob("*.part"))


def test_a_server_killed_in_mid_answer_lives_again_and_the_answer_is_whole(app: BuiltApp) -> None:
    with installed(app.apk, app.jar, app.fakes) as phone:
        phone.do("start")
        phone.until("status", READY)
        (before,) = phone.servers()
        phone.click("tab_chat")
        phone.do("type", "chat_text", _LONG)
        phone.click("chat_send")
        phone.until("answer", ".")
        assert phone.text("figures") == "", "killed before the answer was whole"
        phone.kill_server()
        phone.until("figures", "tokens/s")
        (after,) = phone.servers()
        assert after != before
        assert phone.do("shown", "problem") == "false"
        interrupted = phone.text("answer")
        phone.until("status", READY)
        phone.click("chat_send")
        phone.until("figures", "^$")
        phone.until("figures", "tokens/s")
        assert phone.text("answer") == interrupted


@pytest.mark.parametrize(("language", "words"), [("", "checksum is wrong"), ("de", "Prüfsumme stimmt nicht")])
def test_a_corrupted_model_is_told_and_removed_and_brought_again(app: BuiltApp, language: str, words: str) -> None:
    with installed(app.apk, app.jar, app.fakes, language=language) as phone:
        phone.do("start")
        phone.until("status", "Ready|Bereit")
        home = phone.home
        (model,) = (home / "files").rglob("*.gguf")
        content = bytearray(model.read_bytes())
        content[len(content) // 2] ^= 1
        phone.do("leave")
        model.write_bytes(content)
        with running(app.apk, app.jar, app.fakes, home, language=language) as again:
            again.do("start")
            assert words in again.until("problem", ".")
            assert again.servers() == phone.servers(), "no server is started on a damaged model"
            assert not model.exists()
            again.click("retry")
            again.until("status", "Ready|Bereit")


def test_a_screen_that_turns_finds_everything_as_it_was(app: BuiltApp) -> None:
    with installed(app.apk, app.jar, app.fakes) as phone:
        phone.do("start")
        phone.until("status", READY)
        phone.click("tab_chat")
        phone.do("type", "chat_text", "open the garage door")
        phone.click("chat_send")
        phone.do("rotate")
        phone.until("figures", "tokens/s")
        assert phone.text("question") == "open the garage door"
        assert phone.text("chat_text") == "open the garage door"
        assert phone.do("shown", "panel_chat") == "true"
        assert len(phone.servers()) == 1


def test_the_self_test_leaves_a_measurement_that_edgepack_reads(app: BuiltApp) -> None:
    with installed(app.apk, app.jar, app.fakes) as phone:
        phone.do("start", "selftest=true", "prompt=16", "generate=8", "repeats=2")
        phone.until("status", READY)
        found = json.loads(_eventually(phone.home / "external" / "selftest.json"))
        assert found["passed"], found
        assert json.loads(found["answer"])["intent"] == "set_brightness"
        measurement = parse_measurement(found["measurement"])
        assert [series.name for series in measurement.series] == ["pp16", "tg8"]
        assert measurement.conditions.celsius_before == 28.7


def test_a_model_that_is_too_large_for_the_app_is_found_beside_it(
    app: BuiltApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it the app says what is missing; where `edgepack deploy` would have put it, it runs."""
    monkeypatch.setattr("edgepack.stages.bundle.LARGEST_ASSET", 1_000_000)
    apk = build_app(tmp_path / "large.apk", monkeypatch)
    (model,) = (tmp_path / "large.beside").rglob("*.gguf")
    assert apk.stat().st_size < app.apk.stat().st_size - model.stat().st_size + 100_000
    with installed(apk, app.jar, app.fakes) as phone:
        phone.do("start")
        assert "The model is not on this phone" in phone.until("problem", ".")
        beside = phone.home / "external" / "bundle" / model.relative_to(tmp_path / "large.beside")
        beside.parent.mkdir(parents=True)
        shutil.copy(model, beside)
        phone.click("retry")
        phone.until("status", READY)
        assert not list((phone.home / "files").rglob("*.gguf"))


def _eventually(path: Path) -> str:
    end = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < end, f"no {path.name}"
        time.sleep(0.1)
    return path.read_text(encoding="utf-8")
