"""The native runtime: llama.cpp's own programs for one processor; it neither builds nor runs them."""

import re
from collections.abc import Iterable, Set
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from edgepack.domain.errors import UsageError
from edgepack.domain.profile import Isa, Runtime

UNIFIED = "llama"
"""The one program that holds all others, each behind a word of its own."""
ROUTER = "router"
"""edgepack's own, before two servers where a bundle has a route."""


class Program(StrEnum):
    """What a runtime may hold, by llama.cpp's names for the separate programs."""

    SERVER = "llama-server"
    BENCH = "llama-bench"
    COMPLETION = "llama-completion"
    CLI = "llama-cli"
    PERPLEXITY = "llama-perplexity"

    @property
    def verb(self) -> str:
        """The word that the unified program wants for it."""
        return "serve" if self is Program.SERVER else self.removeprefix("llama-")


class RuntimeChoice(StrEnum):
    """Whether a bundle gets the programs that edgepack builds."""

    BUILT = "build"
    NONE = "none"


RUNTIME_NAMES = (UNIFIED, *(program.value for program in Program))
"""The names that count in a runtime's directory, the unified program's first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RuntimeFile:
    """One program: its name, where it lies here, bytes and sha256."""

    name: str
    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class NativeRuntime:
    """Programs for one processor, and what they were made from."""

    target: str
    """Target triple and CPU: `aarch64-linux-musl-cortex_a76`; the architecture alone for a team's own build."""
    origin: str
    """`llama.cpp` and its version for what edgepack built, `given` for a team's own build."""
    files: tuple[RuntimeFile, ...]
    licences: tuple[Path, ...] = ()
    """Texts that travel with the programs."""
    features: frozenset[Isa] | None = None
    """What the compiler was free to use; None for a team's own build, of which nobody knows."""

    @property
    def digest(self) -> str:
        """sha256 over the names and digests of the programs."""
        lines = "".join(f"{file.sha256}  {file.name}\n" for file in sorted(self.files, key=lambda file: file.name))
        return sha256(lines.encode()).hexdigest()

    def with_router(self, router: "NativeRuntime") -> "NativeRuntime":
        """The programs of both, with each licence of either once."""
        known = {path.name for path in self.licences}
        more = (path for path in router.licences if path.name not in known)
        return replace(self, files=(*self.files, *router.files), licences=(*self.licences, *more))

    @property
    def size(self) -> int:
        """Bytes of all programs."""
        return sum(file.size for file in self.files)

    def command(self, program: Program) -> tuple[RuntimeFile, tuple[str, ...]] | None:
        """The file that holds `program`, and the words that come before its arguments."""
        files = {file.name: file for file in self.files}
        if program.value in files:
            return files[program.value], ()
        return (files[UNIFIED], (program.verb,)) if UNIFIED in files else None


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildTarget:
    """What a compiler and CMake are told so that the programs fit one processor."""

    triple: str
    """zig's: `aarch64-linux-musl`."""
    cpu: str
    """zig's -mcpu: a name, and features behind it: `cortex_a76+i8mm+bf16`."""
    processor: str
    """CMAKE_SYSTEM_PROCESSOR."""
    options: tuple[str, ...]
    """CMake options without which ggml would add instructions that the CPU lacks."""
    flags: tuple[str, ...] = ()
    """What else the compiler is told."""

    def __str__(self) -> str:
        return f"{self.triple}-{self.cpu}"


_PROCESSORS = {
    "aarch64-linux-musl": "aarch64",
    "arm-linux-musleabihf": "arm",
    "x86_64-linux-musl": "x86_64",
    "riscv64-linux-musl": "riscv64",
}
_CPU = re.compile(r"[a-z0-9_]+(?:[+-][a-z0-9_.]+)*")
# ggml asks for AVX2 and the like by itself where it does not build for the machine it is built on.
_BELOW_AVX2 = tuple(f"-DGGML_{name}=OFF" for name in ("AVX", "AVX2", "BMI2", "FMA", "F16C"))
_NO_VECTORS = tuple(f"-DGGML_{name}=OFF" for name in ("RVV", "RV_ZFH", "RV_ZVFH", "RV_ZICBOP", "RV_ZIHINTPAUSE"))
# clang says that it knows the vector intrinsics whether the CPU has vectors or not, and ggml believes it.
_NO_INTRINSICS = "-U__riscv_v_intrinsic"
_OLD_X86 = ("baseline", "generic", "x86_64", "x86_64_v2", "core2", "nehalem", "westmere", "silvermont", "goldmont")


