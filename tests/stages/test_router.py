"""The program before two models, compiled by the pinned compiler for every target; what it says to nonsense."""

import shutil
import subprocess
from pathlib import Path

import pytest

from edgepack.domain.errors import NetworkError, UsageError
from edgepack.domain.native import ROUTER, NativeRuntime
from edgepack.domain.profile import Runtime
from edgepack.domain.progress import Silent
from edgepack.infra.elf import Machine, machine_of
from edgepack.infra.store import Store, home
from edgepack.stages.router import router_program
from tests.conftest import USERS_STORE

TRIPLES = ["x86_64-linux-musl", "aarch64-linux-musl", "arm-linux-musleabihf", "riscv64-linux-musl"]
ROUTE = '{"threshold": 0.5, "calibration": {"intercept": 0, "weights": {"product": 1}}, "address": %s, "model": null}'


def runtime(triple: str) -> Runtime:
    return Runtime(os="linux", abi="", target=triple, cpu="baseline")


def test_nothing_is_compiled_for_a_system_that_nothing_is_built_for() -> None:
    with pytest.raises(UsageError):
        router_program(runtime("x86_64-windows-gnu"), store=Store(home()), offline=True, progress=Silent())


def test_without_compiler_and_network_nothing_is_left_behind() -> None:
    with pytest.raises(NetworkError, match="not here, and --offline"):
        router_program(runtime(TRIPLES[0]), store=Store(home()), offline=True, progress=Silent())
    assert not list((home() / "partial").iterdir())


def made(triple: str) -> NativeRuntime:
    """Out of wheels that an earlier build of a runtime has fetched."""
    if not (home() / "vendor").exists():
        (home() / "vendor").symlink_to(USERS_STORE / "vendor")
    try:
        return router_program(runtime(triple), store=Store(home()), offline=True, progress=Silent())
    except NetworkError as error:
        pytest.skip(f"no build of a runtime has fetched the compiler yet: {error.what}")


@pytest.mark.slow
@pytest.mark.parametrize("triple", TRIPLES)
def test_it_is_static_small_and_for_its_machine(triple: str) -> None:
    """Run, or by qemu: a route that cannot be read is named, with exit code 2."""
    program = made(triple)
    (file,) = program.files
    assert file.name == ROUTER
    assert machine_of(file.path) is Machine.of_target(triple)
    assert b"ld-musl" not in file.path.read_bytes()
    assert file.size < 3_000_000
    assert {path.name.split("-")[0] for path in program.licences} >= {"cpp", "nlohmann", "musl"}
    words = [str(file.path)]
    if Machine.of_target(triple) is not machine_of(Path("/proc/self/exe").resolve()):
        emulator = shutil.which(f"qemu-{triple.partition('-')[0]}-static")
        words = [emulator or pytest.skip("no qemu for it here"), *words]
    for text, said in (("{", "parse error"), (ROUTE % '"https://x/v1"', "http://"), (ROUTE % "null", "a large one")):
        (home() / "route.json").write_text(text)
        done = subprocess.run(
            [*words, "--route", str(home() / "route.json"), "--", "/bin/true"], capture_output=True, text=True
        )
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
