"""The converter on another processor: the pinned llama.cpp as shared libraries for it, and the packages it needs.

    python -m tests.convert.elsewhere        # minutes, once; `make foreign` first, for its Python

All of it lies in vendor/cache/foreign, which `make clean` leaves.
"""

import shutil
import sys
import tempfile
import zipfile
from importlib.metadata import distribution, version
from importlib.util import find_spec
from pathlib import Path
from subprocess import run

from edgepack.domain.progress import Silent
from edgepack.infra.pinned_source import llama_cpp_source
from edgepack.infra.toolchain import Toolchain, toolchain
from tests.conftest import ROOT

SITE = ROOT / "vendor" / "cache" / "foreign" / "arm64-site"
"""A directory for PYTHONPATH on aarch64: the converter's packages, and llama_cpp with libraries for it."""
TRIPLE = "aarch64-linux-gnu.2.31"
_PACKAGES = (
    "numpy", "gguf", "sentencepiece", "tokenizers", "pyyaml", "filelock", "platformdirs", "jinja2", "markupsafe",
    "diskcache", "typing_extensions", "tqdm",
)  # fmt: skip
_PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")
_OPTIONS = (
    "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=ON", "-DGGML_NATIVE=OFF", "-DGGML_CCACHE=OFF",
    "-DGGML_OPENMP=OFF", "-DLLAMA_OPENSSL=OFF", "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_TOOLS=OFF", "-DLLAMA_BUILD_SERVER=OFF", "-DLLAMA_BUILD_COMMON=OFF", "-DGIT_EXE=OFF",
    "-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64", "-DGGML_CPU_ARM_ARCH=armv8-a",
    "-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON", "-DCMAKE_INSTALL_RPATH=$ORIGIN",
)  # fmt: skip
_COMPILER = """#!/bin/sh
for word do
    shift
    case $word in -march=*) ;; *) set -- "$@" "$word" ;; esac
done
exec "{zig}" {language} -target {triple} "$@"
"""


def main() -> None:
    if SITE.is_dir():
        return
    with tempfile.TemporaryDirectory(dir=SITE.parent) as name:
        work, site = Path(name), Path(name) / "site"
        _wheels(work / "wheels", site)
        tools = toolchain(work / "tools", offline=False, progress=Silent())
        _llama(work, site, tools)
        site.rename(SITE)


def _wheels(place: Path, site: Path) -> None:
    """The versions that are installed here, for that processor and Debian's Python there."""
    named = [f"{package}=={version(package)}" for package in _PACKAGES]
    platforms = [word for platform in _PLATFORMS for word in ("--platform", platform)]
    words = ["--quiet", "--no-deps", "--only-binary=:all:", "--python-version=311", *platforms, "--dest", place]
    run([sys.executable, "-m", "pip", "download", *words, *named], check=True)
    for wheel in place.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)


def _llama(work: Path, site: Path, tools: Toolchain) -> None:
    """The bindings' Python as it is here, beside libraries of the same source."""
    source = llama_cpp_source(work, offline=False, progress=Silent())
    compilers = []
    for variable, language in (("C", "cc"), ("CXX", "c++")):
        path = work / f"zig-{language}"
        path.write_text(_COMPILER.format(zig=tools.zig, language=language, triple=TRIPLE))
        path.chmod(0o755)
        compilers.append(f"-DCMAKE_{variable}_COMPILER={path}")
    for variable in ("AR", "RANLIB"):
        path = work / f"zig-{variable.lower()}"
        path.write_text(f'#!/bin/sh\nexec "{tools.zig}" {variable.lower()} "$@"\n')
        path.chmod(0o755)
        compilers.append(f"-DCMAKE_{variable}={path}")
    build = work / "build"
    ninja = f"-DCMAKE_MAKE_PROGRAM={tools.ninja}"
    run([tools.cmake, "-G", "Ninja", ninja, "-S", source, "-B", build, *_OPTIONS, *compilers], check=True)
    run([tools.cmake, "--build", build, "--target", "llama"], check=True)
    spec = find_spec("llama_cpp")
    assert spec
    assert spec.origin
    shutil.copytree(Path(spec.origin).parent, site / "llama_cpp", ignore=shutil.ignore_patterns("lib", "__pycache__"))
    details = distribution("llama-cpp-python").locate_file(
        f"llama_cpp_python-{version('llama-cpp-python')}.dist-info"
    )
    shutil.copytree(str(details), site / Path(str(details)).name)
    (site / "llama_cpp" / "lib").mkdir()
    for library in build.rglob("*.so*"):
        if library.is_file() and not library.is_symlink():
            shutil.copy(library, site / "llama_cpp" / "lib")
        elif library.is_symlink():
            shutil.copy(library.resolve(), site / "llama_cpp" / "lib" / library.name)


if __name__ == "__main__":
    main()
