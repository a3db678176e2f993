"""Devices to reach from a test: every way that leads to one, each with a userland of its own, all on this machine.

All of a device's processes carry its mark in their environment, so that a test sees what is left of them.
"""

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_hex
from subprocess import DEVNULL, Popen, run

import pytest
from _pytest.mark import ParameterSet

from edgepack.domain.device import AdbDevice, Device, LocalDevice, SshDevice
from edgepack.domain.progress import Progress, Silent
from edgepack.transports.opening import open_transport
from edgepack.transports.protocol import Patience, Transport
from tests.fakes.adbd import Adbd
from tests.fakes.sshd import Sshd, Unavailable
from tests.transports.foreign import AARCH64, BUSYBOX_FILLS, foreign_machine

IMPATIENT = Patience(attempts=5, first_wait=0.05, longest_wait=0.5, stall=10.0, beat=0.5)
QUICK_TO_DESPAIR = replace(IMPATIENT, silence=2)
"""A device with this takes four seconds without a sign of life for the end."""
_SOON = 10.0
"""Seconds, after which what did not happen will not."""
_MARK = "EDGEPACK_TEST"
_BARE_LACKS = ("sha256sum", "setsid", "stty", "find")


@dataclass(kw_only=True)
class Lab:
    """One device, and what a test may do to it."""

    name: str
    device: Device
    home: Path
    mark: str
    host: Mapping[str, str] = field(default_factory=dict)
    """The environment that leads there."""
    enter: tuple[str, ...] = ()
    """Words that start a program there, past the connection."""
    cut: Callable[[], None] = lambda: None
    """Ends the connection at once."""
    freeze: Callable[[], None] = lambda: None
    """Lets the connection stand, and nothing come through."""

    @property
    def root(self) -> Path:
        """Where edgepack's files lie on the device."""
        return self.home / "device"

    @property
    def files(self) -> list[str]:
        """Names of what was pushed, whole or not."""
        return sorted(path.name for path in (self.root / "files").glob("*"))

    @property
    def runs(self) -> list[Path]:
        """Directories of runs."""
        return sorted((self.root / "runs").glob("*/*"))

    def open(self, *, progress: Progress | None = None, patience: Patience = IMPATIENT) -> Transport:
        return open_transport(self.device, progress=progress or Silent(), patience=patience)

    def processes(self) -> dict[int, str]:
        """Command lines of the device's processes by their number."""
        found = {}
        for place in Path("/proc").glob("[0-9]*"):
            try:
                if f"{_MARK}={self.mark}\0".encode() in (place / "environ").read_bytes():
                    found[int(place.name)] = (place / "cmdline").read_bytes().decode().replace("\0", " ")
            except OSError:
                continue
        return found

    def clear(self) -> None:
        """Forget the tests before, but leave the place that a transport has found."""
        for path in [*self.root.glob("files/*"), *self.root.glob("runs/*/*")]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def eventually(happened: Callable[[], bool]) -> bool:
    """Whether it happens, soon."""
    until = time.monotonic() + _SOON
    while not happened():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def slow(name: str) -> ParameterSet:
    """A device for the slow tests only."""
    return pytest.param(name, marks=pytest.mark.slow)


def userland(place: Path, name: str) -> str:
    """A PATH with nothing on it but the programs of one kind; Unavailable where they are not here.

    "gnu" is what this machine has, "busybox" is all busybox, "bare" is that without what a small one may lack,
    "android" is mksh and toybox.
    """
    if name == "gnu":
        return os.environ["PATH"]
    place.mkdir(exist_ok=True)
    busybox = _needed("busybox")
    names = run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    programs = dict.fromkeys(names, busybox)
    if name == "android":
        toybox = _needed("toybox")
        theirs = run([toybox], capture_output=True, text=True, check=True).stdout.split()
        programs = dict.fromkeys(BUSYBOX_FILLS, busybox) | dict.fromkeys(theirs, toybox) | {"sh": _needed("mksh")}
    if name == "bare":
        programs = {program: real for program, real in programs.items() if program not in _BARE_LACKS}
    for program, real in programs.items():
        (place / program).symlink_to(real)
    return str(place)


def _needed(name: str) -> str:
    found = shutil.which(name)
    if not found:
        raise Unavailable(f"{name} is not installed")
    return found


def environment_of(home: Path, path: str) -> dict[str, str]:
    """What a device's commands know."""
    home.mkdir(exist_ok=True)
    return {"PATH": path, "HOME": str(home), "EDGEPACK_HOME": str(home), _MARK: token_hex(8)}


@contextmanager
def local_lab(place: Path) -> Iterator[Lab]:
    environment = environment_of(place / "home", userland(place / "bin", "gnu"))
    yield Lab(name="local", device=LocalDevice(), home=place / "home", mark=environment[_MARK], host=environment)


@contextmanager
def ssh_lab(name: str, place: Path, kind: str) -> Iterator[Lab]:
    environment = environment_of(place / "home", userland(place / "bin", kind))
    shell = "sh" if kind == "gnu" else f"{shutil.which('busybox')} sh"
    server = Sshd(place, environment, shell=shell)
    client = place / "client"
    server.install_client(client)
    try:
        yield Lab(
            name=name, device=SshDevice(host="board"), home=place / "home", mark=environment[_MARK],
            cut=server.cut, freeze=server.freeze,
            host={"PATH": f"{client}:{os.environ['PATH']}"},
        )  # fmt: skip
    finally:
        server.close()


