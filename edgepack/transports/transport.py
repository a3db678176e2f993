"""The transport that all links share: what protocol.Transport promises, over a device's POSIX shell."""

import posixpath
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from edgepack.domain.device import Device
from edgepack.domain.errors import UsageError
from edgepack.domain.progress import Progress
from edgepack.infra.process import Completed
from edgepack.transports.protocol import MINUTE, Link, Patience
from edgepack.transports.pulling import pull
from edgepack.transports.pushing import push
from edgepack.transports.remote import RemoteCommand
from edgepack.transports.scripts import intake_of
from edgepack.transports.shell import Shell


class ShellTransport:
    """One device's shell and what runs there; see protocol.Transport."""

    def __init__(self, link: Link, *, root: str, progress: Progress, patience: Patience) -> None:
        self._link = link
        self._remotes: list[RemoteCommand] = []
        try:
            self._shell = Shell(link, root=root, progress=progress, patience=patience)
        except BaseException:
            link.close()
            raise

    @property
    def device(self) -> Device:
        return self._link.device

    @property
    def root(self) -> str:
        return self._shell.root

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = MINUTE) -> Completed:
        return self._shell.run(argv, intake=intake_of(stdin), timeout=timeout)

    def start(self, argv: Sequence[str], *, stdin: bytes = b"") -> RemoteCommand:
        session = self._shell.begin(argv, intake=intake_of(stdin), merged=True)
        remote = RemoteCommand(self._shell, session, argv[0])
        self._remotes = [*(one for one in self._remotes if one.running), remote]
        return remote

    def push(self, source: Path, *, sha256: str, executable: bool = False) -> str:
        return push(self._shell, source, sha256=sha256, executable=executable)

    def pull(self, place: str, target: Path, *, sha256: str | None = None) -> None:
        pull(self._shell, place, target, sha256=sha256)

    def exists(self, place: str) -> bool:
        return self._shell.ask(["sh", "-c", '[ -e "$1" ]', "sh", place]).status == 0

    def remove(self, place: str) -> None:
        if not posixpath.normpath(place).startswith(f"{self.root}/"):
            raise UsageError(f"{place}: not below {self.root}", hint="other places on the device are not edgepack's")
        self._shell.insist(["rm", "-rf", place])

    def free_space(self) -> int:
        return self._shell.survey("")[2]

    def close(self) -> None:
        for remote in self._remotes:
            remote.stop()
        self._remotes = []
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
