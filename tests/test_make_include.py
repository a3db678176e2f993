"""Bundles as targets of a real Makefile: made when they must be, once, whatever -j says, and installed whole."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from subprocess import run as start

import pytest

from edgepack.cli.main import run
from edgepack.cli.stamping import inputs_of, make_rule
from edgepack.infra.library import profile_files

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="needs make")

MAKEFILE = """\
EDGEPACK := {python} -m edgepack
EDGEPACK_BUNDLES := kitchen hall
EDGEPACK_MODEL := demo-1m
EDGEPACK_FLAGS := --runtime none --gates none
EDGEPACK_kitchen_PROFILE := kitchen.toml
EDGEPACK_hall_PROFILE := rpi5
EDGEPACK_hall_QUANT := Q8_0
include $(shell $(EDGEPACK) --print make-include)
all: edgepack-bundle
"""

Make = Callable[..., CompletedProcess[str]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """`make` in a firmware's tree with two bundles, one of a profile of its own."""
    tree = tmp_path / "my firmware"
    tree.mkdir()
    (tree / "Makefile").write_text(MAKEFILE.format(python=sys.executable))
    (tree / "kitchen.toml").write_text('base = "rpi5"\n')

    def call(*words: str, ok: bool = True) -> CompletedProcess[str]:
        done = start(["make", "-C", str(tree), *words], capture_output=True, text=True, env=os.environ)
        assert done.returncode == 0 or not ok, done.stdout + done.stderr
        return done

    return call


def built(done: CompletedProcess[str]) -> list[str]:
    """The bundles whose recipe ran."""
    return sorted(
        line.split("--stamp ")[1].split("/")[-1].split(".")[0]
        for line in done.stdout.splitlines()
        if "--stamp " in line
    )


def test_bundles_are_built_once_and_again_only_for_what_depends_on_the_change(make: Make, tmp_path: Path) -> None:
    tree = tmp_path / "my firmware"
    out = tree / "build" / "edgepack"
    make("-j4")
    assert (out / "kitchen" / "manifest.json").is_file()
    assert (out / "hall" / "manifest.json").is_file()
    assert built(make()) == []
    (tree / "kitchen.toml").touch()
    assert built(make("-n")) == ["kitchen"]
    make()
    changed = (tree / "Makefile").read_text().replace("Q8_0", "Q4_0")
    (tree / "Makefile").write_text(changed)
    assert built(make()) == ["hall"]
    assert built(make()) == []
    shutil.rmtree(out / "kitchen")
    assert built(make()) == ["kitchen"]


def test_install_puts_whole_bundles_into_the_image_and_leaves_what_stands(make: Make, tmp_path: Path) -> None:
    image = tmp_path / "root fs"
    make("-j4", "edgepack-install", f"TARGET_DIR={image}")
    installed = image / "usr" / "lib" / "edgepack" / "hall"
    assert run(["verify", str(installed), "--quiet"]) == 0
    assert os.access(installed / "run", os.X_OK)
    before = installed.stat().st_ino
    done = make("edgepack-install", f"DESTDIR={image}", "EDGEPACK_PREFIX=/usr/lib/edgepack")
    assert "installing" not in done.stdout
    assert installed.stat().st_ino == before
    assert {path.name for path in installed.parent.iterdir()} == {"kitchen", "hall"}


def test_bench_and_verify_work_on_what_was_built(make: Make, tmp_path: Path) -> None:
    done = make("edgepack-bench", ok=False)
    assert done.returncode != 0
    assert "DEVICE=ssh://HOST" in done.stderr
    make("-j4", "edgepack-bench", "DEVICE=local", "EDGEPACK_BENCHFLAGS=-p 16 -n 8 -r 1 --quiet")
    out = tmp_path / "my firmware" / "build" / "edgepack"
    assert (out / "kitchen.measurement.json").stat().st_size
    assert (out / "hall.measurement.json").stat().st_size
    assert "every byte is right" in make("edgepack-verify", "EDGEPACK_VERIFYFLAGS=--no-run").stdout
    make("edgepack-clean")
    assert not out.exists()


def test_a_failed_build_leaves_no_stamp_and_fails_make(make: Make, tmp_path: Path) -> None:
    (tmp_path / "my firmware" / "kitchen.toml").write_text("not = [TOML")
    done = make("-k", ok=False)
    assert done.returncode == 2
    out = tmp_path / "my firmware" / "build" / "edgepack"
    assert not (out / "kitchen.stamp").exists()
    assert (out / "hall.stamp").exists()


def test_inputs_are_the_files_that_the_words_name(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "mine.toml").write_text('base = "rpi5"\n')
    said = {
        "profile": str(tmp_path / "mine.toml"),
        "task": "smart-home-intents",
        "models": (str(tmp_path / "model"),),
    }
    names = {path.name for path in inputs_of(said)}
    assert {"mine.toml", "config.json", "smart-home-intents.toml", "__init__.py"} <= names
    assert {path.name for path in profile_files("rpi5")} <= names
    assert "demo-intents-heldout.jsonl" in names


def test_a_rule_escapes_what_make_would_read() -> None:
    assert make_rule(Path("a b"), [Path("/x/c$d#e")]) == "a\\ b: \\\n  /x/c$$d\\#e \\\n\n/x/c$$d\\#e:\n"
