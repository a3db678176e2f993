"""llama.cpp's programs for one processor: built from the pinned source, once, or taken from a team's own build."""

import os
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

from edgepack.domain.errors import BadInputError, EdgepackError, UsageError
from edgepack.domain.native import (
    UNIFIED,
    BuildTarget,
    NativeRuntime,
    RuntimeFile,
    build_target,
    features_of,
    present,
    refuse_foreign_features,
)
from edgepack.domain.profile import Isa, Profile, Runtime
from edgepack.domain.progress import Bar, Progress
from edgepack.domain.step import Step
from edgepack.infra.digests import sha256_of
from edgepack.infra.elf import Machine, machine_of
from edgepack.infra.pinned_source import llama_cpp_source
from edgepack.infra.pins import llama_cpp_commit, llama_cpp_pin, pinned_tools
from edgepack.infra.process import Completed, follow, run
from edgepack.infra.store import Store, home, require_space
from edgepack.infra.toolchain import UNPACKED, Toolchain, toolchain

_TOOL = "edgepack-runtime/3"
_PROGRAMS = "programs"
_LICENCES = "licences"
_FEATURES = "features"
"""A file that names what the compiler was free to use, a line each."""
_BUILT_BYTES = 1_000_000_000
"""Objects and libraries of one build, removed with it."""
_FLAGS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DGGML_NATIVE=OFF",
    "-DGGML_CCACHE=OFF",
    "-DGGML_OPENMP=OFF",  # docs/decisions/0001: one busy program would cost a run most of its speed
    "-DLLAMA_OPENSSL=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_APP=ON",
    "-DLLAMA_BUILD_UI=OFF",  # its page needs npm and a network
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_BUILD_NUMBER=0",
    "-DGIT_EXE=OFF",  # ggml would name whatever repository lies around its source, and whether it was changed
    "-DCMAKE_EXE_LINKER_FLAGS=-static -s",
)
# Read by CMake right after llama.cpp's project(). Parsing the headers takes most of the time that the model graphs
# take, so they are compiled twelve at a time; and nothing but ggml and libllama computes while a token is made, so
# the rest is compiled for size, which also takes less time.
_LIGHTER = """\
function(edgepack_lighten)
  set_target_properties(llama PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 12)
  foreach(target llama-common cpp-httplib mtmd server-context llama-server-impl llama-cli-impl llama-completion-impl
          llama-perplexity-impl llama-bench-impl llama-quantize-impl)
    target_compile_options(${target} PRIVATE -Os)
  endforeach()
endfunction()
cmake_language(DEFER CALL edgepack_lighten)
"""
_COUNT = re.compile(r"\[(\d+)/(\d+)\]")
# ggml names instruction sets with -march, which zig does not take; its own -mcpu says the same. The server's library
# takes bodies of 100 MB, for which a tokenizer needs gigabytes: 4 MiB are more text than any model's context holds.
_COMPILER = """#!/bin/sh
for word do
    shift
    case $word in
    -march=* | -mabi=*) ;;
    *) set -- "$@" "$word" ;;
    esac
done
exec "{zig}" {language} -target {triple} -mcpu={cpu} \\
    -DCPPHTTPLIB_PAYLOAD_MAX_LENGTH=4194304 \\
    -ffile-prefix-map={source}=llama.cpp -ffile-prefix-map={build}=build -ffile-prefix-map={tools}=tools "$@"
"""
_PLAIN = '#!/bin/sh\nexec "{zig}" {language} "$@"\n'


def build_runtime(profile: Profile, *, store: Store, offline: bool, progress: Progress) -> NativeRuntime:
    """The unified program for a profile's processor: static, stripped, made once for each pin, target and flags.

    Raises UsageError for a processor that no build is known for, or that lacks what its programs would use;
    NetworkError where pinned archives cannot be had, NoSpaceError before the disk is full.
    """
    target = build_target(profile.runtime)
    step = _step(target)

    def make(place: Path) -> None:
        require_space(place, UNPACKED + _BUILT_BYTES, f"building the runtime for {target}")
        _build(target, profile, place, offline, progress)

    entry, made = store.get_or_make(step, make)
    if not made:
        progress.step(f"runtime for {target}: kept from an earlier build")
    runtime = _kept(entry.path, target)
    # Again: another profile with the same processor by name may have had it built.
    refuse_foreign_features(profile.runtime, runtime.features or frozenset(), profile.isa)
    return runtime


