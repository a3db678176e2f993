"""The program that reads memory, compiled by the pinned compiler and run where this machine can run it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from edgepack.domain.bandwidth import parse_reading
from edgepack.domain.errors import NetworkError, UsageError
from edgepack.domain.profile import Runtime
from edgepack.domain.progress import Silent
from edgepack.infra.elf import Machine, machine_of
from edgepack.infra.kept import KeptFile
from edgepack.infra.machine import big_cpus
from edgepack.infra.store import Store, home
from edgepack.stages.probe import bandwidth_program
from tests.conftest import USERS_STORE

TRIPLES = ["x86_64-linux-musl", "aarch64-linux-musl", "arm-linux-musleabihf", "riscv64-linux-musl"]


def made(triple: str) -> KeptFile:
    """Out of wheels that an earlier build of a runtime has fetched."""
    wheels = USERS_STORE / "vendor"
    if not wheels.is_dir():
        pytest.skip("no build of a runtime has fetched the compiler yet")
    if not (home() / "vendor").exists():
        (home() / "vendor").symlink_to(wheels)
    runtime = Runtime(os="linux", abi="", target=triple, cpu="baseline")
    try:
        return bandwidth_program(runtime, store=Store(home()), offline=True, progress=Silent())
    except NetworkError as error:
        pytest.skip(f"no build of a runtime has fetched the compiler yet: {error.what}")


def runner(triple: str) -> list[str]:
    """The words that run such a program here."""
    kind = triple.partition("-")[0]
    if Machine.of_target(triple) is machine_of(Path("/proc/self/exe").resolve()):
        return []
    qemu = shutil.which(f"qemu-{kind}-static")
    if not qemu:
        pytest.skip(f"qemu for {kind} is not installed")
    return [qemu]


@pytest.mark.slow
@pytest.mark.parametrize("triple", TRIPLES)
def test_it_compiles_for_each_kind_of_processor_and_reads(triple: str) -> None:
    """Once: it has no place of this machine in it, and the second asking takes what the first made."""
    program = made(triple)
    assert machine_of(program.path) is Machine.of_target(triple)
    assert str(home()).encode() not in program.path.read_bytes()
    assert [path.name for path in program.path.parent.iterdir() if path.is_dir()] == []
    runtime = Runtime(os="linux", abi="", target=triple, cpu="cortex_a76")
    again = bandwidth_program(runtime, store=Store(home()), offline=True, progress=Silent())
    assert again == program
    cpus = [str(cpu) for cpu in big_cpus()[:2]]
    done = run([*runner(triple), program.path, "32", "3", "20", *cpus])
    assert done.returncode == 0
    found = parse_reading(done.stdout, busy=None)
    assert (found.threads, len(found.rounds)) == (len(cpus), 3)
    assert found.buffer <= 32 << 20
    for words in (["32", "0", "20", "0"], ["32", "3", "20"], ["32", "3", "20", "1023"]):
        refused = run([*runner(triple), program.path, *words])
        assert (refused.returncode, refused.stderr[:11]) == (1, "bandwidth: ")


def run(words: list[str | Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, timeout=60)


def test_without_a_network_and_a_compiler_nothing_is_made_and_nothing_left() -> None:
    runtime = Runtime(os="linux", abi="", target="aarch64-linux-musl", cpu="cortex_a76")
    with pytest.raises(NetworkError, match="not here, and --offline"):
        bandwidth_program(runtime, store=Store(home()), offline=True, progress=Silent())
    assert not list((home() / "partial").iterdir())


def test_for_a_mac_it_is_not_made() -> None:
    runtime = Runtime(os="macos", abi="", target="aarch64-macos", cpu="apple_m2")
    with pytest.raises(UsageError, match="edgepack builds for"):
        bandwidth_program(runtime, store=Store(home()), offline=True, progress=Silent())
