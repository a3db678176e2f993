"""Synthetic weights: the tensors and types of a conversion, values that any kernel likes, the same each time."""

import ctypes
import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt
import pytest

from edgepack.convert.config import read_config
from edgepack.convert.family import GeneratedTensor
from edgepack.convert.outline import Outline, outline
from edgepack.convert.synthetic import write_synthetic
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.engines.llamacpp import OpenModel, describe, opened, tokens_of
from edgepack.engines.llamacpp_library import attends_both_ways, context, decode
from tests.fakes.checkpoints import Recipe, make_checkpoint
from tests.fakes.gguf_raw import RawGguf
from tests.oracle.recipes import RECIPES

RECORDS = Path(__file__).parent.parent / "data" / "oracle"
UNTOLD = ("qwen3.5-awkward-f16", "xlm-roberta-reranker-f16")  # as in test_outline.py
TOLD = [recipe for recipe in RECIPES if recipe.name not in UNTOLD]


def outlined(recipe: Recipe, place: Path, vocabularies: Path) -> Outline:
    bare = replace(recipe, tensors=lambda _config: {}, shards=1)
    return outline(read_config(make_checkpoint(bare, place / recipe.name, vocabularies)))


def written(shape: Outline, path: Path, quant: Quant = Quant.Q4_K_M) -> str:
    return write_synthetic(shape, "made", quant, path, progress=Silent())


@pytest.mark.parametrize("recipe", TOLD, ids=[recipe.name for recipe in TOLD])
def test_it_has_the_oracle_s_tensors_and_runs(recipe: Recipe, tmp_path: Path, vocabularies: Path) -> None:
    """Name, type and shape of each; and what it computes is finite."""
    path = tmp_path / "made.gguf"
    written(outlined(recipe, tmp_path, vocabularies), path)
    recorded = json.loads((RECORDS / f"{recipe.name}.json").read_text())["Q4_K_M"]
    found = [[name, type.name] for name, type, _, _ in RawGguf(path.read_bytes()).tensors]
    assert found == [tensor[:2] for tensor in recorded["tensors"]]
    with opened(path) as model:
        if not attends_both_ways(model):
            logits = computed(model)
            assert np.isfinite(logits).all()
            assert logits.std() > 0


def computed(model: OpenModel) -> npt.NDArray[np.float32]:
    """Logits after a prompt and 8 tokens one by one."""
    native = model.native
    size = native.llama_vocab_n_tokens(model.vocabulary)
    with context(model, tokens=64, threads=1, cpus=None) as handle:
        prompt = [number % size for number in range(32)]
        decode(native, handle, (ctypes.c_int32 * 32)(*prompt), 32)
        for number in range(8):
            decode(native, handle, (ctypes.c_int32 * 1)(number % size), 1)
        return np.ctypeslib.as_array(native.llama_get_logits_ith(handle, -1), (size,)).copy()


LARGE = next(recipe for recipe in TOLD if recipe.name == "Llama-3-seeded-bf16")


def values(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Every tensor in float32."""
    data = path.read_bytes()
    return {
        name: gguf.quants.dequantize(
            np.frombuffer(data, np.uint8, size, offset), gguf.GGMLQuantizationType(type.value)
        )
        for name, type, offset, size in RawGguf(data).tensors
    }


@pytest.mark.parametrize("quant", list(Quant))
def test_weights_are_of_a_trained_model_s_magnitude(quant: Quant, tmp_path: Path, vocabularies: Path) -> None:
    """In every type, also where a tensor is longer than what is quantized for it; norms are near one."""
    written(outlined(LARGE, tmp_path, vocabularies), tmp_path / "made.gguf", quant)
    for name, found in values(tmp_path / "made.gguf").items():
        if name.endswith("norm.weight"):
            assert np.abs(found - 1).max() < 0.2
        elif name != "rope_freqs.weight":
            assert 0.017 < found.std() < 0.023, name
            assert np.abs(found).max() < 0.2, name


def test_the_same_bytes_each_time_and_other_values_in_each_layer(tmp_path: Path, vocabularies: Path) -> None:
    shape = outlined(LARGE, tmp_path, vocabularies)
    digests = {written(shape, tmp_path / name) for name in ("one.gguf", "two.gguf")}
    assert digests == {sha256((tmp_path / "one.gguf").read_bytes()).hexdigest()}
    found = values(tmp_path / "two.gguf")
    assert not np.array_equal(found["blk.0.ffn_up.weight"], found["blk.1.ffn_up.weight"])


def test_rope_factors_are_the_family_s(tmp_path: Path, vocabularies: Path) -> None:
    """They are no weights: computed from config.json, in a conversion too."""
    shape = outlined(LARGE, tmp_path, vocabularies)
    written(shape, tmp_path / "made.gguf")
    (factors,) = (source.origin for source in shape.plan.sources if source.name == "rope_freqs.weight")
    assert isinstance(factors, GeneratedTensor)
    assert np.array_equal(values(tmp_path / "made.gguf")["rope_freqs.weight"], factors.values)


def test_it_says_what_it_is_and_spells_in_bytes(tmp_path: Path, vocabularies: Path) -> None:
    """So that llama.cpp's programs, which all begin with a vocabulary, run."""
    path = tmp_path / "made.gguf"
    written(outlined(LARGE, tmp_path, vocabularies), path)
    found = describe(path)
    assert (found.synthetic, found.name, found.quant) == (True, "made (synthetic)", Quant.Q4_K_M)
    with opened(path, vocabulary_only=True) as model:
        # Every byte of the space and the letters is a token: 3 of U+2581, then 2.
        assert tokens_of(model, "hi") == tuple(3 + byte for byte in "▁hi".encode())


def test_a_name_that_llama_cpp_expects_tokens_of_is_no_obstacle(tmp_path: Path, vocabularies: Path) -> None:
    """It takes whatever is called phi-3 for a Phi-3, and looks for that vocabulary's end of text."""
    path = tmp_path / "made.gguf"
    shape = outlined(LARGE, tmp_path, vocabularies)
    write_synthetic(shape, "phi-3-mini", Quant.Q4_0, path, progress=Silent())
    with opened(path, vocabulary_only=True) as model:
        assert tokens_of(model, "hi") == tuple(3 + byte for byte in "▁hi".encode())
