"""An app over the real adb client: pushed, given to the package manager, started, its record pulled; refusals."""

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, Popen, run

import jsonschema
import pytest

from edgepack.cli.main import run as edgepack
from edgepack.domain.device import AdbDevice
from edgepack.domain.errors import DeviceError, EdgepackError, ExitCode, NoSpaceError, VerificationError
from edgepack.domain.installing import Installed
from edgepack.domain.measurement import Workload
from edgepack.domain.measurement_json import measurement_json
from edgepack.domain.progress import Bar, Silent
from edgepack.stages.install import install
from tests.fakes.adbd import Adbd
from tests.fakes.reports import measurement
from tests.fakes.sshd import Unavailable
from tests.formats.test_apk import written
from tests.transports.labs import adb_server, environment_of, eventually

PASSED = {
    "schema": "edgepack.selftest/1", "passed": True, "bundle": "tiny", "weights": "a" * 64, "prompt": "Say hello.",
    "answer": "hello", "milliseconds_to_first_token": 12,
}  # fmt: skip
SCHEMA = Path(__file__).parents[2] / "docs/schemas/install.schema.json"
FILES = "Android/data/dev.edgepack.demo/files"
# What Android's own do, as far as it can be seen from here: pm reads so many bytes, am starts something else.
PM = """#!/bin/sh
[ "$1 $2 $3" = "install -r -S" ] || { echo "Error: unknown command"; exit 1; }
head -c "$4" >"$HOME/installed.apk"
cat "$HOME/pm.says"
"""
AM = """#!/bin/sh
echo "$@" >"$HOME/am.heard"
cat "$HOME/am.says"
mkdir -p "$EXTERNAL_STORAGE/Android/data/dev.edgepack.demo/files"
cp "$HOME/selftest.json" "$EXTERNAL_STORAGE/Android/data/dev.edgepack.demo/files/"
"""


class Telephone:
    """A device with a package manager; what it says is a file's content."""

    def __init__(self, place: Path, *, trusts: bool = True) -> None:
        programs = place / "system"
        programs.mkdir(parents=True)
        for name, text in (("pm", PM), ("am", AM)):
            (programs / name).write_text(text)
            (programs / name).chmod(stat.S_IRWXU)
        self.home = place / "home"
        environment = environment_of(self.home, f"{programs}:{os.environ['PATH']}")
        self.adbd = Adbd(environment={**environment, "EXTERNAL_STORAGE": str(self.home / "sdcard")}, trusts=trusts)
        self.says("pm.says", "Success\n")
        self.says("am.says", "Starting: Intent { cmp=dev.edgepack.demo/.MainActivity }\n")
        self.says("selftest.json", json.dumps({**PASSED, "measurement": measurement_json(measurement())}))

    def says(self, name: str, text: str) -> None:
        (self.home / name).write_text(text)

    @property
    def device(self) -> AdbDevice:
        return AdbDevice(serial=self.adbd.serial)


class Pulled(Silent):
    """Pulls the cable once, when a third of a push has gone."""

    def __init__(self, telephone: Telephone) -> None:
        self.telephone = telephone
        self.pulled = False

    @contextmanager
    def bar(self, label: str, total: int | None, unit: str) -> Iterator[Bar]:
        with super().bar(label, total, unit) as silent:
            yield _Pulling(self, (total or 0) // 3) if label.startswith("push") else silent


class _Pulling:
    def __init__(self, progress: Pulled, left: int) -> None:
        self.progress, self.left = progress, left

    def advance(self, amount: int) -> None:
        self.left -= amount
        if self.left < 0 and not self.progress.pulled:
            self.progress.pulled = True
            self.progress.telephone.adbd.cut()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    try:
        with adb_server(tmp_path_factory.mktemp("server")) as port:
            yield port
    except Unavailable as why:
        pytest.skip(str(why))


@pytest.fixture(autouse=True)
def own_server(server: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server))
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    yield
    adb("disconnect")


@pytest.fixture
def telephone(tmp_path: Path) -> Iterator[Telephone]:
    telephone = Telephone(tmp_path / "telephone")
    yield telephone
    telephone.adbd.close()


@pytest.fixture
def apk(tmp_path: Path) -> Path:
    (tmp_path / "built").mkdir()
    return written(tmp_path / "built")


def adb(*words: str) -> str:
    return run(["adb", *words], stdin=DEVNULL, capture_output=True, text=True, check=False, timeout=30).stdout


def installed(apk: Path, device: AdbDevice, *, selftest: bool = True, progress: Silent | None = None) -> Installed:
    return install(
        apk, device, selftest=selftest, workload=Workload(), measurement=None, progress=progress or Silent()
    )


