"""A variant's library: the one that came with the package, the store's, or compiled now, by the machine's compiler or
the pinned one where an earlier build has brought it. Nothing is downloaded for it."""

import os
import platform
from pathlib import Path
from tempfile import TemporaryDirectory

from edgepack.domain.errors import NetworkError
from edgepack.domain.progress import Progress, Silent
from edgepack.domain.step import Step
from edgepack.infra.digests import sha256_of
from edgepack.infra.kept import keep_file
from edgepack.infra.process import find_program, run
from edgepack.infra.store import Store, home
from edgepack.infra.toolchain import compiler
from edgepack.kernels.recipe import Variant, arguments, packaged, sources_digest

_TOOL = "edgepack-kernels/1"


class NoCompiler(Exception):
    """There is none here, or it does not know the sources; the text says which."""


def library(variant: Variant, progress: Progress) -> Path:
    """The shared library; raises NoCompiler where it has to be compiled and cannot be."""
    ready = packaged(variant)
    if ready.is_file():
        return ready
    if os.environ.get("EDGEPACK_BUILD_KERNELS") == "none":
        raise NoCompiler("EDGEPACK_BUILD_KERNELS=none")
    step = Step(
        name="kernels",
        inputs={"sources": sources_digest()},
        parameters={"machine": platform.machine(), "variant": variant, "flags": " ".join(variant.flags)},
        tool=_TOOL,
    )

    def make(path: Path) -> str:
        progress.step(f"compiling the {variant} kernels (once)")
        compile_library(variant, path)
        return sha256_of(path)

    kept, _ = keep_file(Store(home()), step, f"{variant}.so", make)
    return kept.path


def compile_library(variant: Variant, target: Path, *, zig: bool = False) -> None:
    """Compile a variant to `target`: by cc, or by the pinned zig where there is none or it is asked for."""
    found = None if zig else next((path for name in ("cc", "gcc", "clang") if (path := find_program(name))), None)
    with TemporaryDirectory(prefix="edgepack-") as scratch:
        command = [found] if found else _zig(Path(scratch))
        done = run([*command, *arguments(variant, target)], environment=os.environ if found else _apart(scratch))
    if done.status:
        reason = next((line for line in done.stderr.splitlines() if "error" in line), f"status {done.status}")
        raise NoCompiler(f"{command[0].name}: {reason}")


def _zig(scratch: Path) -> list[Path]:
    try:
        return [compiler(scratch, offline=True, progress=Silent()), Path("cc")]
    except NetworkError as error:
        raise NoCompiler("neither cc nor the pinned compiler is here") from error


def _apart(scratch: str) -> dict[str, str]:
    return dict.fromkeys(("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR", "HOME", "TMPDIR"), scratch)
