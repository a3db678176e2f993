"""What an encoder's graph multiplies is what its checkpoint holds."""

from math import prod
from pathlib import Path

import pytest

from edgepack.convert.onnx.encoder import open_encoder, write_onnx
from edgepack.domain.quant import OnnxQuant, TensorType
from edgepack.domain.work import TABLES
from edgepack.engines.onnxruntime_work import encoder_work
from tests.fakes.checkpoints import make_checkpoint
from tests.oracle.onnx_encoders import RECIPES

_TYPES = {OnnxQuant.Q8: TensorType.Q8_0, OnnxQuant.F32: TensorType.F32}


@pytest.mark.parametrize("quant", OnnxQuant)
@pytest.mark.parametrize("name", ["MiniLM-seeded", "distilbert-classes", "modernbert-tokens"])
def test_every_matrix_is_counted_once(name: str, quant: OnnxQuant, vocabularies: Path, tmp_path: Path) -> None:
    (recipe,) = (recipe for recipe in RECIPES if recipe.name == name)
    conversion = open_encoder(make_checkpoint(recipe, tmp_path / "checkpoint", vocabularies), name)
    write_onnx(conversion, quant, tmp_path / "e.onnx")
    work = encoder_work(tmp_path / "e.onnx")
    looked_up = {*TABLES, "token_embd.weight"}
    matrices = [one for one in conversion.sources if len(one.shape) == 2 and one.name not in looked_up]
    assert work.multiplied == {_TYPES[quant]: sum(prod(one.shape) for one in matrices)}
    layers = recipe.config.get("num_hidden_layers") or recipe.config["n_layers"]
    (hidden,) = (one.shape[1] for one in conversion.sources if one.name == "token_embd.weight")
    assert work.attention == 4 * layers * hidden
    assert work.bytes_a_token >= sum(work.multiplied.values())
