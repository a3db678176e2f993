"""What is adb's own: its server and serials, statuses that are none, old shells, refusals and what they mean."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, Popen, run

import pytest

from edgepack.domain.device import AdbDevice
from edgepack.domain.errors import DeviceError, VerificationError
from edgepack.domain.progress import Silent
from edgepack.stages.deploy import deploy
from edgepack.transports.failures import LostError, RefusedError, UnreachableError
from edgepack.transports.opening import open_transport
from tests.fakes.adbd import Adbd
from tests.fakes.deployable import SILENT, make_deployable
from tests.fakes.sshd import Unavailable
from tests.transports.labs import (
    IMPATIENT,
    QUICK_TO_DESPAIR,
    Lab,
    adb_server,
    environment_of,
    eventually,
    slow,
    userland,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """An adb server that nobody else uses: its port."""
    try:
        with adb_server(tmp_path_factory.mktemp("server")) as port:
            yield port
    except Unavailable as why:
        pytest.skip(str(why))


@pytest.fixture(autouse=True)
def own_server(server: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test finds it without a device, and without a serial in the environment."""
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server))
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    yield
    adb("disconnect")


def adb(*words: str) -> tuple[int, str]:
    """What the real client answers."""
    done = run(["adb", *words], stdin=DEVNULL, capture_output=True, text=True, check=False, timeout=30)
    return done.returncode, done.stdout.strip()


@contextmanager
def plugged_in(place: Path, *, shell_v2: bool = True, trusts: bool = True, honest: bool = True) -> Iterator[Adbd]:
    """A device of this test's own, which the server does not know yet."""
    place.mkdir(exist_ok=True)
    environment = environment_of(place / "home", userland(place / "bin", "gnu"))
    device = Adbd(environment=environment, shell_v2=shell_v2, trusts=trusts, honest=honest)
    try:
        yield device
    finally:
        device.close()


def refusal(serial: str | None) -> DeviceError:
    """The error with which connecting ends."""
    with pytest.raises(DeviceError) as caught:
        open_transport(AdbDevice(serial=serial), patience=IMPATIENT)
    assert "\n" not in caught.value.what + caught.value.hint
    return caught.value


def test_the_only_device_needs_no_serial_and_stays_the_one(tmp_path: Path) -> None:
    with plugged_in(tmp_path / "one") as one, plugged_in(tmp_path / "two") as two:
        adb("connect", one.serial)
        with open_transport(AdbDevice(), patience=IMPATIENT) as device:
            adb("connect", two.serial)
            assert device.root == str(tmp_path / "one" / "home" / "device")
            assert device.run(["sh", "-c", 'echo "$HOME"']).stdout == f"{tmp_path}/one/home\n"


def test_a_device_of_the_network_is_connected_to(tmp_path: Path) -> None:
    with plugged_in(tmp_path) as one, open_transport(AdbDevice(serial=one.serial), patience=IMPATIENT) as device:
        assert device.run(["echo", "here"]).stdout == "here\n"


def test_of_two_devices_one_must_be_named(tmp_path: Path) -> None:
    with plugged_in(tmp_path / "one") as one, plugged_in(tmp_path / "two") as two:
        adb("connect", one.serial)
        adb("connect", two.serial)
        error = refusal(None)
    assert error.what == "adb://: adb sees more than one device"
    assert "adb://SERIAL" in error.hint


def test_no_device_is_told_with_what_to_do() -> None:
    error = refusal(None)
    assert isinstance(error, UnreachableError)
    assert error.what == "adb://: adb sees no device"
    assert "USB debugging" in error.hint


def test_a_serial_that_is_not_there_is_told() -> None:
    error = refusal("R58M123ABC")
    assert error.what == "adb://R58M123ABC: adb does not see it"


def test_an_address_where_nobody_listens_is_told(tmp_path: Path) -> None:
    with plugged_in(tmp_path) as one:
        serial = one.serial
    error = refusal(serial)
    assert isinstance(error, UnreachableError)
    assert "Connection refused" in error.what


def test_a_device_that_does_not_know_this_computer_is_told(tmp_path: Path) -> None:
    """The client's own `connect` waits ten seconds for the touch that does not come."""
    with plugged_in(tmp_path, trusts=False) as one:
        waiting = Popen(["adb", "connect", one.serial], stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
        try:
            assert eventually(lambda: "unauthorized" in adb("devices")[1])
            error = refusal(one.serial)
        finally:
            waiting.kill()
            waiting.wait()
    assert isinstance(error, RefusedError)
    assert "has not allowed this computer" in error.what
    assert "unlock its screen" in error.hint


@pytest.mark.parametrize("shell_v2", [True, False])
def test_exit_0_but_failed(tmp_path: Path, shell_v2: bool) -> None:
    """The client ends with 0, truly; the status that counts is the one that the device wrote."""
    with plugged_in(tmp_path, shell_v2=shell_v2, honest=False) as one:
        adb("connect", one.serial)
        assert adb("-s", one.serial, "shell", "false") == (0, "")
        with open_transport(AdbDevice(serial=one.serial), patience=IMPATIENT) as device:
            assert device.run(["false"]).status == 1
            assert not device.exists("/no/such/place")
            assert device.run(["no-such-program"]).status == 127


@pytest.mark.parametrize("shell_v2", [True, False])
def test_a_deploy_behind_a_client_that_always_ends_with_0_is_not_fooled(tmp_path: Path, shell_v2: bool) -> None:
    """The self-test fails there, the client says 0, and the old release still serves."""
    with plugged_in(tmp_path / "device", shell_v2=shell_v2, honest=False) as one:
        adb("connect", one.serial)
        device, place = AdbDevice(serial=one.serial), str(tmp_path / "to")
        good, silent = make_deployable(tmp_path / "one"), make_deployable(tmp_path / "two", runtime=SILENT)
        first = deploy(good, device, place=place, selftest=True, keep=1, progress=Silent())
        with pytest.raises(VerificationError, match="the old release still serves"):
            deploy(silent, device, place=place, selftest=True, keep=1, progress=Silent())
        kept = deploy(good, device, place=place, selftest=True, keep=1, progress=Silent())
        assert (kept.release, kept.switched) == (first.release, False)


@pytest.mark.parametrize("lab", ["adb", slow("adb-terminal")], indirect=True)
def test_exit_0_without_a_last_word_is_no_success(lab: Lab) -> None:
    """The guard dies on the device, as by a machine short of memory; what watched over the run ends it."""
    with lab.open(patience=QUICK_TO_DESPAIR) as device:
        remote = device.start(["sh", "-c", "echo up; sleep 600; echo never"])
        assert next(remote.lines(10)) == "up"
        (run_directory,) = lab.runs
        os.kill(int(run_directory.name.partition(".")[0]), signal.SIGKILL)
        with pytest.raises(LostError):
            remote.wait(20)
        assert eventually(lambda: not lab.processes())
        assert eventually(lambda: lab.runs == [])


def test_a_terminal_that_changes_line_ends_is_not_trusted(tmp_path: Path) -> None:
    """Android 5 and 6 have no stty; a file would arrive as another."""
    with plugged_in(tmp_path, shell_v2=False) as one:
        bare = tmp_path / "bare"
        bare.mkdir()
        (bare / "sh").symlink_to("/bin/sh")
        one.environment = {**one.environment, "PATH": str(bare)}
        error = refusal(one.serial)
    assert isinstance(error, RefusedError)
    assert "changes line ends" in error.what


def test_without_adb_nothing_is_reached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        error = refusal(None)
    assert "adb is not installed here" in error.what
