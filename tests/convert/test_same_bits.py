"""The same checkpoint gives the same bytes on aarch64 (qemu-user) as here: every quantization, and whole bundles."""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import run
from typing import Any

import pytest

from edgepack.domain.progress import Silent
from edgepack.infra.toolchain import compiler
from edgepack.kernels.recipe import Variant, arguments
from tests.conftest import ROOT, USERS_STORE
from tests.convert.elsewhere import SITE, TRIPLE
from tests.fakes.sshd import Unavailable
from tests.transports.foreign import AARCH64, foreign_machine

pytestmark = pytest.mark.slow
_LONGEST = 1800
# As the package's build would have left the kernels there.
_KERNELS = """
import json, platform, shutil, sys
from pathlib import Path
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.kernels.recipe import Variant, packaged

place = Path(sys.argv[1])
if kernels := sys.argv[2:]:
    ready = packaged(Variant.BASELINE)
    ready.parent.mkdir(exist_ok=True)
    shutil.copy(kernels[0], ready)
"""
_CONVERT = """
import edgepack
from edgepack.convert.onepass import open_conversion, write_gguf
from edgepack.convert.quantizer import load_quantizer
from edgepack.kernels.library import MADE

made = {}
conversion = open_conversion(Path(edgepack.__file__).parent / "data" / "demo-1m", "demo")
for quant in Quant:
    made[quant] = write_gguf(conversion, quant, place / quant, threads=1, progress=Silent())
quantizer = load_quantizer(MADE, Silent())
by = quantizer.kernels.variant if quantizer.kernels else None
distrusted = sorted(type.name for type in MADE - quantizer.trusted)
print(json.dumps({"machine": platform.machine(), "by": by, "distrusted": distrusted, "made": made}))
"""
_BUILD = """
from edgepack.domain.gates import GateDepth
from edgepack.domain.native import RuntimeChoice
from edgepack.pipeline import Order, build
from edgepack.stages.fetch import find_source

digests = {}
for quant in (Quant.Q4_K_M, Quant.Q8_0):
    order = Order(
        profile="rpi5", source=find_source("demo-1m"), quant=quant, out=place / quant, measure=False,
        runtime=RuntimeChoice.NONE, gates=GateDepth.NONE, offline=True,
    )
    digests[quant] = build(order, Silent()).bundle.payload_digest
print(json.dumps({"machine": platform.machine(), "digests": digests}))
"""


def compiled(home: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our kernels for that processor, by the pinned compiler, which an earlier build of a runtime has brought."""
    monkeypatch.setenv("EDGEPACK_HOME", str(USERS_STORE))
    (scratch / "tools").mkdir()
    zig = compiler(scratch / "tools", offline=True, progress=Silent())
    words = [str(zig), "cc", "-target", TRIPLE, *arguments(Variant.BASELINE, home / "kernels.so")]
    caches = dict.fromkeys(("HOME", "ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"), str(scratch))
    run(words, check=True, env={**os.environ, **caches})


@dataclass(frozen=True, kw_only=True, slots=True)
class Elsewhere:
    """The machine that has edgepack, and how a script of it is started."""

    home: Path
    command: tuple[str, ...]
    environment: dict[str, str]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Elsewhere]:
    if not SITE.is_dir():
        pytest.skip(
            "nothing of the converter for aarch64: run `make foreign`, then `python -m tests.convert.elsewhere`"
        )
    home = tmp_path / "home"
    package = home / "package" / "edgepack"
    shutil.copytree(ROOT / "edgepack", package, ignore=shutil.ignore_patterns("built"))
    shutil.copytree(ROOT / "profiles", package / "profiles")
    shutil.copytree(ROOT / "vendor", package / "vendor", ignore=shutil.ignore_patterns("cache"))
    shutil.copytree(SITE, home / "site")
    compiled(home, tmp_path, monkeypatch)
    paths = os.pathsep.join([str(home / "package"), str(home / "site")])
    try:
        with foreign_machine(AARCH64, tmp_path / "machine", home, "python") as machine:
            surroundings = {
                "PATH": machine.path, "HOME": str(home), "PYTHONPATH": paths, "EDGEPACK_HOME": str(home / "store"),
                **machine.environment,
            }  # fmt: skip
            yield Elsewhere(home=home, command=(*machine.enter, "/usr/bin/python3.11"), environment=surroundings)
    except Unavailable as reason:
        pytest.skip(str(reason))


def said(command: Sequence[str], script: str, place: Path, environment: dict[str, str], *kernels: Path) -> Any:
    """What the script prints, as JSON; it finds a directory of its own as its first word."""
    place.mkdir()
    (place / "script.py").write_text(_KERNELS + script)
    words = [*command, str(place / "script.py"), str(place), *map(str, kernels)]
    done = run(words, capture_output=True, text=True, env=environment, timeout=_LONGEST)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def both(elsewhere: Elsewhere, script: str, tmp_path: Path) -> tuple[Any, Any]:
    """What the script says there, and here."""
    kernels = elsewhere.home / "kernels.so"
    there = said(elsewhere.command, script, elsewhere.home / "there", elsewhere.environment, kernels)
    ours = {**os.environ, "PYTHONPATH": str(ROOT), "EDGEPACK_HOME": str(tmp_path / "store")}
    here = said([sys.executable], script, tmp_path / "here", ours)
    print(f"\nhere: {here}\nthere: {there}")
    return there, here


def test_every_quantization_is_the_same_on_aarch64(elsewhere: Elsewhere, tmp_path: Path) -> None:
    there, here = both(elsewhere, _CONVERT, tmp_path)
    assert (there["machine"], there["by"], there["distrusted"]) == ("aarch64", "baseline", [])
    assert there["made"] == here["made"]


def test_a_whole_bundle_is_the_same_on_aarch64(elsewhere: Elsewhere, tmp_path: Path) -> None:
    """Planned, converted, written and verified there, the model's answer included."""
    there, here = both(elsewhere, _BUILD, tmp_path)
    assert there["machine"] == "aarch64"
    assert there["digests"] == here["digests"]