def adopt_runtime(directory: Path, runtime: Runtime) -> NativeRuntime:
    """A team's own programs for the profile's processor, by llama.cpp's names for them.

    Raises BadInputError where there are none, or they are for another machine.
    """
    names = present(path.name for path in directory.iterdir()) if directory.is_dir() else ()
    if not names:
        raise BadInputError(
            f"{directory}: no llama.cpp programs here",
            hint=f"give the directory of {UNIFIED}, or of llama-server and llama-bench",
        )
    wanted = Machine.of_target(runtime.target)
    for name in names:
        found = machine_of(directory / name)
        if found is not wanted:
            raise BadInputError(
                f"{directory / name}: a program for {found or 'no known machine'}, the profile's is {runtime.target}",
                hint="build it for the profile's processor, or leave --runtime away",
            )
    return NativeRuntime(target=runtime.target, origin="given", files=_files(directory, names))


def _step(target: BuildTarget) -> Step:
    tools = {f"{tool.name} {tool.version}": ",".join(sorted(tool.digests)) for tool in pinned_tools()}
    return Step(
        name="runtime",
        inputs={"llama.cpp": llama_cpp_pin().sha256, **tools},
        parameters={
            "target": str(target),
            "flags": " ".join([*_FLAGS, *target.options, *target.flags]),
            "compiler": _COMPILER,
            "lighter": _LIGHTER,
        },
        tool=_TOOL,
    )


def _build(target: BuildTarget, profile: Profile, place: Path, offline: bool, progress: Progress) -> None:
    work = place / "work"
    work.mkdir()
    tools = toolchain(work / "tools", offline=offline, progress=progress)
    source = llama_cpp_source(work, offline=offline, progress=progress)
    build = work / "build"
    file = _toolchain_file(target, tools, source, build, work)
    # Nothing of the caller's surroundings: CFLAGS and the like would make other programs of the same step.
    environment = {
        "PATH": f"{tools.ninja.parent}:{os.environ.get('PATH', '/usr/bin:/bin')}", "HOME": str(work),
        "ZIG_GLOBAL_CACHE_DIR": str(work / "zig"), "ZIG_LOCAL_CACHE_DIR": str(work / "zig"), "TMPDIR": str(work),
    }  # fmt: skip
    features = compiled_features(target, tools, environment)
    refuse_foreign_features(profile.runtime, features, profile.isa)
    (place / _FEATURES).write_text("".join(f"{feature}\n" for feature in sorted(features)), encoding="ascii")
    lighter = work / "lighter.cmake"
    lighter.write_text(_LIGHTER, encoding="ascii")
    progress.step(f"building llama.cpp for {target} (about 5 minutes on two cores, once)")
    options = [
        *_FLAGS, *target.options, f"-DLLAMA_BUILD_COMMIT={llama_cpp_commit()}",
        f"-DCMAKE_TOOLCHAIN_FILE={file}", f"-DCMAKE_PROJECT_llama.cpp_INCLUDE={lighter}",
    ]  # fmt: skip
    with ExitStack() as open_bar:
        hear = _counting(lambda total: open_bar.enter_context(progress.bar(f"runtime {target}", total, "file")))
        _run([tools.cmake, "-G", "Ninja", "-S", source, "-B", build, *options], environment, hear, place)
        _run([tools.cmake, "--build", build, "--target", "llama-app"], environment, hear, place)
    (place / _PROGRAMS).mkdir()
    shutil.copy(build / "bin" / UNIFIED, place / _PROGRAMS / UNIFIED)
    _keep_licences(source, tools, place / _LICENCES)
    shutil.rmtree(work)


