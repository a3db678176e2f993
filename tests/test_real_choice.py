"""Banking questions by real weights: an encoder chosen by evidence over a model that writes, built, and asked alone.

As in tests/stages/test_real_nearest.py: `make real-weights` brings the weights, EDGEPACK_BANKING77 names the data.
"""

import json
import subprocess
from pathlib import Path

import pytest

from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode
from tests.stages.test_real_head import SHOTS
from tests.stages.test_real_nearest import DATA, MODEL, write_task

pytestmark = [pytest.mark.slow, pytest.mark.oracle]


def test_the_encoder_is_chosen_and_its_bundle_answers_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the bundle says to the first 50 questions is what the evidence says that it said."""
    for needed in (MODEL, DATA):
        if not needed.exists():
            pytest.skip(f"{needed} is not here: run `make real-weights`, and see test_real_nearest.py's first lines")
    write_task(tmp_path, SHOTS)
    # What is taught stands in no prompt: a model that writes would have 616 questions before each.
    rows = (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    toml = (tmp_path / "banking.toml").read_text(encoding="utf-8")
    taught = SHOTS * len(json.loads((DATA / "categories.json").read_text(encoding="utf-8")))
    (tmp_path / "train.jsonl").write_text("\n".join(rows[:taught]), encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text("\n".join(rows[taught:]), encoding="utf-8")
    toml = toml.replace(f"shown = {taught}", 'train = "train.jsonl"')
    (tmp_path / "banking.toml").write_text(toml, encoding="utf-8")
    out = tmp_path / "bundle"
    models = ("--model", str(MODEL), "--model", "demo-5m", "--quant", "Q8_0", "--quant", "q8", "--quant", "f32")
    words = ("--task", str(tmp_path / "banking.toml"), "--min-quality", "0.8", "--runtime", "none", "--out", str(out))
    assert run(["build", "--profile", "host", "--no-bench", *words, *models]) == ExitCode.DONE
    said = capsys.readouterr().out
    print(said)
    trials = json.loads((out / "evidence/trials.json").read_text())["tried"]
    assert [(one["engine"], one["quant"], one["role"]) for one in trials] == [
        ("llamacpp", "Q8_0", "smaller"), ("onnx", "q8", "chosen"), ("onnx", "f32", "larger"),
    ]  # fmt: skip
    answers = json.loads((out / "evidence/evaluation.json").read_text())["answers"][:50]
    for one in answers:
        given = subprocess.run([out / "run", one["fields"]["text"]], capture_output=True, check=True, text=True)
        assert json.loads(given.stdout)["label"] == one["text"]
