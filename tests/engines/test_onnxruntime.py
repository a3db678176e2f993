"""Encoders' ONNX files, run and distrusted: small ones with random weights."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgepack.convert.onepass import open_conversion, write_gguf
from edgepack.domain.encoder import DESCRIPTION_KEY, TOKEN_TABLE, TOKENIZER_KEY
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Silent
from edgepack.domain.quant import OnnxQuant, Quant
from edgepack.domain.weights import WeightsFormat
from edgepack.engines.identifying import identify
from edgepack.engines.llamacpp_embedding import embed as embed_gguf
from edgepack.engines.onnxruntime_embedding import embed
from tests.conftest import ROOT
from tests.fakes.checkpoints import make_checkpoint
from tests.fakes.encoders import changed, write_encoder
from tests.oracle.recipes.encoders import RECIPES

BY_NAME = {recipe.name: recipe for recipe in RECIPES}
TEXTS = ("dim the kitchen lamp", "a longer text of several more words than the first has", "Déjà vu? 3.14!", "")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory, vocabularies: Path) -> Path:
    path = tmp_path_factory.mktemp("encoder") / "minilm.onnx"
    return write_encoder(BY_NAME["MiniLM-seeded"], OnnxQuant.Q8, path, vocabularies)


@pytest.mark.parametrize("name", ["MiniLM-seeded", "bge-seeded-bf16", "xlm-roberta-seeded-f16"])
def test_both_engines_give_a_text_the_same_vector(name: str, vocabularies: Path, tmp_path: Path) -> None:
    """Mean and first token, positions that begin behind the padding's, two vocabularies."""
    checkpoint = make_checkpoint(BY_NAME[name], tmp_path / "checkpoint", vocabularies)
    write_gguf(open_conversion(checkpoint, name), Quant.BF16, tmp_path / "m.gguf", threads=2, progress=Silent())
    shutil.rmtree(checkpoint)
    theirs = embed_gguf(tmp_path / "m.gguf", TEXTS, threads=1)
    for quant, least in ((OnnxQuant.F32, 0.9999), (OnnxQuant.Q8, 0.995)):
        ours = embed(write_encoder(BY_NAME[name], quant, tmp_path / f"{quant}.onnx", vocabularies), TEXTS, threads=1)
        assert (ours * theirs).sum(axis=1).min() >= least
        assert np.linalg.norm(ours, axis=1) == pytest.approx(1, abs=1e-5)


def test_a_file_says_what_it_is(encoder: Path) -> None:
    found = identify(encoder)
    assert (found.format, found.quant, found.architecture) == (WeightsFormat.ONNX, OnnxQuant.Q8, "bert")
    assert (found.name, found.context_length, found.size) == ("MiniLM-seeded", 512, encoder.stat().st_size)


def test_the_same_checkpoint_gives_the_same_bytes(encoder: Path, vocabularies: Path, tmp_path: Path) -> None:
    again = write_encoder(BY_NAME["MiniLM-seeded"], OnnxQuant.Q8, tmp_path / "again.onnx", vocabularies)
    assert again.read_bytes() == encoder.read_bytes()


def test_padding_changes_nothing(encoder: Path) -> None:
    """Others may run several texts at once: the mask is all that tells them apart."""
    import onnxruntime

    session = onnxruntime.InferenceSession(encoder, providers=["CPUExecutionProvider"])
    ids = np.array([[2, 40, 41, 3, 0, 0], [2, 40, 41, 42, 43, 3]])
    mask = np.array([[1, 1, 1, 1, 0, 0], [1] * 6])
    (both,) = session.run(None, {"input_ids": ids, "attention_mask": mask, "token_type_ids": ids * 0})
    alone = {"input_ids": ids[:1, :4], "attention_mask": mask[:1, :4], "token_type_ids": ids[:1, :4] * 0}
    (one,) = session.run(None, alone)
    assert both[0] == pytest.approx(one[0], abs=1e-5)


def _initializer(model: Any, end: str) -> Any:
    return next(tensor for tensor in model.graph.initializer if tensor.name.endswith(end))


def _elsewhere(place: str) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        tensor = _initializer(model, ".scales")
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=place)

    return change


