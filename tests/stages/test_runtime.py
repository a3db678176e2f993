"""A runtime of one's own, and the one that is built: for the profile's machine, kept, and never half."""

import shutil
from pathlib import Path

import pytest

from edgepack.domain.errors import BadInputError, NetworkError, UsageError
from edgepack.domain.native import Program, build_target
from edgepack.domain.processors import COMPILED, compiler_cpu
from edgepack.domain.profile import Isa, Runtime
from edgepack.domain.progress import Silent
from edgepack.infra.library import load_profile, profile_names
from edgepack.infra.store import Store, home
from edgepack.infra.toolchain import Toolchain, toolchain
from edgepack.stages.runtime import adopt_runtime, build_runtime, compiled_features
from tests.conftest import USERS_STORE
from tests.infra.test_elf import elf

BOARD = Runtime(os="linux", abi="aarch64", target="aarch64-linux-musl", cpu="cortex_a76")


def test_programs_of_ones_own_are_taken_by_name(tmp_path: Path) -> None:
    for name in ("llama-server", "llama-bench", "llama-quantize"):
        (tmp_path / name).write_bytes(elf(183))
    runtime = adopt_runtime(tmp_path, BOARD)
    assert [file.name for file in runtime.files] == ["llama-server", "llama-bench"]
    assert runtime.origin == "given"
    assert runtime.command(Program.COMPLETION) is None


@pytest.mark.parametrize("content", [elf(62), elf(40, 32), b"#!/bin/sh\n"])
def test_programs_for_another_machine_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "llama").write_bytes(content)
    with pytest.raises(BadInputError, match="the profile's is aarch64-linux-musl"):
        adopt_runtime(tmp_path, BOARD)


@pytest.mark.parametrize("place", ["", "nowhere"])
def test_a_directory_without_programs_is_refused(place: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"no llama\.cpp programs here"):
        adopt_runtime(tmp_path / place, BOARD)


def test_without_a_network_and_tools_nothing_is_built_and_nothing_left() -> None:
    with pytest.raises(NetworkError, match="not here, and --offline"):
        build_runtime(load_profile("rpi5"), store=Store(home()), offline=True, progress=Silent())
    assert not list((home() / "partial").iterdir())


def test_a_mac_needs_a_build_of_its_own() -> None:
    with pytest.raises(UsageError, match="edgepack builds for"):
        build_runtime(load_profile("macbook-m2"), store=Store(home()), offline=True, progress=Silent())


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Toolchain:
    """The pinned tools, out of wheels that an earlier build has fetched."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEPACK_HOME", str(USERS_STORE))
        try:
            return toolchain(tmp_path_factory.mktemp("tools"), offline=True, progress=Silent())
        except NetworkError:
            pytest.skip("no build of a runtime has fetched the compiler yet")


def caches(place: Path) -> dict[str, str]:
    return {"ZIG_GLOBAL_CACHE_DIR": str(place), "ZIG_LOCAL_CACHE_DIR": str(place), "HOME": str(place)}


LINUX = [name for name in profile_names() if "macos" not in load_profile(name).runtime.target]
UNVERIFIED = {"pixel-9": {Isa.SVE2}}
"""What a profile has and its runtime leaves alone, because nobody has verified it."""


@pytest.mark.parametrize("name", LINUX)
def test_the_compiler_uses_what_the_profile_has_no_more_and_no_less(
    name: str, tools: Toolchain, tmp_path: Path
) -> None:
    profile = load_profile(name)
    features = compiled_features(build_target(profile.runtime), tools, caches(tmp_path))
    assert features == profile.isa - UNVERIFIED.get(name, set())


@pytest.mark.parametrize(("cpu", "has"), sorted({(cpu, has) for cpu, has in COMPILED.values()}, key=str))
def test_a_cores_name_gives_the_compiler_what_the_core_has(
    cpu: str, has: frozenset[Isa], tools: Toolchain, tmp_path: Path
) -> None:
    wanted = build_target(Runtime(os="linux", abi="aarch64", target="aarch64-linux-musl", cpu=cpu))
    assert compiled_features(wanted, tools, caches(tmp_path)) == has


@pytest.mark.parametrize(
    ("architecture", "target", "cores", "isa"),
    [
        ("aarch64", "aarch64-linux-musl", ["Cortex-X3", "Cortex-A510"], {"neon", "dotprod", "fp16", "i8mm", "bf16"}),
        ("aarch64", "aarch64-linux-musl", ["Kryo-3xx-Gold", "Kryo-3xx-Silver"], {"neon", "fp16"}),
        ("aarch64", "aarch64-linux-musl", ["a core of tomorrow"], {"neon"}),
        ("armv7", "arm-linux-musleabihf", ["Cortex-A53"], {"neon"}),
        ("armv7", "arm-linux-musleabihf", ["Krait"], {"neon"}),
        ("armv7", "arm-linux-musleabihf", ["ARM1176"], set()),
        ("riscv64", "riscv64-linux-musl", ["spacemit,x60"], {"rvv"}),
        ("riscv64", "riscv64-linux-musl", ["RISC-V"], set()),
        ("x86_64", "x86_64-linux-musl", ["Zen"], {"sse42", "avx", "avx2", "fma", "f16c", "bmi2", "avx_vnni"}),
    ],
)
def test_what_the_flags_say_is_what_the_compiler_may_use(
    architecture: str, target: str, cores: list[str], isa: set[str], tools: Toolchain, tmp_path: Path
) -> None:
    """Also where no core's name fits: no more than the kernel lists, which would die, and no less."""
    has = frozenset(map(Isa, isa))
    runtime = Runtime(os="linux", abi=architecture, target=target, cpu=compiler_cpu(architecture, cores, has))
    assert compiled_features(build_target(runtime), tools, caches(tmp_path)) == has


def test_a_cpu_that_the_compiler_does_not_know_is_a_mistake_in_the_profile(tools: Toolchain, tmp_path: Path) -> None:
    wanted = build_target(Runtime(os="linux", abi="x", target="aarch64-linux-musl", cpu="cortex_z99"))
    with pytest.raises(UsageError, match="knows no cortex_z99"):
        compiled_features(wanted, tools, caches(tmp_path))


@pytest.mark.slow
def test_a_runtime_is_built_once_and_has_no_place_of_this_machine(tmp_path: Path, llama_cpp: Path) -> None:
    """The real build, some minutes; the second asking takes what the first made."""
    made = build_runtime(load_profile("rpi5"), store=Store(home()), offline=False, progress=Silent())
    again = build_runtime(load_profile("rpi5"), store=Store(home()), offline=True, progress=Silent())
    assert made == again
    (program,) = made.files
    content = program.path.read_bytes()
    for place in (str(home()), str(llama_cpp), str(tmp_path)):
        assert place.encode() not in content
    assert program.size < 15_000_000
    assert {"llama.cpp-LICENSE", "musl-COPYRIGHT", "libcxx-LICENSE.TXT"} <= {text.name for text in made.licences}
    shutil.rmtree(home() / "store")
