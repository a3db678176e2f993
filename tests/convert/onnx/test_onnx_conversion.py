"""What keeps an encoder from becoming ONNX, and how its weights are rounded."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgepack.convert.onnx.blocks8 import quantized
from edgepack.convert.onnx.encoder import open_encoder, write_onnx
from edgepack.domain.encoder import BLOCK
from edgepack.domain.errors import BadInputError
from edgepack.domain.quant import OnnxQuant
from tests.fakes.checkpoints import make_checkpoint
from tests.oracle.onnx_encoders import RECIPES

BY_NAME = {recipe.name: recipe for recipe in RECIPES}


def _without_pooling(checkpoint: Path) -> None:
    (checkpoint / "modules.json").unlink()


def _last_token(checkpoint: Path) -> None:
    (checkpoint / "1_Pooling" / "config.json").write_text('{"pooling_mode_lasttoken": true}')


def _without_tokenizer(checkpoint: Path) -> None:
    (checkpoint / "tokenizer.json").unlink()


def _configured(key: str, value: object) -> Callable[[Path], None]:
    def change(checkpoint: Path) -> None:
        path = checkpoint / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))

    return change


def _not_a_number(checkpoint: Path) -> None:
    path = checkpoint / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + np.float32(np.nan).tobytes())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_without_pooling, "says no pooling"), (_last_token, "pools by the last token"),
        (_without_tokenizer, "no tokenizer.json"), (_not_a_number, "holds NaN"),
        (_configured("activation", "silu"), "hidden_act: expected"), (_configured("n_heads", 5), "a divisor"),
        (_configured("dim", 64), r"config.json says \[\d+, 64\]"),
        (_configured("architectures", ["DistilBertForQuestionAnswering"]), "does not become ONNX"),
    ],
)  # fmt: skip
def test_what_the_graph_would_not_compute_is_refused(
    change: Callable[[Path], None], said: str, vocabularies: Path, tmp_path: Path
) -> None:
    """Nothing is written."""
    checkpoint = make_checkpoint(BY_NAME["distilbert-vectors"], tmp_path / "checkpoint", vocabularies)
    change(checkpoint)
    with pytest.raises(BadInputError, match=said):
        write_onnx(open_encoder(checkpoint, "x"), OnnxQuant.Q8, tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


def test_classes_that_nobody_named_are_numbered(vocabularies: Path, tmp_path: Path) -> None:
    config = {
        key: value for key, value in BY_NAME["bert-classes"].config.items() if not key.endswith(("label", "2id"))
    }
    recipe = replace(BY_NAME["bert-classes"], name="unnamed", config=config)
    checkpoint = make_checkpoint(recipe, tmp_path / "checkpoint", vocabularies)
    assert open_encoder(checkpoint, "x").description(OnnxQuant.Q8).labels == ("LABEL_0", "LABEL_1")


@pytest.mark.parametrize("columns", [1, 31, 32, 33, 96])
def test_a_weight_is_off_by_half_a_step_at_most(columns: int) -> None:
    """And the one farthest from zero by nothing; a block of zeros stays zero; what fills the last block is zero."""
    matrix = np.random.default_rng(columns).standard_normal((5, columns), dtype=np.float32)
    matrix[2] = 0
    codes, scales = quantized(matrix)
    values = ((codes.astype(np.float32) - 128) * scales[..., None]).reshape(5, -1)
    steps = np.repeat(np.abs(scales), BLOCK, axis=1)[:, :columns]
    apart = np.abs(values[:, :columns] - matrix)
    # 127 steps reach nearly as far on the other side as 128 do on this one.
    assert (apart <= steps * 1.001).all()
    assert (apart <= steps * 0.501)[np.abs(matrix) < 126 * steps].all()
    farthest = np.abs(matrix[:, : min(columns, BLOCK)]).argmax(axis=1)
    assert values[np.arange(5), farthest] == pytest.approx(matrix[np.arange(5), farthest])
    assert not values[2].any()
    assert not values[:, columns:].any()
