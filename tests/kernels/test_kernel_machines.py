"""The same bits on other machines, under qemu-user, and no step past a buffer's end, under the sanitizers.

The program is tests/kernels/driver.c. `make test-kernels` runs these; compiling takes most of the time.
"""

import shutil
import subprocess
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from edgepack.convert.ggml import load_ggml
from edgepack.domain.progress import Silent
from edgepack.infra.toolchain import compiler
from edgepack.kernels.library import MADE, runnable
from edgepack.kernels.recipe import Variant, arguments
from tests.conftest import ROOT, USERS_STORE
from tests.kernels.kernel_cases import made
from tests.kernels.samples import IMPORTANCES, KINDS

pytestmark = pytest.mark.slow

DRIVER = ROOT / "tests" / "kernels" / "driver.c"
# Finite results throughout: where a scale is none, a NaN's sign is the processor's, and ggml refuses the block.
SOUND = [kind for kind in KINDS if kind not in ("constant", "wide", "scattered")]
ROWS, COLUMNS = 19, 768


def program(command: Sequence[str | Path], variant: Variant, place: Path, flags: Sequence[str] = ()) -> Path:
    """The driver with a variant of the kernels, compiled with the library's own flags."""
    made_here = place / "driver"
    words = [word for word in arguments(variant, made_here) if word not in ("-shared", "-fPIC")]
    caches = dict.fromkeys(("HOME", "ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"), str(place))
    done = subprocess.run(
        [*command, *words, *flags, DRIVER], capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", **caches},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return made_here


def digests(run: Sequence[str | Path], place: Path) -> dict[str, str]:
    """Of each type's blocks of all kinds of weights, with importances and without, as the program makes them."""
    found = {}
    random = np.random.default_rng(10)
    weights = np.concatenate([KINDS[kind](random, ROWS * COLUMNS) for kind in SOUND])
    rows, files = weights.size // COLUMNS, [place / name for name in ("weights", "importance", "blocks")]
    files[0].write_bytes(weights.tobytes())
    importance = IMPORTANCES["usual"](random, COLUMNS)
    assert importance is not None
    files[1].write_bytes(importance.tobytes())
    for type in sorted(MADE):
        for given in ("-", files[1]):
            words = ["bits", int(type), rows, COLUMNS, files[0], given, files[2]]
            subprocess.run([*run, *map(str, words)], check=True)
            expected = made(load_ggml(), type, weights, rows, None if given == "-" else importance)
            assert files[2].read_bytes() == expected.tobytes(), type.name
            found[f"{type.name} {'plain' if given == '-' else 'weighed'}"] = sha256(expected.tobytes()).hexdigest()
    return found


def qemu(name: str) -> Path:
    found = shutil.which(f"qemu-{name}-static")
    if not found:
        pytest.skip(f"no qemu-{name}-static: apt-get install qemu-user-static")
    return Path(found)


def test_aarch64_gives_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    emulator = qemu("aarch64")
    if not list((USERS_STORE / "vendor").glob("ziglang-*.whl")):
        pytest.skip("the pinned compiler is not here: edgepack runtime brings it")
    monkeypatch.setenv("EDGEPACK_HOME", str(USERS_STORE))
    zig = compiler(tmp_path, offline=True, progress=Silent())
    command = [zig, "cc", "-target", "aarch64-linux-musl"]
    built = program(command, Variant.BASELINE, tmp_path, ["-static"])
    print("aarch64", *digests([emulator, built], tmp_path).items(), sep="\n  ")


@pytest.mark.skipif(Variant.AVX2 not in runnable(), reason="x86-64 only")
def test_x86_64_without_avx_gives_the_same_bits(tmp_path: Path) -> None:
    emulator = qemu("x86_64")
    built = program(["cc"], Variant.BASELINE, tmp_path, ["-static"])
    print("Nehalem", *digests([emulator, "-cpu", "Nehalem", built], tmp_path).items(), sep="\n  ")


@pytest.mark.parametrize("variant", runnable())
def test_sanitizers_find_nothing(variant: Variant, tmp_path: Path) -> None:
    flags = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    built = program(["cc"], variant, tmp_path, flags)
    done = subprocess.run([built, "fuzz", "1", "20000"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "20000 calls\n"), done.stderr
