"""Labels by nearness, by a small encoder with random weights: where a label lies, and what is nearest to it."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edgepack.convert.onepass import open_conversion, write_gguf
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.domain.task import Example, FreeText, Labels, Metric, Task
from edgepack.engines.llamacpp import identify, opened
from edgepack.engines.llamacpp_embedding import embed_each, embeds, vectors_of
from edgepack.engines.llamacpp_library import OpenModel
from edgepack.engines.nearest import nearest_each
from edgepack.infra.tasks import load_task
from edgepack.stages.eval import evaluate
from tests.fakes.checkpoints import make_checkpoint
from tests.fakes.tiny_gguf import write_tiny_gguf
from tests.oracle.recipes.encoders import RECIPES

LABELS = ("lost_card", "exchange-rate", "greeting")


def row(text: str, answer: str) -> Example:
    return Example(fields={"text": text}, answer=answer)


def task_of(*shown: Example, asked: tuple[Example, ...] = ()) -> Task:
    task = load_task("sentiment")
    return replace(
        task, form=Labels(labels=LABELS), metric=Metric.ACCURACY, shown=shown, held_out=asked,
        prompt=replace(task.prompt, user="What is {text} about?"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory, vocabularies: Path) -> Path:
    directory = tmp_path_factory.mktemp("encoder")
    (recipe,) = (recipe for recipe in RECIPES if recipe.name == "MiniLM-seeded")
    checkpoint = make_checkpoint(recipe, directory / "checkpoint", vocabularies)
    write_gguf(open_conversion(checkpoint, "minilm"), Quant.F16, directory / "m.gguf", threads=2, progress=Silent())
    shutil.rmtree(checkpoint)
    return directory / "m.gguf"


@pytest.fixture
def model(encoder: Path) -> Iterator[OpenModel]:
    with opened(encoder) as model:
        yield model


def test_a_text_is_nearest_to_the_label_whose_name_it_is(model: OpenModel) -> None:
    """Underscores and hyphens read as spaces; the shares of all labels are 1 together."""
    texts = ["greeting", "exchange rate", "lost card"]
    answers = list(nearest_each(partial(embed_each, model, threads=1), task_of(), texts))
    assert [answer.text for answer in answers] == ["greeting", "exchange-rate", "lost_card"]
    assert all(1 / 3 < answer.confidence <= 1 for answer in answers)
    assert all(answer.whole and answer.tokens == 0 for answer in answers)
    assert [answer.prompt_tokens for answer in answers] == [3, 4, 4]  # with [CLS] and [SEP]
    assert all(0 < answer.first_token <= answer.seconds for answer in answers)


def test_a_label_lies_in_the_middle_of_its_examples(model: OpenModel) -> None:
    """Those shown of it, not its name; a label of which none is shown keeps its name."""
    shown = (row("hello there", "lost_card"), row("good morning to you", "lost_card"), row("a rate", "greeting"))
    texts = ["hello there", "a rate", "exchange rate", "what a day"]
    answers = list(nearest_each(partial(embed_each, model, threads=1), task_of(*shown), texts))
    assert [answer.text for answer in answers[:3]] == ["lost_card", "greeting", "exchange-rate"]
    first, second, rate, name, *asked = vectors_of(
        model, ["hello there", "good morning to you", "a rate", "exchange rate", *texts], threads=1
    )
    middle = (first + second) / np.linalg.norm(first + second)
    cosines = np.stack([middle, name, rate]) @ np.stack(asked).T
    assert [answer.text for answer in answers] == [LABELS[best] for best in cosines.argmax(axis=0)]
    shares = np.exp(20 * cosines) / np.exp(20 * cosines).sum(axis=0)
    assert [answer.confidence for answer in answers] == pytest.approx(shares.max(axis=0), abs=1e-4)


def test_an_encoder_is_evaluated_as_other_weights_are(encoder: Path, tmp_path: Path) -> None:
    """It reads the fields alone, not the words around them; what it answered is kept."""
    asked = (row("greeting", "greeting"), row("lost card", "lost_card"), row("exchange rate", "greeting"))
    task = task_of(asked=asked)
    weights = identify(encoder)
    found = evaluate(weights, task, home=tmp_path, progress=Silent(), threads=1)
    assert [one.answered.text for one in found.judged] == ["greeting", "lost_card", "exchange-rate"]
    assert found.quality.value == pytest.approx(2 / 3)
    assert found.decode is None
    again = evaluate(weights, task, home=tmp_path, progress=Silent(), threads=1)
    assert (again.kept, again.judged) == (3, found.judged)


def test_nothing_asked_is_nothing_embedded(model: OpenModel) -> None:
    assert list(nearest_each(partial(embed_each, model, threads=1), task_of(), [])) == []


def test_an_encoder_writes_no_other_answers(encoder: Path, tmp_path: Path) -> None:
    """And weights that write are not asked for vectors."""
    task = replace(task_of(asked=(row("x", "x"),)), form=FreeText(), metric=Metric.EXACT_MATCH)
    with pytest.raises(BadInputError, match="an encoder"):
        evaluate(identify(encoder), task, home=tmp_path, progress=Silent(), threads=1)
    with opened(write_tiny_gguf(tmp_path / "tiny.gguf")) as writer:
        assert not embeds(writer)
