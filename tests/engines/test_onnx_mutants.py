"""Mutants of an encoder's file never end the process or keep it: each is refused, or answers as before."""

import subprocess
import sys
from pathlib import Path

import pytest

from edgepack.domain.progress import Silent
from edgepack.domain.quant import OnnxQuant
from edgepack.infra.tasks import load_task
from edgepack.stages.head import head_to
from tests.conftest import ROOT
from tests.fakes.encoders import write_encoder
from tests.oracle.onnx_encoders import RECIPES as ONNX
from tests.oracle.recipes.encoders import RECIPES as ENCODERS

RECIPES = {recipe.name: recipe for recipe in (*ENCODERS, *ONNX)}
_HANGS = 600
"""Seconds; a hundred take a few."""


@pytest.fixture(scope="module", params=["MiniLM-seeded", "xlm-roberta-seeded-f16", "bert-tanh-tokens", "a head"])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, vocabularies: Path) -> Path:
    """Vectors, tags, and what a head makes of vectors."""
    headed = request.param == "a head"
    recipe = RECIPES["MiniLM-seeded" if headed else request.param]
    path = tmp_path_factory.mktemp("encoder") / "encoder.onnx"
    write_encoder(recipe, OnnxQuant.Q8, path, vocabularies)
    if headed:
        head_to(path.with_name("head.onnx"), path, load_task("sentiment"), threads=1, progress=Silent())
        return path.with_name("head.onnx")
    return path


def endings(encoder: Path, first: int, count: int) -> list[str]:
    command = [sys.executable, "-m", "tests.engines.onnx_mutants", encoder, str(first), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=_HANGS)
    ended = done.stdout.split()
    assert set(ended) <= {"error", "answer"}, done.stdout[-2000:]
    assert done.returncode == 0, f"mutant {first + len(ended)}: {done.stderr[-2000:]}"
    return ended


def test_thirty_mutants_end_as_errors_or_answers(encoder: Path) -> None:
    ended = endings(encoder, 0, 30)
    assert len(ended) == 30
    assert set(ended) == {"error", "answer"}


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1500, 100))
def test_two_thousand_mutants_end_as_errors_or_answers(encoder: Path, first: int) -> None:
    """Five hundred of each of four files."""
    assert len(endings(encoder, first, 100)) == 100
