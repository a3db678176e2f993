"""Weights outside of an ONNX file: in a bundle only in the bundle, of an encoder nowhere, whatever runs it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from edgepack.cli.main import run
from edgepack.domain.errors import BadInputError, ExitCode, VerificationError
from edgepack.domain.onnx_external import externals
from edgepack.domain.progress import Silent
from edgepack.engines.onnxruntime_library import open_encoder
from edgepack.pipeline import Built
from edgepack.stages.verify import verify
from tests.fakes.resummed import resum

SIZE = 4096
"""Bytes of model/data.bin."""


@pytest.fixture
def encoder(built: Built) -> Path:
    return built.weights.path


@pytest.fixture
def bundle(built: Built, tmp_path: Path) -> Path:
    """A bundle to break."""
    return Path(shutil.copytree(built.bundle.path, tmp_path / "bundle"))


def moved_out(data: bytes, **said: str) -> bytes:
    """A model one of whose tensors, of no more than SIZE bytes, lies elsewhere."""
    model = onnx.load_model_from_string(data)
    tensor = next(one for one in model.graph.initializer if 512 < len(one.raw_data) <= SIZE)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in said.items():
        tensor.external_data.add(key=key, value=value)
    return bytes(model.SerializeToString())


def weights_of(bundle: Path) -> str:
    return str(json.loads((bundle / "manifest.json").read_text())["weights"]["path"])


OUTSIDE = [
    {"location": "../manifest.json"},
    {"location": "../../../../../../etc/passwd"},
    {"location": "/etc/passwd"},
    {"location": "./data.bin"},
    {"location": "a/../data.bin"},
    {"location": "data.bin\0"},
    {"location": "missing.bin"},
    {"location": ""},
    {"location": "*/_ORT_MEM_ADDR_/*", "offset": "140000000000000", "length": "512"},
    {"location": "data.bin", "offset": "4096", "length": "1"},
    {"location": "data.bin", "offset": "0", "length": "4097"},
    {"location": "data.bin", "offset": "18446744073709551615", "length": "512"},
    {"location": "data.bin", "offset": "-1", "length": "512"},
    {"location": "data.bin", "offset": "0x10"},
    {"location": "data.bin", "length": "9" * 5000},
    {},
]


@pytest.mark.parametrize("said", OUTSIDE, ids=lambda said: repr(said)[:60])
def test_what_is_not_in_the_bundle_is_refused_with_right_sums(bundle: Path, said: dict[str, str]) -> None:
    """By the check alone, before any engine sees it."""
    path = weights_of(bundle)
    resum(bundle, {path: moved_out((bundle / path).read_bytes(), **said), "model/data.bin": bytes(SIZE)})
    with pytest.raises(VerificationError, match=r"lies in .* none of the bundle's files|lies beyond the 4096 bytes"):
        verify(bundle, run_model=False, progress=Silent())


@pytest.mark.parametrize("said", [{}, {"offset": "0"}, {"offset": "512", "length": "3584"}, {"checksum": "abc"}])
def test_what_is_in_the_bundle_is_right(bundle: Path, said: dict[str, str]) -> None:
    """And an encoder's engine opens no second file all the same."""
    path = weights_of(bundle)
    data = moved_out((bundle / path).read_bytes(), location="data.bin", **said)
    resum(bundle, {path: data, "model/data.bin": bytes(SIZE)})
    verify(bundle, run_model=False, progress=Silent())
    with pytest.raises(VerificationError, match="lies in another file, which is never opened"):
        verify(bundle, run_model=True, progress=Silent())


def test_a_link_out_of_the_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    path = weights_of(bundle)
    resum(bundle, {path: moved_out((bundle / path).read_bytes(), location="data.bin"), "model/data.bin": bytes(SIZE)})
    (tmp_path / "secret").write_bytes(bytes(SIZE))
    (bundle / "model" / "data.bin").unlink()
    (bundle / "model" / "data.bin").symlink_to(tmp_path / "secret")
    with pytest.raises(VerificationError, match=r"a link: model/data\.bin"):
        verify(bundle, run_model=False, progress=Silent())