def test_an_app_is_installed_tests_itself_and_its_measurement_comes_back(
    apk: Path, telephone: Telephone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["deploy", str(apk), "--device", str(telephone.device), "--measurement", str(tmp_path / "m.json")]
    assert edgepack([*words, "--json"]) == ExitCode.DONE
    jsonschema.validate(json.loads(capsys.readouterr().out), json.loads(SCHEMA.read_text()))
    assert (telephone.home / "installed.apk").read_bytes() == apk.read_bytes()
    heard = (telephone.home / "am.heard").read_text()
    assert heard.startswith("start -S -n dev.edgepack.demo/.MainActivity --ez selftest true --ei prompt 512")
    assert json.loads((tmp_path / "m.json").read_text())["schema"] == "edgepack.measurement/1"
    assert not list((telephone.home / "device" / "files").glob("*")), "the APK does not stay where it was pushed"


def test_weights_too_large_for_it_are_put_beside_the_app(tmp_path: Path, telephone: Telephone) -> None:
    (tmp_path / "built").mkdir()
    weights = "model/tiny-q4_0-rpi5-8gb.gguf"
    apk = written(tmp_path / "built", without=frozenset({weights}))
    beside = apk.with_suffix(".beside") / weights
    beside.parent.mkdir(parents=True)
    beside.write_bytes((tmp_path / "built" / "blob").read_bytes())
    there = installed(apk, telephone.device)
    assert there.beside == beside.stat().st_size
    assert (telephone.home / "sdcard" / FILES / "bundle" / weights).read_bytes() == beside.read_bytes()


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("Failure [INSTALL_FAILED_INSUFFICIENT_STORAGE: Failed to override]", NoSpaceError, "no room for the app"),
        ("Failure [INSTALL_FAILED_UPDATE_INCOMPATIBLE: signatures]", DeviceError, "signed with another key"),
        ("Failure [INSTALL_FAILED_NO_MATCHING_ABIS: res=-113]", DeviceError, "no arm64 programs"),
        ("Failure [INSTALL_PARSE_FAILED_NO_CERTIFICATES]", DeviceError, "NO_CERTIFICATES"),
        ("", DeviceError, "no word"),
    ],
)
def test_what_the_package_manager_refuses_is_told_although_it_ends_with_0(
    apk: Path, telephone: Telephone, said: str, kind: type[EdgepackError], words: str
) -> None:
    telephone.says("pm.says", said)
    with pytest.raises(kind, match=words) as caught:
        installed(apk, telephone.device)
    assert "\n" not in caught.value.what + caught.value.hint
    assert not (telephone.home / "am.heard").exists()


@pytest.mark.parametrize(
    ("problem", "kind"), [("DAMAGED", VerificationError), ("NO_SPACE", NoSpaceError), ("RUNTIME_ENDED", DeviceError)]
)
def test_a_self_test_that_fails_is_told(
    apk: Path, telephone: Telephone, problem: str, kind: type[EdgepackError]
) -> None:
    failed = {"schema": "edgepack.selftest/1", "passed": False, "problem": problem, "detail": "why\nand more"}
    telephone.says("selftest.json", json.dumps(failed))
    with pytest.raises(kind, match=f"{problem}: why"):
        installed(apk, telephone.device)


def test_an_app_that_does_not_start_is_told(apk: Path, telephone: Telephone) -> None:
    telephone.says("am.says", "Error type 3\nError: Activity class does not exist.\n")
    with pytest.raises(DeviceError, match="does not start: Error: Activity class"):
        installed(apk, telephone.device)


def test_a_damaged_app_is_not_sent(apk: Path, telephone: Telephone) -> None:
    data = bytearray(apk.read_bytes())
    data[data.index(b"GGUF") + 9] ^= 1
    apk.write_bytes(data)
    with pytest.raises(VerificationError):
        installed(apk, telephone.device)
    assert not (telephone.home / "installed.apk").exists()


def test_a_cable_pulled_out_in_mid_push_costs_nothing(tmp_path: Path, telephone: Telephone) -> None:
    """The connection ends while the APK is on its way; it is connected to again, and what arrived is whole."""
    (tmp_path / "built").mkdir()
    apk = written(tmp_path / "built", size=20_000_000)

    progress = Pulled(telephone)
    there = installed(apk, telephone.device, selftest=False, progress=progress)
    assert progress.pulled
    assert there.size == apk.stat().st_size
    assert (telephone.home / "installed.apk").read_bytes() == apk.read_bytes()


def test_of_two_telephones_one_must_be_named(apk: Path, telephone: Telephone, tmp_path: Path) -> None:
    other = Telephone(tmp_path / "other")
    try:
        adb("connect", telephone.adbd.serial)
        adb("connect", other.adbd.serial)
        with pytest.raises(DeviceError, match="adb sees more than one device"):
            installed(apk, AdbDevice())
    finally:
        other.adbd.close()


def test_a_telephone_that_has_not_allowed_this_computer_is_told(apk: Path, tmp_path: Path) -> None:
    telephone = Telephone(tmp_path / "strange", trusts=False)
    waiting = Popen(["adb", "connect", telephone.adbd.serial], stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    try:
        assert eventually(lambda: "unauthorized" in adb("devices"))
        with pytest.raises(DeviceError, match="has not allowed this computer"):
            installed(apk, telephone.device)
    finally:
        waiting.kill()
        waiting.wait()
        telephone.adbd.close()


@pytest.mark.parametrize("words", [["--device", "local"], ["--device", "adb://x", "--to", "/data/x"]])
def test_an_app_goes_over_adb_to_where_android_puts_it(apk: Path, words: list[str]) -> None:
    assert edgepack(["deploy", str(apk), *words]) == ExitCode.USAGE