def compiled_features(target: BuildTarget, tools: Toolchain, environment: Mapping[str, str]) -> frozenset[Isa]:
    """What the compiler may use for `target`: asked of it, since names of CPUs promise nothing."""
    arguments = ["cc", "-target", target.triple, f"-mcpu={target.cpu}", *target.flags]
    said = run([tools.zig, *arguments, "-dM", "-E", "-x", "c", os.devnull], environment=environment)
    if said.status:
        raise UsageError(
            f"runtime.cpu: the compiler knows no {target.cpu} for {target.triple}",
            hint="correct the profile's runtime.cpu: zig's names, as in cortex_a76+i8mm",
        )
    return features_of(said.stdout)


def _toolchain_file(target: BuildTarget, tools: Toolchain, source: Path, build: Path, work: Path) -> Path:
    """What CMake reads, and the compilers it names, each a line of shell around zig."""
    programs = {"CMAKE_C_COMPILER": "cc", "CMAKE_CXX_COMPILER": "c++", "CMAKE_AR": "ar", "CMAKE_RANLIB": "ranlib"}
    lines = ["set(CMAKE_SYSTEM_NAME Linux)", f"set(CMAKE_SYSTEM_PROCESSOR {target.processor})"]
    for variable, language in programs.items():
        text = _COMPILER if language in ("cc", "c++") else _PLAIN
        path = work / f"zig-{language}"
        path.write_text(
            text.format(
                zig=tools.zig,
                language=language,
                triple=target.triple,
                source=source,
                build=build,
                tools=work / "tools",
                cpu=" ".join([target.cpu, *target.flags]),
            ),
            encoding="utf-8",
        )
        path.chmod(0o755)
        lines.append(f'set({variable} "{path}")')
    file = work / "toolchain.cmake"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def _counting(opened: Callable[[int], Bar]) -> Callable[[str], None]:
    """A listener to ninja, which says [files done/files in all] and so opens the bar that it advances."""
    bar: Bar | None = None
    done = 0

    def hear(line: str) -> None:
        nonlocal bar, done
        if found := _COUNT.match(line):
            bar = bar or opened(int(found[2]))
            bar.advance(int(found[1]) - done)
            done = int(found[1])

    return hear


def _run(
    arguments: list[str | Path], environment: Mapping[str, str], hear: Callable[[str], None], place: Path
) -> None:
    finished = follow(arguments, on_line=hear, environment=environment)
    if finished.status:
        _failed(finished, place)


def _failed(finished: Completed, place: Path) -> NoReturn:
    said = f"{finished.stdout}\n{finished.stderr}"
    log = home() / "runtime-build.log"
    log.write_text(said, encoding="utf-8")
    errors = [line.strip() for line in said.splitlines() if "error" in line.lower()]
    reason = errors[0].replace(str(place), "") if errors else f"ended with {finished.status}"
    raise EdgepackError(f"the runtime does not build: {reason[:200]}", hint=f"all that was said is in {log}")


def _keep_licences(source: Path, tools: Toolchain, place: Path) -> None:
    """llama.cpp's own, those of what it carries, and those of the C and C++ libraries that are linked in."""
    place.mkdir()
    shutil.copy(source / "LICENSE", place / "llama.cpp-LICENSE")
    for text in sorted((source / "licenses").iterdir()):
        shutil.copy(text, place / f"llama.cpp-{text.name}")
    for text in sorted((source / "vendor").rglob("LICENSE*")):
        shutil.copy(text, place / f"llama.cpp-{text.parent.name}-{text.name}")
    for text in tools.licences:
        shutil.copy(text, place / f"{text.parent.name}-{text.name}")


def _kept(place: Path, target: BuildTarget) -> NativeRuntime:
    programs = place / _PROGRAMS
    return NativeRuntime(
        target=str(target),
        origin=f"llama.cpp {llama_cpp_commit()}",
        files=_files(programs, present(path.name for path in programs.iterdir())),
        licences=tuple(sorted((place / _LICENCES).iterdir())),
        features=frozenset(Isa(line) for line in (place / _FEATURES).read_text(encoding="ascii").split()),
    )


def _files(directory: Path, names: tuple[str, ...]) -> tuple[RuntimeFile, ...]:
    return tuple(
        RuntimeFile(name=name, path=path, size=path.stat().st_size, sha256=sha256_of(path))
        for name in names
        for path in [directory / name]
    )
