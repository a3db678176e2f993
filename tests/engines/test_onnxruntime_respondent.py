"""A task of labels answered by ONNX encoders: as the same weights answer under llama.cpp, or by their own classes."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edgepack.convert.onepass import open_conversion, write_gguf
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Silent
from edgepack.domain.quant import OnnxQuant, Quant
from edgepack.domain.task import Example, FreeText, Labels, Metric, Task
from edgepack.engines.identifying import identify
from edgepack.infra.tasks import load_task
from edgepack.stages.eval import evaluate
from tests.fakes.checkpoints import make_checkpoint
from tests.fakes.encoders import write_encoder
from tests.oracle.onnx_encoders import RECIPES

BY_NAME = {recipe.name: recipe for recipe in RECIPES}


def row(text: str, answer: str) -> Example:
    return Example(fields={"text": text}, answer=answer)


def task_of(*labels: str) -> Task:
    shown = tuple(row(f"{label} of a kind", label) for label in labels[:2])
    asked = tuple(row(text, labels[0]) for text in ("lost card", "greeting to all", "what is the rate", "no"))
    task = load_task("sentiment")
    return replace(task, form=Labels(labels=labels), metric=Metric.ACCURACY, shown=shown, held_out=asked)


def test_both_engines_answer_alike(vocabularies: Path, tmp_path: Path) -> None:
    """Labels by their names and by examples; what each says of itself, and answers kept apart."""
    recipe, task = BY_NAME["MiniLM-seeded"], task_of("lost_card", "exchange-rate", "greeting")
    checkpoint = make_checkpoint(recipe, tmp_path / "checkpoint", vocabularies)
    gguf = tmp_path / "m.gguf"
    write_gguf(open_conversion(checkpoint, "m"), Quant.BF16, gguf, threads=1, progress=Silent())
    shutil.rmtree(checkpoint)
    onnx = write_encoder(recipe, OnnxQuant.F32, tmp_path / "m.onnx", vocabularies)
    theirs, ours = (
        evaluate(identify(path), task, home=tmp_path, progress=Silent(), threads=1) for path in (gguf, onnx)
    )
    assert [one.answered.text for one in ours.judged] == [one.answered.text for one in theirs.judged]
    shares = [one.answered.confidence for one in theirs.judged]
    assert [one.answered.confidence for one in ours.judged] == pytest.approx(shares, abs=0.01)
    assert (ours.runtime.name, ours.weights.quant, ours.kept) == ("onnxruntime", "f32", 0)
    again = evaluate(identify(onnx), task, home=tmp_path, progress=Silent(), threads=1)
    assert (again.kept, again.judged) == (4, ours.judged)


def test_a_classifier_answers_with_its_best_class(vocabularies: Path, tmp_path: Path) -> None:
    """In whatever order the task names them; a task of other labels is none for it."""
    weights = identify(write_encoder(BY_NAME["bert-classes"], OnnxQuant.Q8, tmp_path / "c.onnx", vocabularies))
    found = evaluate(weights, task_of("yes", "no", "perhaps"), home=tmp_path, progress=Silent(), threads=1)
    assert {one.answered.text for one in found.judged} <= {"yes", "no", "perhaps"}
    assert all(1 / 3 <= one.answered.confidence <= 1 for one in found.judged)
    with pytest.raises(BadInputError, match=r"gives classes \(no, perhaps, yes\), not the task's labels"):
        evaluate(weights, task_of("good", "bad"), home=tmp_path, progress=Silent(), threads=1)


def test_an_encoder_writes_no_text(vocabularies: Path, tmp_path: Path) -> None:
    weights = identify(write_encoder(BY_NAME["roberta-vectors"], OnnxQuant.Q8, tmp_path / "c.onnx", vocabularies))
    task = replace(task_of("yes", "no"), form=FreeText(), metric=Metric.EXACT_MATCH)
    with pytest.raises(BadInputError, match="writes no text"):
        evaluate(weights, task, home=tmp_path, progress=Silent(), threads=1)