@contextmanager
def adb_lab(name: str, place: Path, kind: str, *, shell_v2: bool, server_port: int) -> Iterator[Lab]:
    environment = environment_of(place / "home", userland(place / "bin", kind))
    daemon = Adbd(environment=environment, shell_v2=shell_v2)

    try:
        yield Lab(
            name=name, device=AdbDevice(serial=daemon.serial), home=place / "home", mark=environment[_MARK],
            cut=daemon.cut, freeze=daemon.freeze, host={"ANDROID_ADB_SERVER_PORT": str(server_port)},
        )  # fmt: skip
    finally:
        daemon.close()


@contextmanager
def foreign_ssh_lab(name: str, place: Path, kind: str = "busybox") -> Iterator[Lab]:
    """A board of another architecture, whose core is a Cortex-A76; its root is `place`/root."""
    (place / "home").mkdir()
    with foreign_machine(AARCH64, place, place / "home", kind) as machine:
        environment = environment_of(place / "home", machine.path) | machine.environment
        server = Sshd(place, environment, shell=" ".join([*machine.enter, "/bin/sh"]))
        client = place / "client"
        server.install_client(client)
        try:
            yield Lab(
                name=name, device=SshDevice(host="board"), home=place / "home", mark=environment[_MARK],
                cut=server.cut, freeze=server.freeze, enter=machine.enter,
                host={"PATH": f"{client}:{os.environ['PATH']}"},
            )  # fmt: skip
        finally:
            server.close()


@contextmanager
def foreign_adb_lab(name: str, place: Path, *, server_port: int) -> Iterator[Lab]:
    """A telephone of another architecture."""
    (place / "home").mkdir()
    with foreign_machine(AARCH64, place, place / "home", "android") as machine:
        environment = environment_of(place / "home", machine.path) | machine.environment
        daemon = Adbd(environment=environment, shell=(*machine.enter, "/bin/sh"))
        try:
            yield Lab(
                name=name, device=AdbDevice(serial=daemon.serial), home=place / "home", mark=environment[_MARK],
                cut=daemon.cut, freeze=daemon.freeze, enter=machine.enter,
                host={"ANDROID_ADB_SERVER_PORT": str(server_port)},
            )  # fmt: skip
        finally:
            daemon.close()


@contextmanager
def adb_server(place: Path) -> Iterator[int]:
    """The port of an adb server of our own, with keys of its own."""
    program = _needed("adb")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    environment = {**os.environ, "ANDROID_ADB_SERVER_PORT": str(port), "HOME": str(place)}
    with (place / "log").open("wb") as log:
        server = Popen(
            [program, "nodaemon", "server"], env=environment, stdin=DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        if not eventually(lambda: _listens(port)):
            raise Unavailable("adb's server does not start")
        yield port
    finally:
        server.terminate()
        server.wait(_SOON)


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


class Labs:
    """Devices by name, each started when it is first asked for, and connected to once for many tests."""

    def __init__(self, make_place: Callable[[str], Path]) -> None:
        self._make_place = make_place
        self._started: dict[str, Lab] = {}
        self._opened: dict[str, Transport] = {}
        self._server_port = 0
        self._stack = ExitStack()

    def __enter__(self) -> "Labs":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def get(self, name: str) -> Lab:
        """The device of that name, with nothing on it. Raises Unavailable where this machine cannot be it."""
        if not Path("/proc/self/environ").exists():
            raise Unavailable("no /proc to see processes in")
        if name not in self._started:
            self._started[name] = self._stack.enter_context(self._start(name))
        self._started[name].clear()
        return self._started[name]

    def opened(self, name: str) -> Transport:
        """A transport to that device, which other tests have used before."""
        if name not in self._opened:
            self._opened[name] = self._stack.enter_context(self._started[name].open())
        return self._opened[name]

    @property
    def server_port(self) -> int:
        """Of the adb server that the devices share."""
        self._server_port = self._server_port or self._stack.enter_context(adb_server(self._make_place("server")))
        return self._server_port

    def _start(self, name: str) -> AbstractContextManager[Lab]:
        place = self._make_place(name)
        match name:
            case "local":
                return local_lab(place)
            case "ssh":
                return ssh_lab(name, place, "gnu")
            case "ssh-busybox":
                return ssh_lab(name, place, _as_far_as_here("busybox"))
            case "ssh-bare":
                return ssh_lab(name, place, "bare")
            case "ssh-aarch64":
                return foreign_ssh_lab(name, place)
            case "adb-aarch64":
                return foreign_adb_lab(name, place, server_port=self.server_port)
            case "adb":
                kind = _as_far_as_here("android")
                return adb_lab(name, place, kind, shell_v2=True, server_port=self.server_port)
            case "adb-terminal":
                kind = _as_far_as_here("busybox")
                return adb_lab(name, place, kind, shell_v2=False, server_port=self.server_port)
        raise KeyError(name)


def _as_far_as_here(kind: str) -> str:
    """That kind of userland, or this machine's own where its programs are not installed."""
    needed = {"busybox": ["busybox"], "android": ["mksh", "toybox", "busybox"]}[kind]
    return kind if all(shutil.which(program) for program in needed) else "gnu"
