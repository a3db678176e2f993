"""ggml's blocks in onnxruntime's order: not a bit of a weight is lost, and what would be is refused."""

import json
import re
from pathlib import Path

import gguf
import jsonschema
import numpy as np
import onnx
import pytest

from edgepack.cli.main import run
from edgepack.convert.onnx.gguf_blocks import BLOCKS, unpacked
from edgepack.domain.errors import ExitCode
from edgepack.domain.quant import Quant, TensorType
from edgepack.engines.onnxruntime_decoder import Reader, opened_decoder
from tests.conftest import ROOT
from tests.fakes.decoders import decoder_checkpoint, decoder_gguf
from tests.fakes.tiny_gguf import write_tiny_gguf


@pytest.mark.parametrize("type", BLOCKS)
def test_each_weight_is_the_one_that_ggml_has(type: TensorType) -> None:
    """Any bytes at all but scales that are no numbers: gguf's own reader gives the same float32."""
    random = np.random.default_rng(3)
    raw = random.integers(0, 256, (5, type.row_bytes(1024)), np.uint8)
    halves = raw.reshape(5, -1, type.block[1])
    place = slice(208, 210) if type is TensorType.Q6_K else slice(0, 2)
    scales = random.standard_normal((*halves.shape[:2], 1)).astype(np.float16)
    halves[..., place] = scales.view(np.uint8)
    slab, blocks = unpacked(raw, type), BLOCKS[type]
    codes = slab.codes
    if blocks.bits == 4:
        codes = np.stack([codes & 15, codes >> 4], axis=-1).reshape(*codes.shape[:2], -1)
    ours = (codes.astype(np.float32) - (1 << blocks.bits - 1)) * slab.scales[..., None]
    theirs = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType[type.name])
    assert (ours.reshape(5, 1024) == theirs).all()


def test_a_tied_head_has_the_bytes_of_the_table(vocabularies: Path, tmp_path: Path) -> None:
    checkpoint = decoder_checkpoint("qwen2", tmp_path / "checkpoint", vocabularies)
    path = decoder_gguf(checkpoint, Quant.Q8_0, tmp_path / "tied.gguf")
    assert run(["convert", str(path), "--to", "onnx", "--out", str(tmp_path / "tied.onnx"), "--quiet"]) == 0
    model = onnx.load(tmp_path / "tied.onnx", load_external_data=False)
    places = {
        tensor.name: {entry.key: entry.value for entry in tensor.external_data} for tensor in model.graph.initializer
    }
    assert places["output.weight"] == places["token_embd.weight"]
    assert places["output.scales"] == places["token_embd.scales"]
    # A float32 scale in place of a float16, and no table twice; angles of places are beside the weights.
    angles = sum(int(places[name]["length"]) for name in ("cosines", "sines"))
    assert (tmp_path / "tied.onnx.data").stat().st_size - angles < 1.1 * path.stat().st_size


@pytest.mark.parametrize(
    ("quant", "said"), [(Quant.Q4_K_M, r"tensor \S+ is Q\d_K; Q4_0, Q8_0, Q6_K"), (Quant.IQ4_NL, "is IQ4_NL; Q4_0")]
)
def test_blocks_that_would_be_rounded_are_refused(
    quant: Quant, said: str, vocabularies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 4, two lines, nothing written."""
    checkpoint = decoder_checkpoint("llama", tmp_path / "checkpoint", vocabularies)
    path = decoder_gguf(checkpoint, quant, tmp_path / "k.gguf")
    out = tmp_path / "k.onnx"
    assert run(["convert", str(path), "--to", "onnx", "--out", str(out), "--quiet"]) == ExitCode.BAD_INPUT
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert re.search(said, lines[0])
    assert "quantize the model to Q8_0" in lines[1]
    assert not list(tmp_path.glob("k.onnx*"))


def test_what_is_no_decoder_of_these_families_is_refused(
    vocabularies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An encoder, an unknown architecture, a file that is cut, one that is none."""
    encoder = write_tiny_gguf(tmp_path / "encoder.gguf", causal=False)
    whole = write_tiny_gguf(tmp_path / "whole.gguf").read_bytes()
    (tmp_path / "other.gguf").write_bytes(whole.replace(b"llama", b"mamba"))
    (tmp_path / "cut.gguf").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "none.gguf").write_bytes(b"no GGUF at all")
    wanted = {"encoder": "writes none", "other": "'mamba'", "cut": "not whole", "none": "not a whole GGUF"}
    for name, said in wanted.items():
        words = ["convert", str(encoder.with_name(f"{name}.gguf")), "--to", "onnx", "--out", str(tmp_path / "x.onnx")]
        assert run([*words, "--quiet"]) == ExitCode.BAD_INPUT
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 2
        assert said in lines[0]


def test_a_tensor_that_the_graph_has_no_place_for_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_tiny_gguf(tmp_path / "more.gguf")
    path.write_bytes(path.read_bytes().replace(b"blk.1.ffn_norm.weight", b"blk.9.ffn_norm.weight"))
    assert run(["convert", str(path), "--to", "onnx", "--out", str(tmp_path / "x.onnx"), "--quiet"]) == 4
    assert "no tensor blk.1.ffn_norm" in capsys.readouterr().err
    whole = write_tiny_gguf(tmp_path / "a.gguf").read_bytes()
    path.write_bytes(whole.replace(b"\0output.weight", b"\0autput.weight"))
    assert run(["convert", str(path), "--to", "onnx", "--out", str(tmp_path / "x.onnx"), "--quiet"]) == 4
    assert "tensor autput.weight" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--quant", "q8"], ["--head-from", "sentiment"], ["--imatrix", "auto"]])
def test_words_that_a_gguf_has_nothing_for_end_with_2(words: list[str], tmp_path: Path) -> None:
    path = write_tiny_gguf(tmp_path / "tiny.gguf")
    out = str(tmp_path / "x.onnx")
    assert run(["convert", str(path), "--to", "onnx", "--out", out, *words]) == ExitCode.USAGE


@pytest.mark.parametrize("name", ["llama", "qwen2", "qwen3"])
def test_a_checkpoint_becomes_the_graph_that_its_f32_gguf_does(
    name: str, vocabularies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Read by transformers' names or by llama.cpp's, with rows in its order or in theirs: the same logits."""
    checkpoint = decoder_checkpoint(name, tmp_path / "checkpoint", vocabularies)
    words = ["convert", str(checkpoint), "--to", "onnx", "--quant", "f32", "--json"]
    assert run([*words, "--out", str(tmp_path / "full.onnx")]) == 0
    shown = json.loads(capsys.readouterr().out)
    jsonschema.validate(shown, json.loads((ROOT / "docs/schemas/convert.schema.json").read_text()))
    assert (shown["quant"], shown["data"]) == ("f32", str(tmp_path / "full.onnx.data"))
    path = decoder_gguf(checkpoint, Quant.F16 if name == "qwen3" else Quant.BF16, tmp_path / "m.gguf")
    assert run(["convert", str(path), "--to", "onnx", "--out", str(tmp_path / "m.onnx"), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    jsonschema.validate(shown, json.loads((ROOT / "docs/schemas/convert.schema.json").read_text()))
    tokens = [int(token) for token in np.random.default_rng(2).integers(3, 700, 40)]
    given = []
    for file in ("full.onnx", "m.onnx"):
        with opened_decoder(tmp_path / file, threads=1) as model:
            given.append(Reader(model, places=40).read(tokens)[-1].copy())
    # Rows that lie in another order are summed in another.
    assert given[0] == pytest.approx(given[1], abs=1e-4)
