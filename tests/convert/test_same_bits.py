"""The same checkpoint gives the same GGUF on aarch64 (qemu-user) as here: every quantization, byte for byte."""

import json
import os
import shutil
import sys
from pathlib import Path
from subprocess import run

import pytest

from edgepack.domain.progress import Silent
from edgepack.infra.toolchain import compiler
from edgepack.kernels.recipe import Variant, arguments
from tests.conftest import ROOT, USERS_STORE
from tests.convert.elsewhere import SITE, TRIPLE
from tests.fakes.sshd import Unavailable
from tests.transports.foreign import AARCH64, foreign_machine

_LONGEST = 1800
# Here and there the same: convert, and say what came out and who made the blocks.
_CONVERT = """
import json, platform, shutil, sys, tempfile
from pathlib import Path
from edgepack.convert.onepass import open_conversion, write_gguf
from edgepack.convert.quantizer import load_quantizer
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.kernels.library import MADE
from edgepack.kernels.recipe import Variant, packaged

# As the package's build would have left them there.
if kernels := sys.argv[2:]:
    ready = packaged(Variant.BASELINE)
    ready.parent.mkdir(exist_ok=True)
    shutil.copy(kernels[0], ready)
made = {}
conversion = open_conversion(Path(sys.argv[1]), "demo")
with tempfile.TemporaryDirectory() as place:
    for quant in Quant:
        made[quant] = write_gguf(conversion, quant, Path(place) / quant, threads=1, progress=Silent())
quantizer = load_quantizer(MADE, Silent())
by = quantizer.kernels.variant if quantizer.kernels else None
distrusted = sorted(type.name for type in MADE - quantizer.trusted)
print(json.dumps({"machine": platform.machine(), "by": by, "distrusted": distrusted, "made": made}))
"""


def converted(command: list[str], home: Path, environment: dict[str, str], *kernels: Path) -> dict[str, object]:
    words = [*command, str(home / "convert.py"), str(home / "checkpoint"), *map(str, kernels)]
    done = run(words, capture_output=True, text=True, env=environment, timeout=_LONGEST)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def compiled(home: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Our kernels for that processor, by the pinned compiler, which an earlier build of a runtime has brought."""
    monkeypatch.setenv("EDGEPACK_HOME", str(USERS_STORE))
    (scratch / "tools").mkdir()
    zig = compiler(scratch / "tools", offline=True, progress=Silent())
    words = [str(zig), "cc", "-target", TRIPLE, *arguments(Variant.BASELINE, home / "kernels.so")]
    caches = dict.fromkeys(("HOME", "ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"), str(scratch))
    run(words, check=True, env={**os.environ, **caches})
    return home / "kernels.so"


@pytest.mark.slow
def test_every_quantization_is_the_same_on_aarch64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not SITE.is_dir():
        pytest.skip(
            "nothing of the converter for aarch64: run `make foreign`, then `python -m tests.convert.elsewhere`"
        )
    home = tmp_path / "home"
    home.mkdir()
    (home / "convert.py").write_text(_CONVERT)
    shutil.copytree(ROOT / "edgepack" / "data" / "demo-1m", home / "checkpoint")
    shutil.copytree(ROOT / "edgepack", home / "package" / "edgepack", ignore=shutil.ignore_patterns("built"))
    shutil.copytree(SITE, home / "site")
    kernels = compiled(home, tmp_path, monkeypatch)
    paths = os.pathsep.join([str(home / "package"), str(home / "site")])
    try:
        with foreign_machine(AARCH64, tmp_path / "machine", home, "python") as machine:
            surroundings = {"PATH": machine.path, "HOME": str(home), "PYTHONPATH": paths, **machine.environment}
            there = converted([*machine.enter, "/usr/bin/python3.11"], home, surroundings, kernels)
    except Unavailable as reason:
        pytest.skip(str(reason))
    here = converted([sys.executable], home, {**os.environ, "PYTHONPATH": str(ROOT)})
    print(f"\nhere: {here}\nthere: {there}")
    assert (there["machine"], there["by"], there["distrusted"]) == ("aarch64", "baseline", [])
    assert there["made"] == here["made"]
