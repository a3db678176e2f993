"""Spoilt bundles of encoders never end the process or keep it: each is refused with its code, or does as before."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgepack.domain.progress import Silent
from edgepack.pipeline import Order, build
from edgepack.stages.fetch import find_source
from tests.conftest import ROOT
from tests.fakes.checkpoints import make_checkpoint
from tests.oracle.recipes.encoders import RECIPES

_HANGS = 1200
"""Seconds; a hundred take half a minute."""
_TOLD = {"done", "4", "7"}
"""It is done, bad input, or not what it says."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, vocabularies: Path) -> Path:
    (recipe,) = (one for one in RECIPES if one.name == "MiniLM-seeded")
    return make_checkpoint(recipe, tmp_path_factory.mktemp("checkpoint") / recipe.name, vocabularies)


@pytest.fixture(scope="module")
def bundle(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEPACK_HOME", str(directory / "home"))
        order = Order(profile="rpi5", source=find_source(str(checkpoint)), out=directory / "out", measure=False)
        return build(order, Silent()).bundle.path


def endings(bundle: Path, checkpoint: Path, first: int, count: int) -> list[str]:
    command = [
        sys.executable, "-m", "tests.encoder_bundle_mutants", bundle, checkpoint, str(first), str(count)
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=_HANGS)
    ended = done.stdout.split()
    assert done.returncode == 0, f"mutant {first + len(ended)}: {done.stderr[-2000:]}"
    assert set(ended) <= _TOLD, done.stdout[-2000:]
    return ended


def test_forty_two_spoilt_bundles_end_with_a_code(bundle: Path, checkpoint: Path) -> None:
    ended = endings(bundle, checkpoint, 0, 42)
    assert len(ended) == 42
    assert {"4", "7"} <= set(ended)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(10_000, 11_000, 100))
def test_a_thousand_spoilt_bundles_end_with_a_code(bundle: Path, checkpoint: Path, first: int) -> None:
    assert len(endings(bundle, checkpoint, first, 100)) == 100
