"""A real sshd on loopback, as whoever runs the tests, with keys, configuration and clients of its own.

It can be cut off (its processes of the connections are killed, what they started is not), and fall silent.
"""

import getpass
import os
import shutil
import signal
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, Popen, run

_PRIVSEP = Path("/run/sshd")
_STARTUP = 10.0
"""Seconds."""


class Unavailable(Exception):
    """There is no sshd here, or it does not want to run."""


class Sshd:
    """A device behind ssh; `environment` is what its commands know, `shell -c` what reads a command line there."""

    def __init__(self, directory: Path, environment: Mapping[str, str], *, shell: str = "sh") -> None:
        self._program = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
        if not self._program or not shutil.which("ssh-keygen") or not shutil.which("ssh"):
            raise Unavailable("sshd or ssh is not installed")
        if os.getuid() == 0:
            _PRIVSEP.mkdir(mode=0o755, exist_ok=True)
        self.directory = directory
        self.user = getpass.getuser()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        for name in ("host_key", "user_key", "other_key"):
            run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)],
                check=True,
                stdin=DEVNULL,
            )
        shutil.copy(directory / "user_key.pub", directory / "authorized_keys")
        self._configure(environment, shell)
        self.meet(directory / "host_key.pub")
        self._server = self._start()

    @property
    def config(self) -> Path:
        """A client's configuration, in which this device is `board`."""
        return self.directory / "ssh_config"

    @property
    def connections(self) -> int:
        """How many stand."""
        return len(self._connections())

    def meet(self, key: Path | None) -> None:
        """Make this the host key that the client knows, or none."""
        known = f"[127.0.0.1]:{self.port} {key.read_text()}" if key else ""
        (self.directory / "known_hosts").write_text(known)

    def install_client(self, directory: Path) -> None:
        """Write an `ssh` that reads that configuration and nothing of the user's."""
        directory.mkdir(exist_ok=True)
        shim = directory / "ssh"
        shim.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.config} "$@"\n')
        shim.chmod(0o755)

    def cut(self) -> None:
        """End every connection at once, as a reboot of a router does."""
        for pid in self._connections():
            _signal(pid, signal.SIGKILL)

    def freeze(self) -> None:
        """Let every connection stand and say nothing, as when the network swallows all."""
        for pid in self._connections():
            _signal(pid, signal.SIGSTOP)

    def close(self) -> None:
        self.cut()
        self._server.terminate()
        self._server.wait(_STARTUP)

    def _configure(self, environment: Mapping[str, str], shell: str) -> None:
        settings = " ".join(f"{name}={value}" for name, value in environment.items())
        (self.directory / "banner").write_text("Welcome. Permission denied (to strangers).\n")
        lines = [
            f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {self.directory}/host_key",
            f"AuthorizedKeysFile {self.directory}/authorized_keys", "StrictModes no", "PermitRootLogin yes",
            "PasswordAuthentication no", "KbdInteractiveAuthentication no", "UsePAM no", f"SetEnv {settings}",
            f"PidFile {self.directory}/pid", "LogLevel ERROR",
            f"Banner {self.directory}/banner", f'ForceCommand exec {shell} -c "$SSH_ORIGINAL_COMMAND"',
        ]  # fmt: skip
        (self.directory / "sshd_config").write_text("\n".join(lines) + "\n")
        self.config.write_text(
            f"Host board\n HostName 127.0.0.1\n Port {self.port}\nHost *\n User {self.user}\n"
            f" IdentityFile {self.directory}/user_key\n IdentitiesOnly yes\n IdentityAgent none\n"
            f" UserKnownHostsFile {self.directory}/known_hosts\n GlobalKnownHostsFile none\n"
        )

    def _start(self) -> Popen[bytes]:
        log = self.directory / "log"
        words = [str(self._program), "-D", "-f", str(self.directory / "sshd_config"), "-E", str(log)]
        server = Popen(words, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True)
        until = time.monotonic() + _STARTUP
        while server.poll() is None and time.monotonic() < until:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", self.port)) == 0:
                    return server
            time.sleep(0.02)
        server.kill()
        raise Unavailable(f"sshd does not start: {log.read_text() if log.exists() else 'no word'}")

    def _connections(self) -> list[int]:
        """Processes that hold a connection: the listener's children, and theirs (privilege separation)."""
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                name, _, rest = stat.read_text().partition(" (")[2].rpartition(") ")
            except OSError:
                continue
            if name.startswith("sshd"):
                parents[int(stat.parent.name)] = int(rest.split()[1])
        ours = {self._server.pid}
        for _ in range(3):
            ours |= {pid for pid, parent in parents.items() if parent in ours}
        return sorted(ours - {self._server.pid})


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
