"""The native runtime: llama.cpp's own programs for one processor; it neither builds nor runs them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from edgepack.domain.errors import UsageError
from edgepack.domain.profile import Runtime

UNIFIED = "llama"
"""The one program that holds all others, each behind a word of its own."""


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

    @property
    def digest(self) -> str:
        """sha256 over the names and digests of the programs."""
        lines = "".join(f"{file.sha256}  {file.name}\n" for file in sorted(self.files, key=lambda file: file.name))
        return sha256(lines.encode()).hexdigest()

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
_OLD_X86 = ("baseline", "generic", "x86_64", "x86_64_v2", "core2", "nehalem", "westmere", "silvermont", "goldmont")


def build_target(runtime: Runtime) -> BuildTarget:
    """What to build for a profile's runtime. Raises UsageError for systems that no build is known for."""
    processor = _PROCESSORS.get(runtime.target)
    if processor is None or not _CPU.fullmatch(runtime.cpu):
        raise UsageError(
            f"runtime {runtime.target} {runtime.cpu}: edgepack builds for {', '.join(_PROCESSORS)}",
            hint="bring a build of your own with --runtime DIR, or leave it out with --runtime none",
        )
    return BuildTarget(
        triple=runtime.target, cpu=runtime.cpu, processor=processor, options=_options(processor, runtime.cpu)
    )


def _options(processor: str, cpu: str) -> tuple[str, ...]:
    base, *features = re.split(r"[+-]", cpu)
    if processor == "x86_64" and base in _OLD_X86:
        return _BELOW_AVX2
    if processor == "riscv64" and "v" not in features:
        return _NO_VECTORS
    return ()


def present(names: Iterable[str]) -> tuple[str, ...]:
    """Those of `names` that are a runtime's programs, in the order in which they are looked for."""
    found = set(names)
    return tuple(name for name in RUNTIME_NAMES if name in found)
