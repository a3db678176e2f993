"""Small encoders with random weights as ONNX files, and such files spoilt."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx

from edgepack.convert.onnx.encoder import open_encoder, write_onnx
from edgepack.domain.quant import OnnxQuant
from tests.fakes.checkpoints import Recipe, make_checkpoint


def write_encoder(recipe: Recipe, quant: OnnxQuant, path: Path, vocabularies: Path) -> Path:
    """`recipe`'s checkpoint, converted to `path`."""
    checkpoint = make_checkpoint(recipe, path.with_suffix(".checkpoint"), vocabularies)
    write_onnx(open_encoder(checkpoint, recipe.name), quant, path)
    shutil.rmtree(checkpoint)
    return path


def changed(file: Path, change: Callable[[Any], None], path: Path) -> Path:
    """`file` after `change` of its onnx.ModelProto, at `path`."""
    model = onnx.load_model_from_string(file.read_bytes())
    change(model)
    path.write_bytes(model.SerializeToString())
    return path