def test_a_place_named_twice_is_refused(bundle: Path) -> None:
    """Readers disagree on which of the two counts."""
    path = weights_of(bundle)
    model = onnx.load_model_from_string((bundle / path).read_bytes())
    for location in ("data.bin", "../../secret"):
        model.graph.initializer[0].external_data.add(key="location", value=location)
    resum(bundle, {path: bytes(model.SerializeToString()), "model/data.bin": bytes(SIZE)})
    with pytest.raises(VerificationError, match="says twice where it lies"):
        verify(bundle, run_model=False, progress=Silent())


def in_constant(model: Any, tensor: TensorProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))


def in_subgraph(model: Any, tensor: TensorProto) -> None:
    inner = helper.make_graph([helper.make_node("Constant", [], ["c"], value=tensor)], "inner", [], [])
    model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner))


def in_function(model: Any, tensor: TensorProto) -> None:
    node = helper.make_node("Constant", [], ["c"], value=tensor)
    model.functions.append(helper.make_function("d", "f", [], ["c"], [node], [helper.make_opsetid("", 21)]))


def in_sparse(model: Any, tensor: TensorProto) -> None:
    model.graph.sparse_initializer.add().values.CopyFrom(tensor)


def in_training(model: Any, tensor: TensorProto) -> None:
    model.training_info.add().algorithm.initializer.append(tensor)


def in_list(model: Any, tensor: TensorProto) -> None:
    node = helper.make_node("Constant", [], ["c"])
    node.attribute.add(name="values", type=onnx.AttributeProto.TENSORS).tensors.append(tensor)
    model.graph.node.append(node)


@pytest.mark.parametrize("hide", [in_constant, in_subgraph, in_function, in_sparse, in_training, in_list])
def test_every_place_for_a_tensor_is_looked_into(
    encoder: Path, tmp_path: Path, hide: Callable[[Any, TensorProto], None]
) -> None:
    model = onnx.load_model_from_string(encoder.read_bytes())
    tensor = TensorProto(name="hidden", dims=[512], data_type=TensorProto.UINT8, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    hide(model, tensor)
    found = set(externals(model.SerializeToString()))
    assert {(one.tensor, one.said) for one in found} == {("hidden", (("location", "/etc/passwd"),))}
    path = tmp_path / "hidden.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(BadInputError):
        open_encoder(path, threads=1)


def test_a_good_encoder_has_none(encoder: Path) -> None:
    assert list(externals(encoder.read_bytes())) == []


@pytest.mark.parametrize("said", [{"location": "data.bin"}, {"location": "/etc/passwd"}, {"location": "../../x"}])
def test_build_and_eval_open_no_second_file(
    encoder: Path, tmp_path: Path, said: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "moved.onnx"
    path.write_bytes(moved_out(encoder.read_bytes(), **said))
    (tmp_path / "data.bin").write_bytes(bytes(SIZE))
    for words in (["build", "--profile", "rpi5", "--model", str(path)], ["eval", str(path), "--task", "sentiment"]):
        assert run(words) == ExitCode.BAD_INPUT
        assert "lies in another file, which is never opened" in capsys.readouterr().err


def test_bytes_that_are_no_protobuf_end_as_an_error() -> None:
    for data in (b"\xff" * 20, b"\x0a\x7f", b"\x3a\xff\xff\xff\xff\x0f", b"\x0b", b"\x08", b"\x3a\x02\x0a\x05"):
        with pytest.raises(ValueError, match=r"cut short|longer than|wire type|without an end"):
            list(externals(data))


def test_messages_nested_without_end_are_refused() -> None:
    """A graph in an attribute of a node of a graph, deeper than any interpreter's stack."""
    data = b""
    for number in [*[6, 5, 1] * 400, 7]:
        size = len(data)
        data = bytes([number << 3 | 2, size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14]) + data
    with pytest.raises(ValueError, match="nested deeper"):
        list(externals(data))