def _loop(model: Any) -> None:
    body = onnx.helper.make_graph([], "body", [], [])
    model.graph.node.append(onnx.helper.make_node("Loop", ["", ""], ["x"], body=body))


def _wide(model: Any) -> None:
    node = next(node for node in model.graph.node if node.op_type == "MatMulNBits")
    next(one for one in node.attribute if one.name == "N").i *= 1000


def _few_tokens(model: Any) -> None:
    table = _initializer(model, TOKEN_TABLE)
    table.raw_data = table.raw_data[: 7 * table.dims[1]]
    table.dims[0] = 7
    scales = _initializer(model, "token_embd.scales")
    scales.raw_data = scales.raw_data[: 7 * 4 * scales.dims[1]]
    scales.dims[0] = 7


def _other_table(model: Any) -> None:
    node = next(node for node in model.graph.node if node.op_type == "GatherBlockQuantized")
    node.input[1] = "attention_mask"


def _short(model: Any) -> None:
    _initializer(model, ".bias").raw_data = b"1234"


def _silent(model: Any) -> None:
    del model.metadata_props[:]


def _described(model: Any) -> None:
    next(one for one in model.metadata_props if one.key == DESCRIPTION_KEY).value = '{"schema": "edgepack.onnx/2"}'


def _speechless(model: Any) -> None:
    next(one for one in model.metadata_props if one.key == TOKENIZER_KEY).value = "{}"


def _narrow(model: Any) -> None:
    """A vector for each of two texts of different lengths, but not of the same width."""
    node = next(node for node in model.graph.node if node.op_type == "ReduceSum")
    axes = next(tensor for tensor in model.graph.initializer if tensor.name == node.input[1])
    axes.raw_data = np.array([2], np.int64).tobytes()


def _not_a_number(model: Any) -> None:
    tensor = _initializer(model, "token_embd_norm.bias")
    tensor.raw_data = np.full(tensor.dims, np.nan, np.float32).tobytes()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_elsewhere("/etc/passwd"), "lies in another file"),
        (_elsewhere("../model.data"), "lies in another file"),
        (_elsewhere("model.data"), "lies in another file"),
        (_loop, "Loop"), (_wide, "its blocks are not what it says"), (_few_tokens, "no row for each"),
        (_other_table, "its blocks are not what it says"), (_short, "4 bytes are not"), (_silent, "lack"),
        (_described, "schema"), (_speechless, "tokenizer"), (_not_a_number, "no finite numbers"),
        (_narrow, "numbers, not|does not run it"),
    ],
)  # fmt: skip
def test_what_no_conversion_gives_is_refused(
    change: Callable[[Any], None], said: str, encoder: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadInputError, match=said):
        embed(changed(encoder, change, tmp_path / "changed.onnx"), ["hello"], threads=1)


@pytest.mark.parametrize("data", [b"", b"GGUF", b"\xff" * 100])
def test_what_is_no_onnx_file_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(data)
    with pytest.raises(BadInputError):
        identify(tmp_path / "x.onnx")


def test_a_text_beyond_the_context_is_refused(encoder: Path) -> None:
    with pytest.raises(BadInputError, match=r"text 2 has \d+ tokens, and the model takes 1 to 512"):
        embed(encoder, ["short", "word " * 601], threads=1)


BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("onnx", "onnxruntime"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])
sys.meta_path.insert(0, Block())
from edgepack.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


def _without_extra(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", BLOCKED, *words], capture_output=True, text=True, cwd=ROOT)


def test_without_the_extra_errors_say_how_to_get_it(encoder: Path, tmp_path: Path, vocabularies: Path) -> None:
    """And what needs it not goes on."""
    checkpoint = make_checkpoint(BY_NAME["MiniLM-seeded"], tmp_path / "checkpoint", vocabularies)
    for words in (
        ("eval", str(encoder), "--task", "sentiment"),
        ("convert", str(checkpoint), "--to", "onnx", "--out", str(tmp_path / "x.onnx")),
    ):
        done = _without_extra(*words)
        assert done.returncode == 2, done.stderr
        assert "pip install 'edgepack[onnx]'" in done.stderr
    assert not (tmp_path / "x.onnx").exists()
    done = _without_extra("convert", str(checkpoint), "--quant", "Q8_0", "--out", str(tmp_path / "x.gguf"))
    assert done.returncode == 0, done.stderr
