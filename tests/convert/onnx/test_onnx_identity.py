"""Every family's ONNX file gives what transformers' own class gave for the same small checkpoint, recorded."""

import json
from pathlib import Path

import numpy as np
import pytest

from edgepack.convert.onnx.table import ENCODERS
from edgepack.domain.quant import OnnxQuant
from edgepack.engines.onnxruntime_library import encoded, open_encoder, run
from tests.conftest import ROOT
from tests.fakes.checkpoints import Recipe
from tests.fakes.encoders import write_encoder
from tests.oracle.onnx_encoders import RECIPES, TEXTS

DATA = ROOT / "tests" / "data" / "oracle-onnx"
_NEAR = 2e-5
"""Of float32, against another order of additions, and six recorded digits."""


@pytest.mark.parametrize("recipe", RECIPES, ids=[recipe.name for recipe in RECIPES])
@pytest.mark.parametrize("quant", OnnxQuant)
def test_a_file_gives_what_transformers_gives(
    recipe: Recipe, quant: OnnxQuant, vocabularies: Path, tmp_path: Path
) -> None:
    """To the last digits in float32; as the 8 bits allow otherwise."""
    encoder = open_encoder(write_encoder(recipe, quant, tmp_path / "encoder.onnx", vocabularies), threads=1)
    theirs = json.loads((DATA / f"{recipe.name}.json").read_text())
    for number, (text, wanted) in enumerate(zip(TEXTS, theirs, strict=True)):
        ours, right = run(encoder, encoded(encoder, text, number)), np.array(wanted, np.float32)
        assert ours.shape == right.shape
        if quant is OnnxQuant.F32:
            assert ours == pytest.approx(right, abs=_NEAR * max(1, float(np.abs(right).max())))
        else:
            assert np.linalg.norm(ours - right) <= 0.08 * np.linalg.norm(right)


def test_every_family_is_compared() -> None:
    covered = {recipe.config["architectures"][0] for recipe in RECIPES}
    assert all(covered & encoder.family.classes.keys() for encoder in ENCODERS)
