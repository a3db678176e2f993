"""A head fitted on a task's examples: part of the graph, as scikit-learn has it; and what cannot be learnt from."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from sklearn.linear_model import LogisticRegression

from edgepack.convert.onnx.fitting import INVERSE_STRENGTH, fit_head
from edgepack.domain.encoder import HEAD_KEY
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Silent
from edgepack.domain.quant import OnnxQuant
from edgepack.domain.task import Example, FreeText, Labels, Metric, Task
from edgepack.engines.identifying import identify
from edgepack.engines.onnxruntime_embedding import embed
from edgepack.engines.onnxruntime_library import describe
from edgepack.infra.store import Store
from edgepack.infra.tasks import load_task
from edgepack.stages.eval import evaluate
from edgepack.stages.head import head_for, head_to
from tests.fakes.encoders import write_encoder
from tests.oracle.onnx_encoders import RECIPES

BY_NAME = {recipe.name: recipe for recipe in RECIPES}
WORDS = {"light": "lamp bulb dim shine", "heat": "warm degrees radiator cold", "door": "lock open key bell"}


def rows(seed: int, each: int) -> tuple[Example, ...]:
    """Texts that share words with others of their label."""
    random = np.random.default_rng(seed)
    return tuple(
        Example(fields={"text": " ".join(random.choice(words.split(), 3))}, answer=label)
        for label, words in WORDS.items()
        for _ in range(each)
    )


def task_of(labels: tuple[str, ...] = tuple(WORDS), each: int = 8) -> Task:
    train, asked = (tuple(row for row in rows(seed, each) if row.answer in labels) for seed in (1, 2))
    return replace(
        load_task("sentiment"), name="home", form=Labels(labels=labels), metric=Metric.ACCURACY, shown=(),
        train=train, held_out=asked,
    )  # fmt: skip


@pytest.fixture(scope="module")
def encoder(vocabularies: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("encoder") / "e.onnx"
    return write_encoder(BY_NAME["MiniLM-seeded"], OnnxQuant.Q8, path, vocabularies)


@pytest.mark.parametrize("labels", [("heat", "light", "door"), ("light", "heat")], ids=["three", "two"])
def test_the_file_answers_as_scikit_learn_does_on_the_vectors(
    labels: tuple[str, ...], encoder: Path, tmp_path: Path
) -> None:
    """Labels in whatever order the task names them, and probabilities too; more right than by chance."""
    task = task_of(labels)
    weights = head_to(tmp_path / "h.onnx", encoder, task, threads=1, progress=Silent())
    found = evaluate(weights, task, home=tmp_path, progress=Silent(), threads=1)
    theirs = LogisticRegression(C=INVERSE_STRENGTH, max_iter=1000).fit(
        embed(encoder, [row.fields["text"] for row in task.train], threads=1), [row.answer for row in task.train]
    )
    shares = theirs.predict_proba(embed(encoder, [row.fields["text"] for row in task.held_out], threads=1))
    assert [one.answered.text for one in found.judged] == list(theirs.classes_[shares.argmax(axis=1)])
    assert [one.answered.confidence for one in found.judged] == pytest.approx(shares.max(axis=1), abs=1e-3)
    assert found.quality.value > 0.6
    assert found.quality.low <= found.quality.value <= found.quality.high


def test_the_file_says_what_it_is(encoder: Path, tmp_path: Path) -> None:
    """Its labels, its size, and what it was fitted on; the same examples give the same bytes."""
    task = task_of()
    one, two = (
        head_to(tmp_path / name, encoder, task, shots=2, threads=1, progress=Silent())
        for name in ("a.onnx", "b.onnx")
    )
    said, before = describe(one.path), describe(encoder)
    assert (said.gives, said.labels, said.width) == ("classes", tuple(WORDS), 3)
    assert (one.name, one.sha256) == (f"{before.name}-home", two.sha256)
    assert one.parameters == before.parameters + 3 * before.width + 3
    metadata = {entry.key: entry.value for entry in onnx.load(one.path).metadata_props}
    noted = json.loads(metadata[HEAD_KEY])
    assert (noted["task"], noted["examples"]) == ("home", 6)
    assert identify(one.path) == one


def test_shots_are_the_first_of_each_label(encoder: Path, tmp_path: Path) -> None:
    task = task_of()
    few = replace(task, train=tuple(row for number, row in enumerate(task.train) if number % 8 < 3))
    one = head_to(tmp_path / "one.onnx", encoder, task, shots=3, threads=1, progress=Silent())
    assert one.sha256 == head_to(tmp_path / "two.onnx", encoder, few, threads=1, progress=Silent()).sha256


def test_what_is_shown_teaches_too(encoder: Path, tmp_path: Path) -> None:
    task = task_of()
    shown = replace(task, train=(), shown=task.train)
    one = head_to(tmp_path / "one.onnx", encoder, task, threads=1, progress=Silent())
    two = head_to(tmp_path / "two.onnx", encoder, shown, threads=1, progress=Silent())
    assert one.sha256 == two.sha256


def test_labels_without_examples_score_by_nearness(encoder: Path, tmp_path: Path) -> None:
    """The file then answers as the encoder itself does, label by label and share by share."""
    task = task_of()
    few = replace(task, train=tuple(row for row in task.train if row.answer != "door"))
    headed = head_to(tmp_path / "h.onnx", encoder, few, threads=1, progress=Silent())
    ours, theirs = (
        evaluate(weights, few, home=tmp_path, progress=Silent(), threads=1) for weights in (headed, identify(encoder))
    )
    assert [one.answered.text for one in ours.judged] == [one.answered.text for one in theirs.judged]
    shares = [one.answered.confidence for one in theirs.judged]
    assert [one.answered.confidence for one in ours.judged] == pytest.approx(shares, abs=1e-4)


def test_the_store_keeps_a_head_by_what_it_was_made_of(encoder: Path, tmp_path: Path) -> None:
    """The same examples give the same file, which is not made again; others another."""
    task, store, weights = task_of(), Store(tmp_path / "home"), identify(encoder)
    one, two, other = (
        head_for(weights, of, store=store, threads=1, progress=Silent())
        for of in (task, task, replace(task, train=task.train[1:]))
    )
    assert one == two
    assert one.path != other.path
    assert one.sha256 == head_to(tmp_path / "h.onnx", encoder, task, threads=1, progress=Silent()).sha256


def test_a_head_of_a_head_and_one_of_no_labels_are_refused(encoder: Path, tmp_path: Path) -> None:
    """Nothing is written."""
    task, out = task_of(), tmp_path / "h.onnx"
    text = replace(task, form=FreeText(), metric=Metric.EXACT_MATCH)
    with pytest.raises(BadInputError, match="its answers are no labels"):
        head_to(out, encoder, text, threads=1, progress=Silent())
    assert not list(tmp_path.iterdir())
    headed = head_to(out, encoder, task, threads=1, progress=Silent())
    with pytest.raises(BadInputError, match="gives classes, and a head is fitted on vectors"):
        head_to(tmp_path / "again.onnx", headed.path, task, threads=1, progress=Silent())


def test_two_classes_have_the_regression_s_own_probability() -> None:
    """scikit-learn keeps one row for two classes: the second's."""
    random = np.random.default_rng(3)
    vectors = random.standard_normal((40, 6), dtype=np.float32)
    answers = ["b" if vector[0] + vector[1] > 0 else "a" for vector in vectors]
    head = fit_head(vectors, answers, ("b", "a"))
    scores = vectors @ head.matrix.T + head.bias
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    theirs = LogisticRegression(C=INVERSE_STRENGTH, max_iter=1000).fit(vectors, answers)
    assert shares[:, ::-1] == pytest.approx(theirs.predict_proba(vectors), abs=1e-3)
