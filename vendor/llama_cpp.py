"""Fetch the pinned llama-cpp-python, check it, and build from it: the bindings, or llama.cpp's own tools.

    python vendor/llama_cpp.py source    unpack the pinned source; print where
    python vendor/llama_cpp.py wheel     build the bindings, once for each pin and set of flags; print the wheel
    python vendor/llama_cpp.py tools     build llama-quantize and the other tools listed below; print their folder

Everything lies in vendor/cache. It runs with the interpreter that the result is for, and uses its pip: whatever
index that is configured for is the one asked.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE / "cache"

# Only what edgepack calls. No OpenMP: with it, one busy process can cost a run 98 % of its speed.
FLAGS = (
    "-DGGML_OPENMP=OFF",
    "-DGGML_CCACHE=OFF",
    "-DLLAMA_OPENSSL=OFF",
)
BINDINGS_FLAGS = ("-DLLAVA_BUILD=OFF", f"-DCMAKE_PROJECT_llama.cpp_INCLUDE={HERE / 'no_common.cmake'}")
TOOLS = ("llama-quantize", "llama-imatrix", "llama-bench", "llama-tokenize", "llama-perplexity")
TOOLS_FLAGS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=ON",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_SERVER=OFF",
    "-DLLAMA_BUILD_APP=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
)
BUILD_REQUIREMENTS = ("cmake>=3.21", "ninja", "scikit-build-core[pyproject]>=0.9.2")


@dataclass(frozen=True)
class Pin:
    """A version, and the only archive that counts as it."""

    version: str
    sha256: str

    @property
    def archive(self) -> Path:
        return CACHE / f"llama_cpp_python-{self.version}.tar.gz"

    @property
    def source(self) -> Path:
        return CACHE / f"llama_cpp_python-{self.version}"


def read_pin() -> Pin:
    """The pin; exits where it has no digest."""
    table = tomllib.loads((HERE / "pins.toml").read_text())["llama-cpp-python"]
    if len(table.get("sha256", "")) != 64:
        sys.exit("vendor/pins.toml: llama-cpp-python has no sha256")
    return Pin(version=table["version"], sha256=table["sha256"])


def run(*command: str | Path, **environment: str) -> None:
    """Run a build step quietly; on failure show what it said."""
    done = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{done.stdout[-6000:]}\nfailed: {command[0]} {command[1]} (the last lines above say why)")


def say(text: str) -> None:
    print(f"==> {text}", file=sys.stderr, flush=True)


def fetch(pin: Pin) -> Path:
    """The checked archive."""
    if not pin.archive.is_file():
        CACHE.mkdir(exist_ok=True)
        require_build_tools()  # pip reads a source archive's metadata through its build back end
        say(f"fetching llama-cpp-python {pin.version} (77 MB)")
        wanted = CACHE / "requirements.txt"
        wanted.write_text(f"llama-cpp-python=={pin.version} --hash=sha256:{pin.sha256}\n")
        arrived = CACHE / "arrived"
        pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation")
        run(*pip, "--no-binary=:all:", "--require-hashes", "--dest", arrived, "--requirement", wanted)
        (arrived / pin.archive.name).replace(pin.archive)
        shutil.rmtree(arrived)
    found = sha256(pin.archive.read_bytes()).hexdigest()
    if found != pin.sha256:
        pin.archive.unlink()
        sys.exit(f"{pin.archive.name}: sha256 is {found}, pinned is {pin.sha256}; run it again to fetch it anew")
    return pin.archive


def source(pin: Pin) -> Path:
    """The unpacked source, moved into place only when it is whole."""
    if not pin.source.is_dir():
        archive = fetch(pin)
        say("unpacking")
        partial = CACHE / f"unpacking-{os.getpid()}"
        with tarfile.open(archive) as opened:
            # Python 3.11.0 to 3.11.3 know no filters; the archive is the pinned one, byte for byte.
            opened.extraction_filter = getattr(tarfile, "data_filter", lambda member, _path: member)
            opened.extractall(partial)
        (partial / pin.source.name).replace(pin.source)
        shutil.rmtree(partial)
    return pin.source


def wheel(pin: Pin) -> Path:
    """The bindings for this interpreter and this machine's processor, built once."""
    flags = (*FLAGS, *BINDINGS_FLAGS)
    key = sha256(repr((pin, flags, sys.version, processor())).encode()).hexdigest()[:16]
    place = CACHE / "wheels" / key
    made = sorted(place.glob("*.whl"))
    if made:
        return made[0]
    require_build_tools()
    tree = source(pin)
    say("building the llama.cpp bindings (2 to 5 minutes on two cores)")
    partial = place.with_name(f"{key}.{os.getpid()}")
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    run(*pip, "--wheel-dir", partial, tree, CMAKE_ARGS=" ".join(flags), PATH=tool_path())
    partial.replace(place)
    return sorted(place.glob("*.whl"))[0]


def tools(pin: Pin) -> Path:
    """llama.cpp's own programs, from the same source with the same flags as the bindings."""
    require_build_tools()
    flags = (*FLAGS, *TOOLS_FLAGS)
    key = sha256(repr((pin, flags, processor())).encode()).hexdigest()[:16]
    place = CACHE / f"tools-{key}"
    if not all((place / "bin" / name).is_file() for name in TOOLS):
        tree = source(pin)
        say("building llama.cpp's tools (4 to 8 minutes on two cores)")
        run("cmake", "-G", "Ninja", "-S", tree / "vendor" / "llama.cpp", "-B", place, *flags, PATH=tool_path())
        run("cmake", "--build", place, "--target", *TOOLS, PATH=tool_path())
    return place / "bin"


def require_build_tools() -> None:
    """CMake, Ninja and the build back end, from the package index: the machine needs only a compiler."""
    if not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        sys.exit("no C++ compiler here; on Debian or Ubuntu: apt-get install g++")
    run(sys.executable, "-m", "pip", "install", "--quiet", *BUILD_REQUIREMENTS)


def tool_path() -> str:
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def processor() -> str:
    """What -march=native depends on."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    flags = [line for line in lines if line.startswith(("flags", "Features", "model name"))]
    return "\n".join(flags[:2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("source", "wheel", "tools"))
    made = {"source": source, "wheel": wheel, "tools": tools}[parser.parse_args().what](read_pin())
    print(made)


if __name__ == "__main__":
    main()
