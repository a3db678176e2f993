"""What every transport promises, over every way to a device: this machine, real ssh, the real adb client."""

import hashlib
import os
import signal
import sys
from pathlib import Path
from subprocess import Popen, run

import pytest

from edgepack.domain.errors import DeviceError, NoSpaceError, UsageError
from edgepack.infra.process import Running
from edgepack.transports.failures import DeviceTimeoutError, GarbledError, LostError, RefusedError
from edgepack.transports.protocol import Transport
from tests.transports.labs import QUICK_TO_DESPAIR, Lab, eventually, slow

NASTY = [
    "", " ", "a b", "'", '"', "\\", "\\n", "\\\\", "$HOME", "$(id)", "`id`", "*", "~", "-n", "--", "!", "#", ";", "&",
    "a\nb", "\n", "\t", "\r\n", "é 漢", "%s", "{a,b}", "a=b",
]  # fmt: skip


def content(size: int) -> bytes:
    """Bytes of all values, no two blocks of them alike."""
    return b"".join(hashlib.sha256(number.to_bytes(8, "little")).digest() for number in range(-(-size // 32)))[:size]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def file_of(place: Path, data: bytes) -> tuple[Path, str]:
    """A file with that content, and its digest."""
    place.write_bytes(data)
    return place, digest(data)


def test_arguments_arrive_as_they_are(device: Transport) -> None:
    done = device.run(["sh", "-c", 'for word; do printf "<%s>" "$word"; done', "sh", *NASTY])
    assert done.stdout == "".join(f"<{word}>" for word in NASTY)
    assert (done.status, done.stderr) == (0, "")


def test_no_program_is_given_a_nul(device: Transport) -> None:
    with pytest.raises(UsageError, match="NUL"):
        device.run(["echo", "a\0b"])


def test_stdout_stderr_and_status_are_told_apart(device: Transport) -> None:
    """Also where adb's client ends with 0 whatever has happened, and knows one stream only."""
    for status in (0, 1, 7, 255):
        done = device.run(["sh", "-c", f"echo out; echo err >&2; printf end; exit {status}"])
        assert (done.status, done.stdout, done.stderr) == (status, "out\nend", "err\n")


def test_a_command_that_is_not_there_has_status_127(device: Transport) -> None:
    done = device.run(["no-such-program", "--at-all"])
    assert done.status == 127
    assert "no-such-program" in done.stderr


def test_a_command_ended_by_a_signal_has_its_status_from_128_on(device: Transport) -> None:
    assert device.run(["sh", "-c", "kill -9 $$"]).status == 137


def test_stdin_arrives_byte_for_byte(device: Transport) -> None:
    """Also what ssh and adb take for an order to themselves at a terminal."""
    data = content(1_000_003) + b"\n~.\n~?\x03\x04\x11\x13\x1a\r\n"
    done = device.run(["sha256sum"], stdin=data)
    assert done.stdout.split() == [digest(data), "-"]
    assert device.run(["wc", "-c"]).stdout.strip() == "0"


def test_input_that_nobody_reads_holds_nothing_up(device: Transport) -> None:
    assert device.run(["true"], stdin=content(1 << 20)).status == 0


def test_output_larger_than_any_pipe_arrives_whole(device: Transport) -> None:
    done = device.run(["sh", "-c", "i=0; while [ $i -lt 40000 ]; do echo line $i; i=$((i+1)); done"])
    assert done.stdout == "".join(f"line {number}\n" for number in range(40000))


@pytest.mark.parametrize("lab", ["local"], indirect=True)
def test_output_without_end_is_refused(device: Transport) -> None:
    with pytest.raises(RefusedError, match="more than 67108864 bytes of output"):
        device.run(["yes"])


def test_a_command_has_an_empty_directory_that_goes_with_it(device: Transport, lab: Lab) -> None:
    done = device.run(["sh", "-c", 'ls -A; pwd; [ "$TMPDIR" -ef . ] || [ "$TMPDIR" = "$PWD" ]; touch left'])
    place = done.stdout.strip()
    assert done.status == 0
    assert place.startswith(str(lab.root))
    assert not device.exists(place)


def test_what_a_command_left_running_is_ended_with_it(device: Transport, lab: Lab) -> None:
    """Children, and what gave itself a session of its own."""
    assert device.run(["sh", "-c", "sleep 600 & setsid sleep 600 & echo started"]).stdout == "started\n"
    assert "sleep 600" not in lab.processes().values()
    # The fixture sees whether anything runs.


def test_a_command_without_end_is_ended(device: Transport) -> None:
    with pytest.raises(DeviceTimeoutError, match=r"sh: no end after 0\.3 s"):
        device.run(["sh", "-c", "sleep 600; sleep 600"], timeout=0.3)
    assert device.run(["echo", "next"]).stdout == "next\n"


@pytest.mark.parametrize("lab", ["ssh-busybox"], indirect=True)
def test_a_command_that_does_not_listen_is_ended_too(device: Transport) -> None:
    with pytest.raises(DeviceTimeoutError, match="it was stopped"):
        device.run(["sh", "-c", "trap '' TERM; sleep 600; sleep 600"], timeout=0.3)


def test_a_started_command_is_heard_while_it_runs_and_stopped(device: Transport, lab: Lab) -> None:
    with device.start(["sh", "-c", "echo out; echo err >&2; cat; exec sleep 600"], stdin=b"given\n") as remote:
        lines = remote.lines(10)
        assert [next(lines) for _ in range(3)] == ["out", "err", "given"]
        assert remote.running
        assert device.run(["echo", "meanwhile"]).stdout == "meanwhile\n"
        with pytest.raises(DeviceTimeoutError, match="silent for"):
            next(remote.lines(0.1))
        with pytest.raises(DeviceTimeoutError, match="no end after"):
            remote.wait(0.1)
        remote.stop()
        assert remote.wait(0) == 128 + signal.SIGTERM
    assert eventually(lambda: not lab.processes())


def test_a_started_command_that_ends_gives_its_last_words_and_status(device: Transport) -> None:
    with device.start(["sh", "-c", "echo one; printf two; exit 3"]) as remote:
        assert list(remote.lines(10)) == ["one", "two"]
        assert remote.wait(10) == 3
        assert list(remote.lines(10)) == []


@pytest.mark.parametrize("lab", ["local"], indirect=True)
def test_of_lines_that_nobody_reads_the_last_are_kept(device: Transport) -> None:
    with device.start(["sh", "-c", "i=0; while [ $i -lt 12000 ]; do echo line $i; i=$((i+1)); done"]) as remote:
        assert remote.wait(60) == 0
        assert list(remote.lines(1))[-2:] == ["line 11998", "line 11999"]


def test_closing_ends_what_was_started(lab: Lab) -> None:
    device = lab.open()
    remote = device.start(["sleep", "600"])
    assert eventually(lambda: any("sleep 600" in line for line in lab.processes().values()))
    device.close()
    assert not remote.running


def test_a_pushed_file_is_named_by_its_digest(device: Transport, lab: Lab, tmp_path: Path) -> None:
    source, sha256 = file_of(tmp_path / "weights", content(3_000_001))
    place = device.push(source, sha256=sha256)
    assert Path(place) == lab.root / "files" / sha256
    assert Path(place).read_bytes() == source.read_bytes()
    assert lab.files == [sha256]
    assert device.exists(place)


def test_a_file_that_is_there_is_not_brought_again(device: Transport, tmp_path: Path) -> None:
    source, sha256 = file_of(tmp_path / "program", b"exit 5\n")
    place = device.push(source, sha256=sha256)
    before = Path(place).stat().st_ino
    assert device.run([place]).status == 126
    assert device.push(source, sha256=sha256, executable=True) == place
    assert Path(place).stat().st_ino == before
    assert device.run(["sh", "-c", place]).status == 5


@pytest.mark.parametrize("lab", ["local"], indirect=True)
def test_a_large_file_goes_in_pieces(device: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgepack.transports.pushing._PIECE", 1 << 20)
    monkeypatch.setattr("edgepack.transports.pulling._PIECE", 1 << 20)
    for size in (3 << 20, (3 << 20) + 1):
        source, sha256 = file_of(tmp_path / "weights", content(size))
        device.pull(device.push(source, sha256=sha256), tmp_path / "back", sha256=sha256)
        assert (tmp_path / "back").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("lab", ["ssh-busybox"], indirect=True)
def test_a_file_that_does_not_fit_is_not_begun(device: Transport, lab: Lab, tmp_path: Path) -> None:
    source, sha256 = file_of(tmp_path / "weights", content(300_000))
    df = lab.home.parent / "bin" / "df"
    if not df.is_symlink():
        pytest.skip("busybox is not installed")
    if device.run(["sh", "-c", "command -v df"]).stdout.strip() != str(df):
        pytest.skip("this busybox's shell takes its own df before any on PATH")
    real = df.readlink()
    df.unlink()
    df.write_text("#!/bin/sh\necho Filesystem; echo /dev/sda 9 9 3000 99% /\n")
    df.chmod(0o755)
    try:
        with pytest.raises(NoSpaceError, match=r"0\.3 MB to bring, 3\.1 MB free"):
            device.push(source, sha256=sha256)
    finally:
        df.unlink()
        df.symlink_to(real)
    assert lab.files == []


def test_a_disk_that_takes_no_more_is_told(tmp_path: Path) -> None:
    """Here it is a limit on the size of files that ends the writing in the midst."""
    source, sha256 = file_of(tmp_path / "weights", content(3_000_000))
    push = f"""
from pathlib import Path
from edgepack.domain.device import LocalDevice
from edgepack.transports.opening import open_transport
from edgepack.transports.protocol import Patience
with open_transport(LocalDevice(), root={str(tmp_path / "root")!r}, patience=Patience(first_wait=0.01)) as device:
    device.push(Path({str(source)!r}), sha256={sha256!r})
"""
    words = ["sh", "-c", 'ulimit -f 2000; exec "$@"', "sh", sys.executable, "-c", push]
    done = run(words, capture_output=True, text=True, check=False)
    assert "the input did not arrive in full" in done.stderr
    assert [path.suffix for path in (tmp_path / "root" / "files").iterdir()] == [".part"]


def test_an_empty_file_is_a_file(device: Transport, lab: Lab, tmp_path: Path) -> None:
    source, sha256 = file_of(tmp_path / "empty", b"")
    assert Path(device.push(source, sha256=sha256)).read_bytes() == b""
    device.pull(str(lab.root / "files" / sha256), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b""


@pytest.mark.parametrize("begun", [100_000, 3_000_000])
def test_a_push_goes_on_where_it_was_cut(
    device: Transport, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: int
) -> None:
    source, sha256 = file_of(tmp_path / "weights", content(3_000_000))
    part = lab.root / "files" / f"{sha256}.part"
    part.write_bytes(source.read_bytes()[:begun])
    inode = part.stat().st_ino
    sent: list[int] = []
    send = Running.send
    monkeypatch.setattr(Running, "send", lambda self, data: (sent.append(len(data)), send(self, data)))
    place = Path(device.push(source, sha256=sha256))
    assert sum(sent) < 3_000_000 - begun + 100_000
    assert place.read_bytes() == source.read_bytes()
    assert place.stat().st_ino == inode
    assert lab.files == [sha256]


def test_a_beginning_that_is_another_file_s_is_not_gone_on_with(device: Transport, lab: Lab, tmp_path: Path) -> None:
    """Its digest tells; a beginning that is too long tells by itself."""
    source, sha256 = file_of(tmp_path / "weights", content(300_000))
    for beginning in (bytes(200_000), bytes(400_000)):
        (lab.root / "files" / f"{sha256}.part").write_bytes(beginning)
        place = device.push(source, sha256=sha256)
        assert Path(place).read_bytes() == source.read_bytes()
        device.remove(place)


def test_a_file_of_another_size_under_the_name_is_brought_anew(device: Transport, lab: Lab, tmp_path: Path) -> None:
    source, sha256 = file_of(tmp_path / "weights", content(300_000))
    (lab.root / "files" / sha256).write_bytes(bytes(10))
    assert Path(device.push(source, sha256=sha256)).read_bytes() == source.read_bytes()


def test_a_file_that_is_not_of_its_digest_gets_no_name(device: Transport, lab: Lab, tmp_path: Path) -> None:
    source, _ = file_of(tmp_path / "weights", content(300_000))
    with pytest.raises(GarbledError, match="no longer the file"):
        device.push(source, sha256=digest(b"another"))
    assert lab.files == []


def test_a_pulled_file_is_whole(device: Transport, lab: Lab, tmp_path: Path) -> None:
    data = content(3_000_001)
    (lab.home / "some 'thing").write_bytes(data)
    target = tmp_path / "back"
    target.write_bytes(b"what was there before")
    device.pull(str(lab.home / "some 'thing"), target)
    assert target.read_bytes() == data
    device.pull(str(lab.home / "some 'thing"), target, sha256=digest(data))
    assert [path.name for path in tmp_path.glob("*back*")] == ["back"]


def test_a_pulled_file_of_another_digest_replaces_nothing(device: Transport, lab: Lab, tmp_path: Path) -> None:
    (lab.home / "thing").write_bytes(b"one thing")
    target = tmp_path / "back"
    target.write_bytes(b"what was there before")
    with pytest.raises(GarbledError, match="expected"):
        device.pull(str(lab.home / "thing"), target, sha256=digest(b"another thing"))
    assert target.read_bytes() == b"what was there before"
    assert [path.name for path in tmp_path.glob("*back*")] == ["back"]


def test_what_is_not_there_cannot_be_pulled(device: Transport, lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no such file"):
        device.pull(str(lab.home / "nothing"), tmp_path / "back")


def test_only_what_is_edgepack_s_is_removed(device: Transport, lab: Lab) -> None:
    (lab.root / "files" / "x").mkdir()
    device.remove(f"{device.root}/files/x")
    device.remove(f"{device.root}/files/x")
    assert not device.exists(f"{device.root}/files/x")
    for place in ("/", device.root, f"{device.root}/", f"{device.root}/..", f"{device.root}/files/../../x", "x"):
        with pytest.raises(UsageError, match="not below"):
            device.remove(place)
    assert lab.root.is_dir()


def test_free_space_is_that_of_the_disk(device: Transport, lab: Lab) -> None:
    told = device.free_space()
    disk = os.statvfs(lab.home)
    # toybox counts what is kept for root as free.
    assert 0.5 * disk.f_bavail < told / disk.f_frsize < 2 * disk.f_bfree


def test_what_dead_runs_left_is_swept_and_what_lives_is_not(lab: Lab) -> None:
    """A guard was killed with all that watched over its run, as by a machine short of memory."""
    environment = {**os.environ, "EDGEPACK_RUN": "0123456789abcdef"}
    orphan = Popen([*lab.enter, "/bin/sleep", "600"], env=environment)
    with lab.open() as device, device.start(["sleep", "600"]) as remote:
        assert eventually(lambda: len(lab.runs) == 1)
        (lives,) = lab.runs
        dead = lives.with_name("1.0123456789abcdef")
        (dead / "scratch").mkdir(parents=True)
        old, young = (lab.root / "files" / f"{digest(word)}.part" for word in (b"old", b"young"))
        for part in (old, young):
            part.write_bytes(b"begun")
        os.utime(old, (0, 0))
        with lab.open():
            assert lab.runs == [lives]
            assert lab.files == [young.name]
        assert orphan.wait(10) == -signal.SIGKILL
        assert remote.running


@pytest.mark.parametrize("lab", ["ssh-busybox"], indirect=True)
def test_a_quiet_command_is_not_taken_for_a_dead_connection_s(lab: Lab) -> None:
    with lab.open(patience=QUICK_TO_DESPAIR) as device:
        assert device.run(["sh", "-c", "sleep 5; echo slept"]).stdout == "slept\n"


def test_nobody_s_secret_is_in_the_list_of_processes(device: Transport, lab: Lab) -> None:
    """What is run is sent, not written on a command line here; there, only the command itself has its words."""
    with device.start(["sh", "-c", "read -r line; sleep 600", "sh"], stdin=b"sesame\n"):
        assert eventually(lambda: "sleep 600" in "".join(lab.processes().values()))
        lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
        assert not any(b"sesame" in line for line in lines)


@pytest.mark.parametrize("lab", ["ssh-busybox", "adb", slow("adb-terminal")], indirect=True)
def test_a_command_is_lost_with_its_connection_and_the_next_finds_a_new_one(lab: Lab) -> None:
    with lab.open() as device:
        remote = device.start(["sleep", "600"])
        assert eventually(lambda: "sleep 600" in "".join(lab.processes().values()))
        lab.cut()
        with pytest.raises(LostError, match="went away"):
            remote.wait(20)
        assert eventually(lambda: not lab.processes())
        assert lab.runs == []
        assert device.run(["echo", "again"]).stdout == "again\n"


@pytest.mark.parametrize("lab", ["ssh-busybox", slow("adb"), slow("adb-terminal")], indirect=True)
def test_a_connection_that_falls_silent_is_taken_for_lost_there_and_here(lab: Lab) -> None:
    with lab.open(patience=QUICK_TO_DESPAIR) as device:
        remote = device.start(["sleep", "600"])
        assert eventually(lambda: "sleep 600" in "".join(lab.processes().values()))
        lab.freeze()
        assert eventually(lambda: not lab.processes())
        assert lab.runs == []
        lab.cut()
        with pytest.raises(LostError):
            remote.wait(20)
