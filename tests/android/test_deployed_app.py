"""The real app over the real adb client: installed by a package manager that asks apksigner, started by its activity
manager on a JVM with its server under qemu, its measurement pulled and read."""

import json
import os
import shlex
import stat
import threading
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from edgepack.domain.device import AdbDevice
from edgepack.domain.measurement import Workload
from edgepack.domain.measurement_json import parse_measurement
from edgepack.domain.progress import Silent
from edgepack.stages.install import install
from tests.android.phone import BuiltApp, running, unpack
from tests.fakes.adbd import Adbd
from tests.fakes.sshd import Unavailable
from tests.transports.labs import adb_server, environment_of

pytestmark = pytest.mark.android
PACKAGE_MANAGER = """#!/bin/sh
head -c "$4" >"$HOME/arrived.apk"
if PATH=/usr/bin:/bin apksigner verify --min-sdk-version 26 "$HOME/arrived.apk" >/dev/null 2>&1
then mv "$HOME/arrived.apk" "$HOME/base.apk"; echo Success
else echo "Failure [INSTALL_PARSE_FAILED_NO_CERTIFICATES: not signed]"
fi
"""
ACTIVITY_MANAGER = """#!/bin/sh
echo "$@" >"$HOME/wanted.part"
mv "$HOME/wanted.part" "$HOME/wanted"
echo "Starting: Intent"
"""


@contextmanager
def telephone(place: Path, app: BuiltApp) -> Iterator[AdbDevice]:
    """A device whose system starts the installed app when its activity manager is asked to."""
    system, home = place / "system", place / "home"
    system.mkdir()
    for name, text in (("pm", PACKAGE_MANAGER), ("am", ACTIVITY_MANAGER)):
        (system / name).write_text(text)
        (system / name).chmod(stat.S_IRWXU)
    environment = environment_of(home, f"{system}:{os.environ['PATH']}")
    storage = home / "sdcard/Android/data/dev.edgepack.demo"
    storage.mkdir(parents=True)
    over = threading.Event()
    with ExitStack() as stack:
        data = Path(stack.enter_context(TemporaryDirectory(prefix="phone-", dir="/tmp")))
        (data / "external").mkdir()
        (storage / "files").symlink_to(data / "external")
        starter = threading.Thread(target=_start_when_asked, args=(home, data, app, over))
        starter.start()
        device = Adbd(environment={**environment, "EXTERNAL_STORAGE": str(home / "sdcard")})
        try:
            yield AdbDevice(serial=device.serial)
        finally:
            device.close()
            over.set()
            starter.join()


def _start_when_asked(home: Path, data: Path, app: BuiltApp, over: threading.Event) -> None:
    """What Android's system server does: the app is its child, not that of the shell which asked."""
    while not (home / "wanted").exists():
        if over.wait(0.1):
            return
    words = shlex.split((home / "wanted").read_text())
    extras = [f"{words[at + 1]}={words[at + 2]}" for at, word in enumerate(words) if word in ("--ez", "--ei")]
    unpack(home / "base.apk", data)
    with running(home / "base.apk", app.jar, app.fakes, data) as phone:
        phone.do("start", *extras)
        over.wait()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "server").mkdir()
    try:
        with adb_server(tmp_path / "server") as port:
            monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
            yield
    except Unavailable as why:
        pytest.skip(str(why))


@pytest.mark.usefixtures("server")
def test_the_app_is_installed_tests_itself_and_is_measured(app: BuiltApp, tmp_path: Path) -> None:
    workload = Workload(prompt_tokens=16, generated_tokens=8, repeats=2)
    kept = tmp_path / "measurement.json"
    with telephone(tmp_path, app) as device:
        there = install(app.apk, device, selftest=True, workload=workload, measurement=kept, progress=Silent())
        assert (tmp_path / "home/base.apk").read_bytes() == app.apk.read_bytes()
    assert there.selftest
    assert json.loads(there.selftest.answer)["intent"] == "set_brightness"
    measurement = parse_measurement(json.loads(kept.read_text()))
    assert [series.name for series in measurement.series] == ["pp16", "tg8"]
    with zipfile.ZipFile(app.apk) as archive:
        manifest = json.loads(archive.read("assets/bundle/manifest.json"))
    assert measurement.weights.sha256 == manifest["weights"]["sha256"]
