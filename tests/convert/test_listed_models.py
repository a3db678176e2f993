"""Every model of the catalogue as its config describes it: llama.cpp loads made-up weights of it, and computes."""

from pathlib import Path

import pytest

from edgepack.convert.outline import config_of, outline
from edgepack.convert.synthetic import write_synthetic
from edgepack.domain.catalogue import CatalogueModel, ModelKind
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.infra.library import load_catalogue

MODELS = load_catalogue().models


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_llama_cpp_loads_a_listed_model_s_shape_and_computes(model: CatalogueModel, tmp_path: Path) -> None:
    """A key or a tensor that its architecture misses, or that is too much, would end the loading."""
    import llama_cpp

    path = tmp_path / "synthetic.gguf"
    write_synthetic(outline(config_of(model)), model.id, Quant.Q4_0, path, progress=Silent())
    embeds = model.kind is ModelKind.EMBEDDING
    runner = llama_cpp.Llama(str(path), n_ctx=64, n_batch=16, n_threads=2, verbose=False, embedding=embeds)
    try:
        if embeds:
            assert runner.n_embd() == model.config.values["hidden_size"]
            assert runner.embed("a")
        else:
            runner.eval([1, 2, 3, 4])
            assert runner.n_tokens == 4
    finally:
        runner.close()
        path.unlink()
