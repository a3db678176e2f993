"""Few examples by real weights: a head for banking questions, against scikit-learn on torch's vectors.

As in test_real_nearest.py: `make real-weights` brings weights and torch, EDGEPACK_BANKING77 names the data.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from edgepack.convert.onnx.fitting import INVERSE_STRENGTH
from edgepack.domain.metrics import estimate, mean
from edgepack.domain.progress import Silent
from edgepack.domain.quant import OnnxQuant
from edgepack.domain.task import Task
from edgepack.stages.encoder import encoder_to, open_encoder_directory
from edgepack.stages.eval import evaluate
from edgepack.stages.head import head_to
from tests.stages.test_real_nearest import DATA, MODEL, PYTHON, torchs, write_task

pytestmark = [pytest.mark.slow, pytest.mark.oracle]

SHOTS = 8
_NEAR = 0.005


def answers_of_torch(task: Task, directory: Path) -> list[str]:
    """Logistic regression on torch's vectors of the same examples, without anything of ours but its strength."""
    taught, asked = ([row.fields["text"] for row in rows] for rows in (task.taught, task.held_out))
    vectors = torchs([*taught, *asked], directory)
    fitted = LogisticRegression(C=INVERSE_STRENGTH, max_iter=1000)
    fitted.fit(vectors[: len(taught)], [row.answer for row in task.taught])
    return [str(said) for said in fitted.predict(vectors[len(taught) :])]


def test_eight_examples_a_label_teach_as_much_as_with_torch(tmp_path: Path) -> None:
    """All 3,080 of the test part, none of which was learnt from: within half a point, in full precision and at q8."""
    for needed in (MODEL, PYTHON, DATA):
        if not needed.exists():
            pytest.skip(f"{needed} is not here: run `make real-weights`, and see test_real_nearest.py's first lines")
    task = write_task(tmp_path, SHOTS)
    assert len(task.taught) == SHOTS * len(json.loads((DATA / "categories.json").read_text(encoding="utf-8")))
    theirs, wanted = answers_of_torch(task, tmp_path), [row.answer for row in task.held_out]
    torch = estimate([float(said == right) for said, right in zip(theirs, wanted, strict=True)], mean)
    print(f"\ntorch and scikit-learn: accuracy {torch.value:.4f}, 95 % {torch.low:.4f} to {torch.high:.4f}")
    conversion = open_encoder_directory(MODEL, "model", allow_over_3b=False)
    for quant in OnnxQuant:
        encoder = encoder_to(tmp_path / f"{quant}.onnx", conversion, quant, progress=Silent())
        weights = head_to(tmp_path / f"{quant}-head.onnx", encoder.path, task, threads=2, progress=Silent())
        found = evaluate(weights, task, home=tmp_path, progress=Silent(), threads=2)
        same = np.mean([one.answered.text == said for one, said in zip(found.judged, theirs, strict=True)])
        print(
            f"{quant}: accuracy {found.quality.value:.4f}, 95 % {found.quality.low:.4f} to {found.quality.high:.4f}; "
            f"{same:.2%} the same answer as torch; "
            f"{found.seconds.median * 1e3:.1f} ms, {weights.size / 1e6:.1f} MB"
        )
        assert abs(found.quality.value - torch.value) <= _NEAR
