"""The program that reads memory: compiled from our own C by the pinned compiler, once for each kind of processor."""

from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from shutil import rmtree

from edgepack.domain.errors import EdgepackError
from edgepack.domain.native import build_target
from edgepack.domain.profile import Runtime
from edgepack.domain.progress import Progress
from edgepack.domain.step import Step
from edgepack.infra.digests import sha256_of
from edgepack.infra.kept import KeptFile, keep_file
from edgepack.infra.pins import pinned_tools
from edgepack.infra.process import run
from edgepack.infra.store import Store, require_space
from edgepack.infra.toolchain import UNPACKED, compiler

_TOOL = "edgepack-bandwidth/1"
# What every processor of a kind has: loads wait for memory, and not for wider registers.
_FLAGS = ("-mcpu=baseline", "-std=c11", "-O3", "-Wall", "-Wextra", "-Werror", "-pthread", "-static", "-s")


def bandwidth_program(runtime: Runtime, *, store: Store, offline: bool, progress: Progress) -> KeptFile:
    """The static program for a profile's target, out of the store or compiled now.

    Raises UsageError for a system that nothing is built for, NetworkError where the compiler cannot be had.
    """
    triple = build_target(runtime).triple
    source = files("edgepack").joinpath("data", "probe", "bandwidth.c").read_bytes()
    tools = {tool.name: ",".join(sorted(tool.digests)) for tool in pinned_tools() if tool.name == "ziglang"}
    step = Step(
        name="bandwidth",
        inputs={"bandwidth.c": sha256(source).hexdigest(), **tools},
        parameters={"target": triple, "flags": " ".join(_FLAGS)},
        tool=_TOOL,
    )

    def make(path: Path) -> str:
        require_space(path.parent, UNPACKED, f"compiling the bandwidth program for {triple}")
        progress.step(f"compiling the bandwidth program for {triple} (once)")
        _compile(source, triple, path, offline, progress)
        return sha256_of(path)

    kept, _ = keep_file(store, step, "bandwidth", make)
    return kept


def _compile(source: bytes, triple: str, path: Path, offline: bool, progress: Progress) -> None:
    work = path.parent / "work"
    work.mkdir()
    text = work / "bandwidth.c"
    text.write_bytes(source)
    zig = compiler(work / "tools", offline=offline, progress=progress)
    surroundings = {name: str(work) for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR", "HOME", "TMPDIR")}
    arguments: list[str | Path] = [
        zig,
        "cc",
        "-target",
        triple,
        *_FLAGS,
        f"-ffile-prefix-map={work}=.",
        "-o",
        path,
        text,
    ]
    done = run(arguments, environment=surroundings)
    if done.status:
        reason = next((line for line in done.stderr.splitlines() if "error" in line), f"status {done.status}")
        raise EdgepackError(f"the bandwidth program does not compile for {triple}: {reason}", hint="report this")
    path.chmod(0o755)
    rmtree(work)
