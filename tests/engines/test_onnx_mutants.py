"""Mutants of an encoder's file never end the process or keep it: each is refused, or gives a vector as before."""

import subprocess
import sys
from pathlib import Path

import pytest

from edgepack.domain.quant import OnnxQuant
from tests.conftest import ROOT
from tests.fakes.encoders import write_encoder
from tests.oracle.recipes.encoders import RECIPES

_HANGS = 600
"""Seconds; a hundred take a few."""


@pytest.fixture(scope="module", params=["MiniLM-seeded", "xlm-roberta-seeded-f16"])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, vocabularies: Path) -> Path:
    (recipe,) = (recipe for recipe in RECIPES if recipe.name == request.param)
    path = tmp_path_factory.mktemp("encoder") / "encoder.onnx"
    return write_encoder(recipe, OnnxQuant.Q8, path, vocabularies)


def endings(encoder: Path, first: int, count: int) -> list[str]:
    command = [sys.executable, "-m", "tests.engines.onnx_mutants", encoder, str(first), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=_HANGS)
    ended = done.stdout.split()
    assert set(ended) <= {"error", "vector"}, done.stdout[-2000:]
    assert done.returncode == 0, f"mutant {first + len(ended)}: {done.stderr[-2000:]}"
    return ended


def test_fifty_mutants_end_as_errors_or_vectors(encoder: Path) -> None:
    ended = endings(encoder, 0, 50)
    assert len(ended) == 50
    assert set(ended) == {"error", "vector"}


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1500, 100))
def test_a_thousand_mutants_end_as_errors_or_vectors(encoder: Path, first: int) -> None:
    """Five hundred of each of two files."""
    assert len(endings(encoder, first, 100)) == 100
