"""Synthetic weights as a stage: asked for by name, made once, and good for nothing but figures."""

import json
from pathlib import Path

import pytest

from edgepack.domain.bundle import Format
from edgepack.domain.errors import BadInputError, NoSpaceError, UsageError, VerificationError
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.domain.weights import Weights
from edgepack.infra.store import Store
from edgepack.stages.adopt import adopt
from edgepack.stages.synthetic import synthetic
from edgepack.stages.verify import verify
from tests.formats.bundles import PLAIN_FORMATS, make_bundle

CONFIG = {
    "architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 400, "rms_norm_eps": 1e-5,
    "max_position_embeddings": 256, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
}  # fmt: skip


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A directory with a config.json, and nothing else."""
    directory = tmp_path / "little"
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(CONFIG))
    return directory


def made(text: str, place: Path, *, llama_cpp: str = "1") -> Weights:
    return synthetic(text, llama_cpp=llama_cpp, store=Store(place / "home"), progress=Silent())


def test_a_directory_needs_its_config_only(model: Path, tmp_path: Path) -> None:
    found = made(f"{model}:q4_0", tmp_path)
    assert (found.name, found.quant, found.architecture) == ("little", Quant.Q4_0, "llama")
    assert (found.synthetic, found.context_length) == (True, 256)
    assert found.parameters == 400 * 64 + 64 + 2 * (64 * (64 + 32 + 32 + 64) + 3 * 64 * 128 + 2 * 64)
    assert found.path.stat().st_size == found.size


def test_it_is_made_once_for_a_config_a_quantization_and_a_version(model: Path, tmp_path: Path) -> None:
    first = made(f"{model}:Q4_0", tmp_path)
    assert made(f"{model}:Q4_0", tmp_path) == first
    assert made(f"{model}:Q8_0", tmp_path).path != first.path
    assert made(f"{model}:Q4_0", tmp_path, llama_cpp="2").path != first.path
    (model / "config.json").write_text(json.dumps({**CONFIG, "num_hidden_layers": 3}))
    assert made(f"{model}:Q4_0", tmp_path).parameters > first.parameters


@pytest.mark.parametrize("text", ["little", "little:Q9", ":Q4_0", "Q4_0"])
def test_a_text_without_model_or_quantization_is_a_usage_error(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--synthetic"):
        made(text, tmp_path)


def test_an_unknown_model_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(BadInputError) as raised:
        made("qwen2.5-0.5b-instruc:Q4_0", tmp_path)
    assert "qwen2.5-0.5b-instruct" in raised.value.hint


def test_a_full_disk_is_seen_before_anything_is_written(model: Path, tmp_path: Path) -> None:
    (model / "config.json").write_text(json.dumps({**CONFIG, "vocab_size": 1 << 31}))
    with pytest.raises(NoSpaceError, match="synthetic little Q4_0 needs"):
        made(f"{model}:Q4_0", tmp_path)


def test_nothing_is_built_from_it(model: Path, tmp_path: Path) -> None:
    """It would say what no model says."""
    path = made(f"{model}:Q4_0", tmp_path).path
    with pytest.raises(BadInputError, match="synthetic weights"):
        adopt(path, memo=tmp_path / "digests", allow_over_3b=False, progress=Silent())


@pytest.mark.parametrize("format", PLAIN_FORMATS)
def test_no_bundle_with_it_is_verified(model: Path, tmp_path: Path, format: Format) -> None:
    weights = made(f"{model}:Q4_0", tmp_path).path
    bundle = make_bundle(tmp_path / "made", format, weights=weights).path
    with pytest.raises(VerificationError, match="synthetic weights"):
        verify(bundle, run_model=False, progress=Silent())
