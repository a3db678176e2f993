"""Decoders out of GGUFs, run by onnxruntime beside llama.cpp: the same logits, step by step."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from edgepack.cli.main import run
from edgepack.domain.errors import BadInputError, ExitCode
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.engines.llamacpp_logits import forced_logits
from edgepack.engines.onnxruntime_decoder import Reader, opened_decoder
from edgepack.infra.store import Store
from edgepack.stages.decoder import decoder_to
from edgepack.stages.synthetic import synthetic
from tests.fakes.decoders import DECODERS, decoder_checkpoint, decoder_gguf
from tests.fakes.demo_copy import DEMO

_PROMPT = 24
_LEAST = {Quant.F16: 0.9999, Quant.Q8_0: 0.999, Quant.Q6_K: 0.999, Quant.Q4_0: 0.999}


def decoder(gguf: Path, path: Path) -> Path:
    decoder_to(path, gguf, allow_over_3b=False, progress=Silent())
    return path


def forced(path: Path, tokens: Sequence[int], prompt: int) -> npt.NDArray[np.float32]:
    """A prompt's last logits, and those of each step behind it."""
    with opened_decoder(path, threads=1) as model:
        reader = Reader(model, places=len(tokens))
        first = reader.read(tokens[:prompt])[-1:].copy()
        return np.concatenate([first, *(reader.read([token]).copy() for token in tokens[prompt:])])


