"""A bundle for another processor, built here, runs there: qemu-user is that processor, and dies of what it lacks.

The runtimes come out of the user's own store, or are built into it: minutes each, once.
"""

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen
from subprocess import run as start
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode
from tests.conftest import USERS_STORE
from tests.transports.foreign import AARCH64, Architecture

ARM = Architecture(
    name="arm", cpu="cortex-a7", debian="armhf",
    magic=r"\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x28\x00",
)  # fmt: skip
RISCV64 = Architecture(
    name="riscv64", cpu="sifive-u54", debian="riscv64",
    magic=r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xf3\x00",
)  # fmt: skip
_MOST_BYTES = 15_000_000
"""Of a bundle without its model."""
_SECONDS = 1200
# A binfmt_misc of its own: what is registered ends with the command, and this machine is not changed.
_WITHIN = """
set -e
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
echo "$1" >/proc/sys/fs/binfmt_misc/register
shift
exec "$@"
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A profile, and the processor that qemu shall be for it."""

    profile: str
    architecture: Architecture
    cpu: str

    def command(self, *words: str | Path) -> list[str | Path]:
        """The words of a command under which programs of that architecture run."""
        qemu = shutil.which(self.architecture.qemu)
        if not qemu or not shutil.which("unshare"):
            pytest.skip(f"{self.architecture.qemu} or unshare is not installed")
        namespaces = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"]
        return [*namespaces, "sh", "-c", _WITHIN, "sh", self.architecture.rule(qemu), *words]

    @property
    def environment(self) -> Mapping[str, str]:
        return {**os.environ, "QEMU_CPU": self.cpu, "EDGEPACK_RUNTIME": "server", "EDGEPACK_MAX_TOKENS": "16"}


TARGETS = (
    Target(profile="rpi5", architecture=AARCH64, cpu="cortex-a76"),
    Target(profile="rpi4-4gb", architecture=AARCH64, cpu="cortex-a72"),
    Target(profile="rpi-zero-2w", architecture=AARCH64, cpu="cortex-a53"),
    Target(profile="rpi3-32bit", architecture=ARM, cpu="cortex-a7"),
    Target(profile="visionfive2", architecture=RISCV64, cpu="sifive-u54"),
)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.profile)
def test_a_bundle_runs_on_its_processor(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Self-test, an answer of the server, and its bench; an illegal instruction ends any of them."""
    target.command()
    monkeypatch.setenv("EDGEPACK_HOME", str(USERS_STORE))
    bundle = tmp_path / "bundle"
    options = ["--model", "demo", "--no-bench", "--runtime", "build", "--out", str(bundle)]
    assert run(["build", "--profile", target.profile, *options]) == ExitCode.DONE
    files = [path for path in bundle.rglob("*") if path.is_file() and path.suffix != ".gguf"]
    assert sum(path.stat().st_size for path in files) <= _MOST_BYTES
    _ends_well(target, [bundle / "selftest"])
    lines = _ends_well(target, [bundle / "bench", "--json"]).splitlines()
    assert {(test["n_prompt"] > 0, test["avg_ts"] > 0) for test in map(json.loads, lines)} == {
        (True, True),
        (False, True),
    }
    with _serving(target, bundle) as address:
        question = {"messages": [{"role": "user", "content": "dim the kitchen lamp to 30"}], "max_tokens": 8}
        answer = json.loads(_asked(f"{address}/v1/chat/completions", json.dumps(question).encode()))
        assert answer["choices"][0]["message"]["content"].strip()


def _ends_well(target: Target, words: Sequence[str | Path]) -> str:
    done = start(
        target.command(*words), env=target.environment, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@contextmanager
def _serving(target: Target, bundle: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**target.environment, "EDGEPACK_PORT": str(port)}
    with Popen(
        target.command(bundle / "run"), env=environment, stdout=PIPE, stderr=(bundle.parent / "log").open("wb"),
        start_new_session=True,
    ) as server:  # fmt: skip
        try:
            address = f"http://127.0.0.1:{port}"
            until = time.monotonic() + _SECONDS
            while not _healthy(address):
                assert server.poll() is None, (bundle.parent / "log").read_text(errors="replace")[-2000:]
                assert time.monotonic() < until
                time.sleep(0.5)
            yield address
        finally:
            os.killpg(server.pid, signal.SIGKILL)


def _healthy(address: str) -> bool:
    try:
        return bool(_asked(f"{address}/health"))
    except URLError:
        return False


def _asked(address: str, data: bytes | None = None) -> bytes:
    with urlopen(Request(address, data, {"Content-Type": "application/json"}), timeout=_SECONDS) as answer:
        content: bytes = answer.read()
        return content
