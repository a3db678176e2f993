"""The runtime's programs by their names, and what a build for each profile is told."""

from pathlib import Path

import pytest

from edgepack.domain.errors import UsageError
from edgepack.domain.native import (
    NativeRuntime,
    Program,
    RuntimeFile,
    build_target,
    features_of,
    present,
    refuse_foreign_features,
)
from edgepack.domain.profile import Isa, Runtime
from edgepack.infra.library import load_profile, profile_names


def runtime(*names: str) -> NativeRuntime:
    files = tuple(RuntimeFile(name=name, path=Path(name), size=3, sha256=f"{len(name):064x}") for name in names)
    return NativeRuntime(target="t", origin="given", files=files)


def wanted(target: str, cpu: str) -> Runtime:
    return Runtime(os="linux", abi="any", target=target, cpu=cpu)


def test_one_program_holds_all_behind_a_word() -> None:
    found = runtime("llama").command(Program.SERVER)
    assert found is not None
    assert (found[0].name, found[1]) == ("llama", ("serve",))
    assert [runtime("llama").command(program)[1] for program in list(Program)[1:]] == [  # type: ignore[index]
        ("bench",), ("completion",), ("cli",), ("perplexity",),
    ]  # fmt: skip


def test_a_separate_program_comes_first() -> None:
    found = runtime("llama", "llama-bench").command(Program.BENCH)
    assert found is not None
    assert (found[0].name, found[1]) == ("llama-bench", ())
    assert runtime("llama-bench").command(Program.SERVER) is None


def test_the_digest_depends_on_names_and_bytes_alone() -> None:
    assert runtime("llama", "llama-cli").digest == runtime("llama-cli", "llama").digest
    assert runtime("llama").digest != runtime("llama-cli").digest


def test_other_files_are_no_programs() -> None:
    assert present(["README", "llama-bench", "llama", "llama-quantize"]) == ("llama", "llama-bench")


@pytest.mark.parametrize("name", [name for name in profile_names() if load_profile(name).runtime.os != "macos"])
def test_every_profile_on_linux_has_a_build(name: str) -> None:
    described = load_profile(name).runtime
    assert str(build_target(described)) == f"{described.target}-{described.cpu}"


@pytest.mark.parametrize(
    ("target", "cpu"),
    [("aarch64-macos", "apple_m2"), ("mips-linux-musl", "mips32"), ("x86_64-linux-musl", "x86_64; rm -rf ~")],
)
def test_what_no_build_is_known_for_is_refused(target: str, cpu: str) -> None:
    with pytest.raises(UsageError, match="edgepack builds for aarch64-linux-musl") as refused:
        build_target(wanted(target, cpu))
    assert "--runtime DIR" in (refused.value.hint or "")


def test_ggml_adds_nothing_that_the_processor_lacks() -> None:
    """It asks for AVX2 and for RISC-V's vectors by itself."""
    assert "-DGGML_AVX2=OFF" in build_target(wanted("x86_64-linux-musl", "x86_64_v2")).options
    assert "-DGGML_RVV=OFF" in build_target(wanted("riscv64-linux-musl", "sifive_u74")).options
    assert build_target(wanted("x86_64-linux-musl", "x86_64_v3+avxvnni")).options == ()
    assert build_target(wanted("riscv64-linux-musl", "baseline_rv64+v")).options == ()


def test_risc_v_without_vectors_has_none_of_their_intrinsics() -> None:
    """clang says that it knows them for every RISC-V, and ggml believes it."""
    assert build_target(wanted("riscv64-linux-musl", "sifive_u74")).flags == ("-U__riscv_v_intrinsic",)
    assert build_target(wanted("riscv64-linux-musl", "baseline_rv64+v")).flags == ()


def test_features_are_read_from_what_the_compiler_defines() -> None:
    said = "#define __ARM_NEON 1\n#define __ARM_FEATURE_DOTPROD 1\n#define __ARM_NEON_FP 0xE\n#define __GNUC__ 4\n"
    assert features_of(said) == {Isa.NEON, Isa.DOTPROD}


def test_a_processor_by_name_that_has_more_than_the_profile_is_refused() -> None:
    """Such programs would die of an illegal instruction."""
    board = wanted("aarch64-linux-musl", "cortex_a76")
    refuse_foreign_features(board, {Isa.NEON}, {Isa.NEON, Isa.SVE2})
    with pytest.raises(UsageError, match="cortex_a76 has dotprod, which"):
        refuse_foreign_features(board, {Isa.NEON, Isa.DOTPROD}, {Isa.NEON})
