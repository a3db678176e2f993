"""The program before a bundle's two models: compiled from our own C++ by the pinned compiler, once for each target.

cpp-httplib and nlohmann/json are those that the pinned llama.cpp carries.
"""

from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from shutil import copy, rmtree

from edgepack.domain.errors import EdgepackError
from edgepack.domain.native import ROUTER, NativeRuntime, RuntimeFile, build_target
from edgepack.domain.profile import Runtime
from edgepack.domain.progress import Progress
from edgepack.domain.step import Step
from edgepack.infra.digests import sha256_of
from edgepack.infra.pinned_source import llama_cpp_source
from edgepack.infra.pins import llama_cpp_pin, pinned_tools
from edgepack.infra.process import run
from edgepack.infra.store import Store, require_space
from edgepack.infra.toolchain import UNPACKED, compiler, licences

_TOOL = "edgepack-router/1"
_DATA = files("edgepack").joinpath("data", "router")
_SOURCES = ("router.cpp", "confidence.hpp", "servers.hpp")
_LICENCES = "licences"
# It waits for others most of the time: what every processor of a kind has is enough.
_FLAGS = ("-mcpu=baseline", "-std=c++17", "-Os", "-DNDEBUG", "-fno-rtti", "-pthread", "-static", "-s")


def router_program(runtime: Runtime, *, store: Store, offline: bool, progress: Progress) -> NativeRuntime:
    """The static program for a profile's target with its licences, out of the store or compiled now.

    Raises UsageError for a system that nothing is built for, NetworkError where compiler or source cannot be had.
    """
    triple = build_target(runtime).triple
    sources = {name: _DATA.joinpath(name).read_bytes() for name in _SOURCES}
    tools = {tool.name: ",".join(sorted(tool.digests)) for tool in pinned_tools() if tool.name == "ziglang"}
    step = Step(
        name="router",
        inputs={
            **{name: sha256(source).hexdigest() for name, source in sources.items()},
            "llama.cpp": llama_cpp_pin().sha256,
            **tools,
        },
        parameters={"target": triple, "flags": " ".join(_FLAGS)},
        tool=_TOOL,
    )

    def make(place: Path) -> None:
        require_space(place, UNPACKED, f"compiling the router for {triple}")
        progress.step(f"compiling the router for {triple} (half a minute, once)")
        _compile(sources, triple, place, offline, progress)

    entry, _ = store.get_or_make(step, make)
    path = entry.path / ROUTER
    return NativeRuntime(
        target=triple,
        origin="edgepack",
        files=(RuntimeFile(name=ROUTER, path=path, size=path.stat().st_size, sha256=sha256_of(path)),),
        licences=tuple(sorted((entry.path / _LICENCES).iterdir())),
    )


def _compile(sources: Mapping[str, bytes], triple: str, place: Path, offline: bool, progress: Progress) -> None:
    work = place / "work"
    work.mkdir()
    for name, source in sources.items():
        (work / name).write_bytes(source)
    zig = compiler(work / "tools", offline=offline, progress=progress)
    vendor = llama_cpp_source(work, offline=offline, progress=progress) / "vendor"
    surroundings = {name: str(work) for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR", "HOME", "TMPDIR")}
    arguments: list[str | Path] = [
        zig, "c++", "-target", triple, *_FLAGS, f"-ffile-prefix-map={work}=.", f"-ffile-prefix-map={vendor}=vendor",
        f"-I{vendor / 'cpp-httplib'}", f"-I{vendor}", "-o", place / ROUTER, work / _SOURCES[0],
        vendor / "cpp-httplib/httplib.cpp",
    ]  # fmt: skip
    done = run(arguments, environment=surroundings)
    if done.status:
        reason = next((line for line in done.stderr.splitlines() if "error" in line), f"status {done.status}")
        raise EdgepackError(f"the router does not compile for {triple}: {reason}", hint="report this")
    (place / ROUTER).chmod(0o755)
    _keep_licences(zig, vendor, place / _LICENCES)
    rmtree(work)


def _keep_licences(zig: Path, vendor: Path, place: Path) -> None:
    """Of what is compiled in."""
    place.mkdir()
    copy(vendor / "cpp-httplib/LICENSE", place / "cpp-httplib-LICENSE")
    copy(vendor.parent / "licenses/LICENSE-jsonhpp", place / "nlohmann-LICENSE")
    for text in licences(zig):
        copy(text, place / f"{text.parent.name}-{text.name}")