def build_target(runtime: Runtime) -> BuildTarget:
    """What to build for a profile's runtime. Raises UsageError for systems that no build is known for."""
    processor = _PROCESSORS.get(runtime.target)
    if processor is None or not _CPU.fullmatch(runtime.cpu):
        raise UsageError(
            f"runtime {runtime.target} {runtime.cpu}: edgepack builds for {', '.join(_PROCESSORS)}",
            hint="bring a build of your own with --runtime DIR, or leave it out with --runtime none",
        )
    base, *features = re.split(r"[+-]", runtime.cpu)
    options, flags = _options(processor, base, features)
    return BuildTarget(triple=runtime.target, cpu=runtime.cpu, processor=processor, options=options, flags=flags)


def _options(processor: str, base: str, features: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """CMake's and the compiler's."""
    if processor == "x86_64" and base in _OLD_X86:
        return _BELOW_AVX2, ()
    if processor == "riscv64" and "v" not in features:
        return _NO_VECTORS, (_NO_INTRINSICS,)
    return (), ()


_MACROS = {
    Isa.NEON: "__ARM_NEON",
    Isa.DOTPROD: "__ARM_FEATURE_DOTPROD",
    Isa.FP16: "__ARM_FEATURE_FP16_VECTOR_ARITHMETIC",
    Isa.BF16: "__ARM_FEATURE_BF16_VECTOR_ARITHMETIC",
    Isa.I8MM: "__ARM_FEATURE_MATMUL_INT8",
    Isa.SVE: "__ARM_FEATURE_SVE",
    Isa.SVE2: "__ARM_FEATURE_SVE2",
    Isa.SME: "__ARM_FEATURE_SME",
    Isa.SSE42: "__SSE4_2__",
    Isa.AVX: "__AVX__",
    Isa.AVX2: "__AVX2__",
    Isa.BMI2: "__BMI2__",
    Isa.FMA: "__FMA__",
    Isa.F16C: "__F16C__",
    Isa.AVX_VNNI: "__AVXVNNI__",
    Isa.AVX512F: "__AVX512F__",
    Isa.AVX512BW: "__AVX512BW__",
    Isa.AVX512_VBMI: "__AVX512VBMI__",
    Isa.AVX512_VNNI: "__AVX512VNNI__",
    Isa.AVX512_BF16: "__AVX512BF16__",
    Isa.AMX_INT8: "__AMX_INT8__",
    Isa.RVV: "__riscv_v",
}
"""What a compiler defines where it may use an instruction set; ggml chooses its kernels by these."""


def features_of(defines: str) -> frozenset[Isa]:
    """The instruction sets among a compiler's predefined macros, as `cc -dM -E` prints them."""
    names = {
        line.split()[1] for line in defines.splitlines() if line.startswith("#define ") and len(line.split()) > 1
    }
    return frozenset(feature for feature, macro in _MACROS.items() if macro in names)


def refuse_foreign_features(runtime: Runtime, features: Set[Isa], isa: Set[Isa]) -> None:
    """Raises UsageError where programs with `features` would die on a CPU with `isa` alone."""
    if foreign := sorted(features - isa):
        raise UsageError(
            f"runtime.cpu: {runtime.cpu} has {', '.join(foreign)}, which the profile's cpu.isa lacks",
            hint="correct one of the two in the profile (docs/profiles.md)",
        )


def present(names: Iterable[str]) -> tuple[str, ...]:
    """Those of `names` that are a runtime's programs, in the order in which they are looked for."""
    found = set(names)
    return tuple(name for name in RUNTIME_NAMES if name in found)
