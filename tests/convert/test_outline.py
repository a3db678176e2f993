"""A model planned from its config.json alone: the same tensors and types as with its weights at hand."""

import json
from dataclasses import replace
from math import prod
from pathlib import Path

import pytest

from edgepack.convert.config import read_config
from edgepack.convert.outline import config_of, outline
from edgepack.convert.safetensors import StoredTensor
from edgepack.convert.typeplan import Mixture
from edgepack.domain.catalogue import CatalogueModel
from edgepack.domain.quant import Quant
from edgepack.infra.library import load_catalogue
from tests.fakes.checkpoints import Recipe, make_checkpoint
from tests.oracle.recipes import RECIPES

RECORDS = Path(__file__).parent.parent / "data" / "oracle"
# What no config.json says: that a layer of which it tells is not stored; which precision weights have.
UNTOLD = ("qwen3.5-awkward-f16", "xlm-roberta-reranker-f16")
TOLD = [recipe for recipe in RECIPES if recipe.name not in UNTOLD]
LISTED = load_catalogue().models


@pytest.mark.parametrize("recipe", TOLD, ids=[recipe.name for recipe in TOLD])
def test_the_config_alone_gives_the_oracle_s_tensors_and_types(
    recipe: Recipe, tmp_path: Path, vocabularies: Path
) -> None:
    """For every quantization, what stands in the file that llama-quantize made of the checkpoint."""
    bare = replace(recipe, tensors=lambda _config: {}, shards=1)
    plan = outline(read_config(make_checkpoint(bare, tmp_path / recipe.name, vocabularies))).plan
    recorded = json.loads((RECORDS / f"{recipe.name}.json").read_text())
    for quant in Quant:
        types = [[source.name, type.name] for source, type in plan.types(Mixture(quant=quant))]
        assert types == [tensor[:2] for tensor in recorded[quant]["tensors"]]


@pytest.mark.parametrize("model", LISTED, ids=[model.id for model in LISTED])
def test_a_listed_model_has_as_many_weights_as_the_catalogue_says(model: CatalogueModel) -> None:
    """Each stored tensor once, however many of the GGUF's take their rows from it."""
    stored = {
        each.origin.name: each.origin
        for each in outline(config_of(model)).plan.sources
        if isinstance(each.origin, StoredTensor)
    }
    assert sum(prod(tensor.shape) for tensor in stored.values()) == model.parameters


@pytest.mark.parametrize("model", LISTED, ids=[model.id for model in LISTED])
def test_a_listed_model_is_planned_at_the_usual_quantizations(model: CatalogueModel) -> None:
    """llama-quantize itself takes the file's head: a class that no family converts would fail here."""
    plan = outline(config_of(model)).plan
    sizes = [plan.size(Mixture(quant=quant)) for quant in (Quant.Q4_0, Quant.Q4_K_M, Quant.Q8_0)]
    assert model.parameters / 2 < sizes[0] <= sizes[1] < sizes[2] < 1.2 * model.parameters


def test_sizes_are_those_of_the_files() -> None:
    """Qwen 2.5 0.5B: Q8_0 has 34 bytes for 32 weights, and its vectors are float32."""
    model = load_catalogue().find("qwen2.5-0.5b-instruct")
    assert model is not None
    plan = outline(config_of(model)).plan
    vectors = sum(source.elements for source in plan.sources if len(source.shape) == 1)
    assert plan.size(Mixture(quant=Quant.Q8_0)) == (model.parameters - vectors) * 34 // 32 + 4 * vectors
