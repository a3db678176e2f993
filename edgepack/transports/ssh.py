"""The way to a machine behind ssh: the user's own OpenSSH, with its configuration, agent and jump hosts.

One connection is made, in the background, and shared by all commands. It never asks anything: a key that needs
a passphrase belongs into the agent, a host that is not known is met by hand first.
"""

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from edgepack.domain.device import SshDevice
from edgepack.domain.errors import DeviceError
from edgepack.infra.process import ProgramMissing, ProgramTimeout, run, start
from edgepack.transports.failures import RefusedError, Symptom, UnreachableError, diagnose, last_line
from edgepack.transports.protocol import Patience

_AGAIN = "check that the device is on and connected, then run it again; by hand: {login}"
_SYMPTOMS = (
    Symptom(
        words=r"REMOTE HOST IDENTIFICATION HAS CHANGED(?:[\s\S]*?Offending \S+ key in (\S+))?",
        what="its host key is not the one that is known: another machine, or one that was installed anew",
        hint="if it is the latter, remove the old key ({0}), then meet it by hand: {login}",
        kind=RefusedError,
    ),
    Symptom(
        words="Host key verification failed",
        what="its host key is not known here",
        hint="meet it by hand once, and compare the fingerprint: {login}",
        kind=RefusedError,
    ),
    Symptom(
        words=r"^\S+: Permission denied \(([^)]*)\)\.\s*$",
        what="Permission denied ({0})",
        hint="install a key there (ssh-copy-id), or give the agent the one it knows (ssh-add); by hand: {login}",
        kind=RefusedError,
    ),
    Symptom(
        words="Too many authentication failures",
        what="too many keys were offered before the right one",
        hint="name the right one in the ssh configuration: IdentityFile, and IdentitiesOnly yes",
        kind=RefusedError,
    ),
    Symptom(
        words="Could not resolve hostname (.*?): ",
        what="no host of the name {0}",
        hint="check the name, or give it a HostName in the ssh configuration",
        kind=RefusedError,
    ),
    Symptom(
        words=r"(Bad configuration option.*|[Bb]ad owner or permissions on .*|no argument after keyword.*)",
        what="ssh does not take its configuration: {0}",
        hint="correct it, until this works: {login}",
        kind=RefusedError,
    ),
    Symptom(
        words=": Connection refused",
        what="nothing answers at the ssh port: Connection refused",
        hint="check the port, and that sshd runs there; by hand: {login}",
        kind=UnreachableError,
    ),
    Symptom(
        words="(No route to host|Network is unreachable|Connection timed out|Operation timed out)",
        what="{0}",
        hint=_AGAIN,
        kind=UnreachableError,
    ),
    Symptom(
        words=r"(kex_exchange_identification: .*|Connection (?:closed|reset) by .*|Timeout, server .*)",
        what="{0}",
        hint=_AGAIN,
        kind=UnreachableError,
    ),
)
_IDLE = 60
"""Seconds that the connection outlives its last command, where nobody is left to close it."""
_PREFIX = "edgepack-ssh-"
_FORGOTTEN = 24 * 3600
"""Seconds; a directory this old is made again by whoever still needs one."""
_LONGEST_PLACE = 60
"""Bytes; the path of a socket may have about a hundred, and ssh adds some."""


class SshLink:
    """One shared connection in a private directory; see protocol.Link."""

    def __init__(self, device: SshDevice, *, patience: Patience) -> None:
        self.device = device
        self._patience = patience
        self._directory = _private_directory()

    def connect(self) -> None:
        if self._socket.exists():
            return
        if not self._directory.is_dir():
            # Who tidies up temporary places may come by during a long measurement.
            self._directory = _private_directory()
        self._log.unlink(missing_ok=True)
        arguments = self._ssh("-M", "-N", "-f", "-E", str(self._log), "-o", f"ControlPersist={_IDLE}")
        try:
            master = start([*arguments, "--", self.device.host])
        except ProgramMissing as error:
            raise RefusedError(
                f"{self.device}: ssh is not installed here", hint="install OpenSSH's client (openssh-client)"
            ) from error
        # Not until its pipes end: older masters hold on to them in the background.
        status = master.wait(self._patience.connect + 2)
        master.finish(0)
        if status != 0:
            raise self._refused(status, master.complaints)

    def arguments(self, command: str) -> list[str]:
        return [*self._ssh("-o", "ControlMaster=no", "-T"), "--", self.device.host, command]

    def drop(self) -> None:
        if self._socket.exists():
            self._ask_master("exit")
            self._socket.unlink(missing_ok=True)

    def failure(self, complaints: str) -> DeviceError | None:
        device = self.device
        port = [] if device.port is None else ["-p", str(device.port)]
        login = " ".join(["ssh", *port, f"{device.login_prefix}{device.host}"])
        return diagnose(_SYMPTOMS, complaints, device=str(device), login=login)

    def close(self) -> None:
        self.drop()
        shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def _socket(self) -> Path:
        return self._directory / "ssh"

    @property
    def _log(self) -> Path:
        return self._directory / "log"

    def _refused(self, status: int | None, complaints: str) -> DeviceError:
        logged = self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""
        said = f"{complaints}\n{logged}"
        if told := self.failure(said):
            return told
        if status is None:
            return UnreachableError(
                f"{self.device}: no connection after {self._patience.connect:g} s",
                hint="check that the device, and every jump host on the way, is on and connected",
            )
        return RefusedError(
            f"{self.device}: ssh: {last_line(said) or f'ended with status {status}'}",
            hint="see by hand what it wants: ssh -v, and the same host",
        )

    def _ask_master(self, word: str) -> None:
        with suppress(ProgramTimeout):
            run([*self._ssh("-O", word), "--", self.device.host], timeout=self._patience.connect)

    def _ssh(self, *options: str) -> list[str]:
        """ssh with the user's configuration, less what it would ask, forward or run besides."""
        seconds = max(1, round(self._patience.connect))
        ours = [
            "BatchMode=yes", f"ConnectTimeout={seconds}", "ConnectionAttempts=1",
            f"ServerAliveInterval={max(1, round(self._patience.beat))}", "ServerAliveCountMax=3",
            "RequestTTY=no", "RemoteCommand=none", "ClearAllForwardings=yes", "ForwardAgent=no", "ForwardX11=no",
            "PermitLocalCommand=no", "EscapeChar=none", "LogLevel=INFO",
        ]  # fmt: skip
        words = [word for option in ours for word in ("-o", option)]
        user = ["-l", self.device.user] if self.device.user else []
        port = ["-p", str(self.device.port)] if self.device.port else []
        return ["ssh", *options, *words, "-S", str(self._socket), *user, *port]


def _private_directory() -> Path:
    name = tempfile.gettempdir()
    place = Path(name if len(name) <= _LONGEST_PLACE else "/tmp")  # noqa: S108
    _sweep(place)
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))


def _sweep(place: Path) -> None:
    """Remove what an edgepack that was killed has left; its connection closed itself long ago."""
    for path in place.glob(f"{_PREFIX}*"):
        with suppress(FileNotFoundError):
            facts = path.lstat()
            if facts.st_uid == os.getuid() and time.time() - facts.st_mtime > _FORGOTTEN:
                shutil.rmtree(path, ignore_errors=True)
