"""Pin the wheels that run an encoder on a device, of the newest versions or of those given.

    .venv/bin/python vendor/refresh_wheels.py [NAME==VERSION ...] > edgepack/data/wheels.toml

pip chooses and brings them from whatever index it is configured for; each is pinned by the sha256 of what came.
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGES = {"numpy": "BSD-3-Clause", "onnxruntime": "MIT", "tokenizers": "Apache-2.0"}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
ARCHITECTURES = ("aarch64", "x86_64")
TAGS = ("2_28", "2_27", "2_17")
HEAD = """\
# The packages that run an encoder's bundle on a device with Python, by the sha256 of each wheel: what --with-wheels
# brings along. Keys are Python and processor; all are for glibc 2.28 and newer. vendor/refresh_wheels.py writes it.
#
# These three alone: nothing of onnxruntime's and tokenizers' other requirements (flatbuffers, packaging, protobuf,
# huggingface-hub) is imported by what the bundle's encoder.py calls.
"""


def fetched(name: str, python: str, architecture: str) -> tuple[str, str]:
    """The package's version, and the line of its wheel."""
    platforms = [word for tag in TAGS for word in ("--platform", f"manylinux_{tag}_{architecture}")]
    with tempfile.TemporaryDirectory() as place:
        subprocess.run(
            [
                sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                "--only-binary", ":all:", "--implementation", "cp", "--python-version", python, *platforms,
                "--dest", place, name,
            ],
            check=True,
        )  # fmt: skip
        (wheel,) = Path(place).iterdir()
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        said = f'"{python}-{architecture}" = {{ file = "{wheel.name}", size = {wheel.stat().st_size}, '
        return wheel.name.split("-")[1], f'{said}sha256 = "{digest}" }}'


def main() -> None:
    print(HEAD, end="")
    wanted = {word.partition("==")[0]: word for word in sys.argv[1:]}
    for package, licence in PACKAGES.items():
        found = [
            fetched(wanted.get(package, package), python, architecture)
            for python in PYTHONS
            for architecture in ARCHITECTURES
        ]
        (version,) = {version for version, _ in found}
        print(f'\n[{package}]\nversion = "{version}"\nlicence = "{licence}"\n[{package}.wheels]')
        print("\n".join(line for _, line in found))


if __name__ == "__main__":
    main()
