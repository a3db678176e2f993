"""llama.cpp's own tokenizer tests (the .inp and .out files beside its vocabularies), through GGUFs we converted."""

from pathlib import Path

import pytest

from edgepack.convert.onepass import open_conversion, write_gguf
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.engines.llamacpp import opened, tokens_of
from tests.fakes.checkpoints import Recipe, make_checkpoint

_SEPARATOR = "\n__ggml_vocab_test__\n"
_SIZES = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
    "tie_word_embeddings": True,
    "rms_norm_eps": 1e-6,
}
VOCABULARIES = (
    ("llama3", "ggml-vocab-llama-bpe.gguf", "LlamaForCausalLM", "llama"),
    ("qwen2", "ggml-vocab-qwen2.gguf", "Qwen2ForCausalLM", "qwen2"),
    ("sentencepiece", "ggml-vocab-llama-spm.gguf", "LlamaForCausalLM", "llama"),
)


@pytest.mark.parametrize(("vocabulary", "file", "kind", "model_type"), VOCABULARIES)
def test_tokens_are_as_recorded(
    vocabulary: str, file: str, kind: str, model_type: str, vocabularies: Path, tmp_path: Path
) -> None:
    """Every recorded text gives its recorded tokens."""
    recipe = Recipe(
        name="tiny", vocabulary=vocabulary, dtype="F32",
        biases=("q", "k", "v") if model_type == "qwen2" else (),
        config={"architectures": [kind], "model_type": model_type, **_SIZES},
    )  # fmt: skip
    checkpoint = make_checkpoint(recipe, tmp_path / "tiny", vocabularies)
    weights = tmp_path / "tiny.gguf"
    write_gguf(open_conversion(checkpoint, "tiny"), Quant.F16, weights, threads=2, progress=Silent())
    *texts, rest = (vocabularies / f"{file}.inp").read_text(encoding="utf-8").split(_SEPARATOR)
    assert not rest, "every text ends with the separator"
    lines = (vocabularies / f"{file}.out").read_text().splitlines()
    assert len(texts) == len(lines) > 40
    with opened(weights, vocabulary_only=True) as model:
        given = [tokens_of(model, text) for text in texts]
    assert given == [tuple(map(int, line.split())) for line in lines]