def cosines(ours: npt.NDArray[np.float32], theirs: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    one, other = ours.astype(np.float64), theirs.astype(np.float64)
    return (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


def compared(gguf: Path, path: Path, *, places: int, vocabulary: int, name: str = "") -> npt.NDArray[np.float64]:
    tokens = [int(token) for token in np.random.default_rng(7).integers(3, vocabulary, places)]
    pieces = [tokens[:_PROMPT], *([token] for token in tokens[_PROMPT:])]
    theirs = np.concatenate([piece[-1:] for piece in forced_logits(gguf, pieces, threads=1)])
    found = cosines(forced(path, tokens, _PROMPT), theirs)
    print(f"{name or gguf.name}: cosine worst {found.min():.6f}, mean {found.mean():.6f}")
    return found


@pytest.mark.parametrize("name", DECODERS)
def test_both_engines_expect_the_same(name: str, vocabularies: Path, tmp_path: Path) -> None:
    """A prompt, and 40 steps on kept keys and values: every family, each type of blocks and none."""
    checkpoint = decoder_checkpoint(name, tmp_path / "checkpoint", vocabularies)
    for quant, least in _LEAST.items():
        gguf = decoder_gguf(checkpoint, quant, tmp_path / f"{name}-{quant}.gguf")
        found = compared(gguf, decoder(gguf, tmp_path / f"{quant}.onnx"), places=64, vocabulary=700)
        assert found.min() >= least


@pytest.mark.parametrize("quant", [Quant.Q8_0, Quant.Q4_0])
def test_a_trained_model_is_the_same_in_both(quant: Quant, tmp_path: Path) -> None:
    gguf = decoder_gguf(DEMO, quant, tmp_path / f"demo-1m-{quant}.gguf")
    assert compared(gguf, decoder(gguf, tmp_path / "demo.onnx"), places=200, vocabulary=768).min() >= 0.999


@pytest.mark.slow
@pytest.mark.parametrize("quant", ["Q4_0", "Q8_0"])
@pytest.mark.parametrize(
    "model", ["smollm2-135m-instruct", "qwen2.5-0.5b-instruct", "qwen3-0.6b", "llama-3.2-1b-instruct"]
)
def test_published_shapes_are_the_same_in_both(model: str, quant: str, tmp_path: Path) -> None:
    """Every layer, head and vocabulary of a published model, with made-up weights; 72 steps behind the prompt."""
    store = Store(tmp_path / "store")
    gguf = synthetic(f"{model}:{quant}", llama_cpp="test", store=store, progress=Silent()).path
    found = compared(
        gguf, decoder(gguf, tmp_path / "decoder.onnx"), places=96, vocabulary=32000, name=f"{model} {quant}"
    )
    assert found.min() >= 0.999


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """demo-1m at Q8_0 as ONNX."""
    directory = tmp_path_factory.mktemp("small")
    return decoder(decoder_gguf(DEMO, Quant.Q8_0, directory / "demo.gguf"), directory / "demo.onnx")


def test_the_same_gguf_gives_the_same_bytes(small: Path, tmp_path: Path) -> None:
    again = decoder(small.with_name("demo.gguf"), tmp_path / "demo.onnx")
    for suffix in ("", ".data"):
        assert again.with_name(again.name + suffix).read_bytes() == small.with_name(small.name + suffix).read_bytes()


def test_a_prompt_may_be_read_in_pieces_and_the_buffers_again(small: Path) -> None:
    """Logits are the same to the last bit; a new text sees nothing of the one before."""
    tokens = list(range(10, 40))
    with opened_decoder(small, threads=1) as model:
        reader = Reader(model, places=64)
        whole = reader.read(tokens).copy()
        reader.read([5, 6, 7])
        reader.forget()
        reader.read(tokens[:11])
        assert (reader.read(tokens[11:]) == whole).all()
        assert reader.length == len(tokens)


@pytest.mark.parametrize("tokens", [[768], [-1], [5, 1 << 40], [], [5] * 65])
def test_tokens_that_have_no_row_and_no_place_are_refused(tokens: list[int], small: Path) -> None:
    with opened_decoder(small, threads=1) as model:
        reader = Reader(model, places=64)
        with pytest.raises(BadInputError, match=r"of 768|64 places"):
            reader.read(tokens)
        assert reader.length == 0


def test_more_places_than_the_context_are_refused(small: Path) -> None:
    with opened_decoder(small, threads=1) as model, pytest.raises(BadInputError, match="context of"):
        Reader(model, places=1 << 20)


def _initializer(model: Any, name: str) -> Any:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def _elsewhere(key: str, value: str) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        entries = _initializer(model, "token_embd.scales").external_data
        next(entry for entry in entries if entry.key == key).value = value

    return change


def _fewer_rows(model: Any) -> None:
    for name in ("token_embd.weight", "token_embd.scales"):
        tensor = _initializer(model, name)
        length = next(entry for entry in tensor.external_data if entry.key == "length")
        length.value = str(int(length.value) // 2)
        tensor.dims[0] //= 2


def _wider(model: Any) -> None:
    node = next(node for node in model.graph.node if node.op_type == "MatMulNBits")
    next(one for one in node.attribute if one.name == "N").i *= 1000


def _looped(model: Any) -> None:
    body = onnx.helper.make_graph([], "body", [], [])
    model.graph.node.append(onnx.helper.make_node("Loop", ["", ""], ["x"], body=body))


def _short_angles(model: Any) -> None:
    tensor = _initializer(model, "cosines")
    tensor.dims[0] -= 1
    length = next(entry for entry in tensor.external_data if entry.key == "length")
    length.value = str(int(length.value) - 4 * tensor.dims[1])


def _of_a_layer_less(model: Any) -> None:
    del model.graph.output[-1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_elsewhere("location", "/etc/passwd"), "never opened"),
        (_elsewhere("location", "../demo.onnx.data"), "never opened"),
        (_elsewhere("location", "other.data"), "never opened"),
        (_elsewhere("offset", "-64"), "the place of its bytes"),
        (_elsewhere("offset", str(1 << 40)), "behind the end"),
        (_elsewhere("length", "64"), "the place of its bytes"),
        (_fewer_rows, "its weights are not what it says"), (_wider, "its weights are not what it says"),
        (_short_angles, "its weights are not what it says"), (_looped, "Loop"), (_of_a_layer_less, "layers"),
        (lambda model: model.ClearField("metadata_props"), "lack edgepack.decoder"),
    ],
)  # fmt: skip
def test_what_no_conversion_gives_is_refused(
    change: Callable[[Any], None], said: str, small: Path, tmp_path: Path
) -> None:
    model = onnx.load(small, load_external_data=False)
    change(model)
    path = tmp_path / small.name
    path.write_bytes(model.SerializeToString())
    shutil.copyfile(small.with_name("demo.onnx.data"), tmp_path / "demo.onnx.data")
    with pytest.raises(BadInputError, match=said), opened_decoder(path, threads=1):
        pass


def test_weights_that_are_a_link_elsewhere_are_refused(small: Path, tmp_path: Path) -> None:
    shutil.copyfile(small, tmp_path / small.name)
    (tmp_path / "demo.onnx.data").symlink_to(small.with_name("demo.onnx.data"))
    with pytest.raises(BadInputError, match="a way to one"), opened_decoder(tmp_path / small.name, threads=1):
        pass


@pytest.mark.parametrize("data", [None, b"", b"short"])
def test_weights_that_are_gone_or_cut_are_refused(data: bytes | None, small: Path, tmp_path: Path) -> None:
    shutil.copyfile(small, tmp_path / small.name)
    if data is not None:
        (tmp_path / "demo.onnx.data").write_bytes(data)
    with pytest.raises(BadInputError, match=r"demo\.onnx\.data"), opened_decoder(tmp_path / small.name, threads=1):
        pass


def test_an_evaluation_asks_for_the_gguf(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["eval", str(small), "--task", "sentiment"]) == ExitCode.BAD_INPUT
    said = capsys.readouterr().err.splitlines()
    assert "a decoder, which holds no tokenizer" in said[-2]
    assert "GGUF" in said[-1]
