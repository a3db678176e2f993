"""Vectors of texts, by small models with random weights: each text's own, and only where a GGUF says how."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgepack.convert.onepass import open_conversion, write_gguf
from edgepack.domain.errors import BadInputError
from edgepack.domain.measurement import Workload
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.engines.llamacpp import describe, generate, measure, opened
from edgepack.engines.llamacpp_embedding import embed, vectors_of
from tests.fakes.checkpoints import Recipe, make_checkpoint
from tests.fakes.tiny_gguf import write_tiny_gguf
from tests.oracle.recipes.encoders import RECIPES

BY_NAME = {recipe.name: recipe for recipe in RECIPES}
TEXTS = ("dim the kitchen lamp", "a longer text of several more words than the first has", "dim the kitchen lamp", "")


def converted(recipe: Recipe, directory: Path, vocabularies: Path) -> Path:
    checkpoint = make_checkpoint(recipe, directory / "checkpoint", vocabularies)
    path = directory / "model.gguf"
    write_gguf(open_conversion(checkpoint, recipe.name), Quant.F16, path, threads=2, progress=Silent())
    shutil.rmtree(checkpoint)
    return path


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory, vocabularies: Path) -> Path:
    """BERT that gives the mean of all tokens."""
    return converted(BY_NAME["MiniLM-seeded"], tmp_path_factory.mktemp("encoder"), vocabularies)


@pytest.fixture(scope="module")
def unpooled(tmp_path_factory: pytest.TempPathFactory, vocabularies: Path) -> Path:
    """BERT for which nobody said how its tokens become one vector."""
    recipe = replace(BY_NAME["bert-masked-awkward-f16"], name="unpooled")
    return converted(recipe, tmp_path_factory.mktemp("unpooled"), vocabularies)


def test_each_text_has_a_vector_of_its_own(encoder: Path) -> None:
    """Of length 1, the same alone as among others; even of a text without words."""
    vectors = embed(encoder, TEXTS, threads=2)
    assert vectors.shape == (4, 256)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    assert vectors[0] == pytest.approx(vectors[2], abs=1e-6)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3
    assert embed(encoder, TEXTS[1:2], threads=1)[0] == pytest.approx(vectors[1], abs=1e-4)


def test_a_decoder_that_embeds_forgets_each_text_before_the_next(tmp_path: Path, vocabularies: Path) -> None:
    weights = converted(BY_NAME["Qwen3-Embedding-seeded"], tmp_path, vocabularies)
    assert describe(weights).embeds
    with opened(weights) as model:
        vectors = vectors_of(model, TEXTS, threads=2)
    assert vectors.shape == (4, 64)
    assert vectors[0] == pytest.approx(vectors[2], abs=1e-5)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3


def test_no_text_is_no_vector(encoder: Path) -> None:
    assert embed(encoder, [], threads=1).shape == (0, 256)


def test_a_text_beyond_the_positions_is_refused(unpooled: Path) -> None:
    """llama.cpp would end the process; this model has 130 positions."""
    with pytest.raises(BadInputError, match="text 2 has 131 tokens, and the model takes 1 to 130"):
        embed(unpooled, ["short", "word " * 129], threads=1)


def test_a_model_that_was_not_made_to_embed_is_refused(unpooled: Path, tmp_path: Path) -> None:
    for weights in (unpooled, write_tiny_gguf(tmp_path / "tiny.gguf")):
        with pytest.raises(BadInputError, match="metadata name no pooling"):
            embed(weights, ["a"], threads=1)


def test_an_encoder_neither_writes_nor_is_timed(encoder: Path) -> None:
    """There is no next token, and longer inputs than it takes would end the process."""
    assert describe(encoder).embeds
    with pytest.raises(BadInputError, match="an encoder, which gives vectors of whole texts and writes none"):
        generate(encoder, "Say hello.", max_tokens=4, threads=1)
    with pytest.raises(BadInputError, match="an encoder"):
        measure(encoder, workload=Workload(prompt_tokens=1024, generated_tokens=4, repeats=1), threads=1)


def test_a_writer_embeds_nothing(tmp_path: Path) -> None:
    assert not describe(write_tiny_gguf(tmp_path / "tiny.gguf")).embeds
