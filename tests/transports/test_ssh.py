"""What is ssh's own: the user's configuration is used, one connection is shared, refusals say what to do next."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from edgepack.domain.device import SshDevice
from edgepack.domain.errors import DeviceError
from edgepack.transports.failures import RefusedError, UnreachableError
from edgepack.transports.opening import open_transport
from edgepack.transports.protocol import Transport
from tests.fakes.sshd import Sshd, Unavailable
from tests.transports.labs import IMPATIENT, Lab, environment_of, eventually, userland

BOARD = SshDevice(host="board")


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for temporary things that only this test uses; tmp_path is too long for a socket."""
    with tempfile.TemporaryDirectory() as place:
        monkeypatch.setattr(tempfile, "tempdir", place)
        yield Path(place)


@pytest.fixture
def server(tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    """A board of this test's own, which the user's `ssh board` reaches."""
    try:
        server = Sshd(tmp_path, environment_of(tmp_path / "home", userland(tmp_path / "bin", "gnu")))
    except Unavailable as why:
        pytest.skip(str(why))
    server.install_client(tmp_path / "client")
    monkeypatch.setenv("PATH", str(tmp_path / "client"), prepend=":")
    yield server
    server.close()


def refusal(device: SshDevice = BOARD) -> DeviceError:
    """The error with which connecting ends; it leaves no socket and no directory here."""
    with pytest.raises(DeviceError) as caught:
        open_transport(device, patience=IMPATIENT)
    assert list(Path(tempfile.gettempdir()).iterdir()) == []
    assert "\n" not in caught.value.what + caught.value.hint
    return caught.value


def test_one_connection_is_shared_and_let_go(server: Sshd, temporary: Path) -> None:
    with open_transport(BOARD, patience=IMPATIENT) as device, device.start(["sleep", "600"]):
        for _ in range(3):
            device.run(["true"])
        assert server.connections == 1
    assert eventually(lambda: server.connections == 0)
    assert list(temporary.iterdir()) == []


def test_a_connection_whose_socket_was_tidied_away_is_made_again(server: Sshd, temporary: Path) -> None:
    with open_transport(BOARD, patience=IMPATIENT) as device:
        for path in temporary.iterdir():
            shutil.rmtree(path)
        assert device.run(["echo", "here"]).stdout == "here\n"
    assert list(temporary.iterdir()) == []


def test_what_a_killed_edgepack_left_here_is_swept(server: Sshd, temporary: Path) -> None:
    old, young = temporary / "edgepack-ssh-old", temporary / "edgepack-ssh-young"
    for path in (old, young):
        path.mkdir()
        (path / "log").touch()
    os.utime(old, (0, 0))
    open_transport(BOARD, patience=IMPATIENT).close()
    assert list(temporary.iterdir()) == [young]


def test_a_jump_host_of_the_configuration_is_jumped_over(server: Sshd) -> None:
    with server.config.open("a") as config:
        config.write(f"Host inner\n HostName 127.0.0.1\n Port {server.port}\n ProxyJump board\n")
    with open_transport(SshDevice(host="inner"), patience=IMPATIENT) as device:
        assert device.run(["echo", "here"]).stdout == "here\n"
        assert server.connections == 2


def test_user_and_port_of_the_address_are_used(server: Sshd) -> None:
    device = SshDevice(host="127.0.0.1", user=server.user, port=server.port)
    with open_transport(device, patience=IMPATIENT) as transport:
        assert transport.run(["echo", "here"]).stdout == "here\n"
        assert str(transport.device) == f"ssh://{server.user}@127.0.0.1:{server.port}"


def test_a_key_that_is_not_installed_is_refused(server: Sshd) -> None:
    (server.directory / "authorized_keys").write_text("")
    error = refusal()
    assert isinstance(error, RefusedError)
    assert error.what == "ssh://board: Permission denied (publickey)"
    assert "ssh-copy-id" in error.hint


def test_a_changed_host_key_names_the_old_one(server: Sshd) -> None:
    server.meet(server.directory / "other_key.pub")
    error = refusal()
    assert isinstance(error, RefusedError)
    assert "host key is not the one that is known" in error.what
    assert f"({server.directory}/known_hosts:1)" in error.hint


def test_an_unknown_host_key_is_to_be_met_by_hand(server: Sshd) -> None:
    server.meet(None)
    error = refusal(SshDevice(host="127.0.0.1", user="pi", port=server.port))
    assert isinstance(error, RefusedError)
    assert "host key is not known" in error.what
    assert f"ssh -p {server.port} pi@127.0.0.1" in error.hint


def test_a_port_where_nobody_listens_is_told(server: Sshd) -> None:
    server.close()
    error = refusal()
    assert isinstance(error, UnreachableError)
    assert "Connection refused" in error.what


def test_a_name_that_means_no_host_is_told(server: Sshd) -> None:
    error = refusal(SshDevice(host="no-such-board.invalid"))
    assert "no host of the name no-such-board.invalid" in error.what


def test_a_broken_configuration_is_told(server: Sshd) -> None:
    server.config.write_text("Host *\n NoSuchOption yes\n")
    error = refusal()
    assert "Bad configuration option: nosuchoption" in error.what


def test_an_account_without_a_shell_is_told(server: Sshd, tmp_path: Path) -> None:
    server.close()
    (tmp_path / "no-shell").write_text("#!/bin/sh\necho This account is not available. >&2\nexit 1\n")
    (tmp_path / "no-shell").chmod(0o755)
    second = restarted(server, tmp_path / "no-shell")
    try:
        error = refusal()
        assert "no shell answered: This account is not available." in error.what
    finally:
        second.close()


def test_what_a_login_says_is_not_the_command_s(server: Sshd, tmp_path: Path) -> None:
    server.close()
    (tmp_path / "chatty").write_text('#!/bin/sh\necho welcome; echo welcome >&2\nexec sh "$@"\n')
    (tmp_path / "chatty").chmod(0o755)
    second = restarted(server, tmp_path / "chatty")
    try:
        with open_transport(BOARD, patience=IMPATIENT) as device:
            done = device.run(["sh", "-c", "echo out; echo err >&2"])
        assert (done.stdout, done.stderr) == ("out\n", "err\n")
    finally:
        second.close()


def restarted(server: Sshd, shell: Path) -> Sshd:
    """The same board, its logins with another shell."""
    directory = server.directory / "second"
    directory.mkdir()
    environment = environment_of(server.directory / "home", userland(server.directory / "bin", "gnu"))
    second = Sshd(directory, environment, shell=str(shell))
    server.config.write_text(second.config.read_text())
    return second


def test_without_ssh_nothing_is_reached(monkeypatch: pytest.MonkeyPatch, temporary: Path, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    error = refusal()
    assert "ssh is not installed here" in error.what


BARE = pytest.mark.parametrize("lab", ["ssh-bare"], indirect=True)


@BARE
def test_without_sha256sum_files_are_compared_by_reading_them_back(
    lab: Lab, device: Transport, tmp_path: Path
) -> None:
    source = tmp_path / "weights"
    data = bytes(range(256)) * 4000
    source.write_bytes(data)
    digest = sha256(data).hexdigest()
    (lab.root / "files" / f"{digest}.part").write_bytes(bytes(70_000))
    place = device.push(source, sha256=digest)
    assert lab.files == [digest]
    device.pull(place, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data


@BARE
def test_without_setsid_nothing_is_left_running(lab: Lab, device: Transport) -> None:
    assert device.run(["sh", "-c", "sleep 600 & (sleep 600 &) & echo started"]).stdout == "started\n"
    with device.start(["sh", "-c", "sleep 600 & echo up; sleep 600"]) as remote:
        assert next(remote.lines(10)) == "up"
        lab.cut()
    assert eventually(lambda: not lab.processes())
