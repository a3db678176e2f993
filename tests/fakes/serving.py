"""A bundle's `run` as a server on a free port, for as long as a test wants it, and what its memory does meanwhile."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen


@dataclass(frozen=True, kw_only=True)
class Served:
    """A server that answers: its address, and the process, which `run` became."""

    url: str
    process: "subprocess.Popen[str]"

    @property
    def memory(self) -> int:
        """Bytes of RSS."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024


def with_runtime(bundle: Path, runtime: Path) -> Path:
    """The bundle, with the program `llama` in its runtime/."""
    (bundle / "runtime").mkdir(exist_ok=True)
    shutil.copy(runtime, bundle / "runtime" / "llama")
    return bundle


@contextmanager
def served(bundle: Path, **settings: str) -> Iterator[Served]:
    """Start ./run and wait until it answers, and until it has said what became of a prompt state; then end it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = bundle.parent / f"{bundle.name}-{port}.log"
    with log.open("w") as words:
        process = subprocess.Popen(
            [bundle / "run"], env={**os.environ, "EDGEPACK_PORT": str(port), **settings}, text=True,
            stdout=words, stderr=words, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(process, url, log, state=(bundle / "state").exists())
        yield Served(url=url, process=process)
    finally:
        process.terminate()
        process.wait(60)


def _wait(process: "subprocess.Popen[str]", url: str, log: Path, *, state: bool) -> None:
    until = time.monotonic() + 300
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        said = log.read_text()
        try:
            with urlopen(f"{url}/health"):
                if not state or "prompt state:" in said or "the system prompt" in said:
                    return
        except URLError:
            pass
        time.sleep(0.1)
    raise AssertionError(log.read_text())
