"""Weights evaluated: the demo model reaches what its card says, an interrupted run goes on, targets are judged."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from edgepack.domain.errors import NothingFitsError
from edgepack.domain.evaluation import Evaluation
from edgepack.domain.progress import Silent
from edgepack.domain.task import Example, FreeText, Labels, Metric, Targets, Task
from edgepack.engines.llamacpp import identify
from edgepack.infra.library import load_profile
from edgepack.infra.tasks import load_task
from edgepack.stages import eval as stage
from edgepack.stages.eval import evaluate
from tests.fakes.tiny_gguf import write_tiny_gguf


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small demo model, quantized."""
    from edgepack.cli.main import run

    out = tmp_path_factory.mktemp("demo") / "demo.gguf"
    previous = os.environ.get("EDGEPACK_HOME")
    os.environ["EDGEPACK_HOME"] = str(out.parent / "home")
    try:
        assert run(["convert", "demo-1m", "--quant", "Q8_0", "--out", str(out), "--quiet"]) == 0
    finally:
        os.environ.pop("EDGEPACK_HOME") if previous is None else os.environ.update(EDGEPACK_HOME=previous)
    return out


def asked(weights: Path, task: Task, home: Path, **more: object) -> Evaluation:
    return evaluate(identify(weights), task, home=home, progress=Silent(), threads=1, **more)  # type: ignore[arg-type]


def labelled(*, targets: Targets | None = None, level: int = 1) -> Task:
    """Which of two words a model of random weights finds likelier."""
    task = load_task("sentiment")
    rows = tuple(
        Example(fields={"text": word}, answer=label) for word, label in (("a", "x"), ("b", "y"), ("cat", "x"))
    )
    return replace(
        task, form=Labels(labels=("x", "y", "zz")), shown=(), held_out=rows, level=level, metric=Metric.ACCURACY,
        prompt=replace(task.prompt, system=None, user="{text}"), targets=targets or task.targets,
    )  # fmt: skip


def test_a_model_that_writes_finds_entities_in_json(demo: Path, tmp_path: Path) -> None:
    """Whatever this one says, it is of the kinds; texts are shown to it in the form that it shall write."""
    task = load_task("names")
    assert task.turns(task.held_out[0])[2] == (
        "assistant",
        '{"PER":["Maria Keller"],"LOC":["Oslo","Lisbon"],"ORG":[]}',
    )
    found = asked(demo, task, tmp_path, limit=3, force=True)
    assert set(found.metrics) == {Metric.ENTITY_F1, Metric.EXACT_MATCH}
    for one in found.judged:
        assert {entity["kind"] for entity in json.loads(one.answered.text)} <= {"PER", "LOC", "ORG"}
        assert one.answered.tokens >= 12


def test_the_demo_model_understands_most_commands(demo: Path, tmp_path: Path) -> None:
    """Every answer is JSON of the schema; the figures follow from the answers."""
    found = asked(demo, load_task("smart-home-intents"), tmp_path, limit=40)
    assert len(found.judged) == 40
    assert found.quality.value > 0.7
    assert found.quality.low < found.quality.value <= found.quality.high
    assert found.quality.value == sum(one.score for one in found.judged) / 40
    assert found.metrics[Metric.FIELD_F1].value >= found.quality.value
    assert all("intent" in json.loads(one.answered.text) for one in found.judged)
    assert found.tokens == sum(one.answered.tokens for one in found.judged)
    assert found.decode is not None
    assert found.decode > 0
    assert found.memory is not None
    assert found.first_token.median <= found.first_token.p95 < found.seconds.p95


def test_what_was_answered_is_not_asked_again(demo: Path, tmp_path: Path) -> None:
    """The same answers, times included; a larger limit asks the rest; other threads, or `fresh`, ask anew."""
    task = load_task("smart-home-intents")
    first = asked(demo, task, tmp_path, limit=3)
    again = asked(demo, task, tmp_path, limit=3)
    assert (first.kept, again.kept) == (0, 3)
    assert again.judged == first.judged
    assert again.memory is None
    assert asked(demo, task, tmp_path, limit=5).kept == 3
    assert asked(demo, task, tmp_path, limit=3, fresh=True).kept == 0


def test_answers_that_say_nothing_of_their_tokens_are_asked_again_where_that_counts(
    demo: Path, tmp_path: Path
) -> None:
    """Those of earlier versions: good enough for an evaluation, not for a route."""
    task = load_task("smart-home-intents")
    asked(demo, task, tmp_path, limit=2)
    (kept,) = (tmp_path / "observations/answers").iterdir()
    rows = [json.loads(line) for line in kept.read_text().splitlines()]
    rows[0]["log_probabilities"] = rows[0]["margins"] = None
    kept.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert asked(demo, task, tmp_path, limit=2).kept == 2
    assert asked(demo, task, tmp_path, limit=2, noted=True).kept == 1
    assert asked(demo, task, tmp_path, limit=2, noted=True).kept == 2


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_ended_loses_no_answer(demo: Path, tmp_path: Path, ending: signal.Signals) -> None:
    """Killed in the middle, or ^C: what was answered by then is kept, and the next run asks the rest only."""
    words = [sys.executable, "-m", "edgepack", "eval", str(demo), "--task", "smart-home-intents", "--threads", "1"]
    run = subprocess.Popen(
        words, env={**os.environ, "EDGEPACK_HOME": str(tmp_path)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    kept = tmp_path / "observations/answers"
    while run.poll() is None and lines(kept) < 5:
        time.sleep(0.01)
    run.send_signal(ending)
    run.communicate()
    assert run.returncode == (130 if ending is signal.SIGINT else -ending)
    answered = lines(kept)
    assert answered >= 5
    found = asked(demo, load_task("smart-home-intents"), tmp_path, limit=min(answered + 2, 730))
    assert found.kept >= answered - (1 if ending is signal.SIGKILL else 0)


def lines(directory: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in directory.glob("*"))


def test_labels_have_classes_and_confusion(tmp_path: Path) -> None:
    """Rows add up to the examples of a label, and the diagonal to the accuracy."""
    found = asked(write_tiny_gguf(tmp_path / "tiny.gguf"), labelled(), tmp_path)
    labels, rows = found.confusion
    assert sum(map(sum, rows)) == 3
    assert sum(rows[place][place] for place in range(len(labels))) == pytest.approx(3 * found.quality.value)
    assert found.classes["x"].support == 2
    assert found.decode is None
    assert all(one.answered.text in ("x", "y", "zz") for one in found.judged)


def test_targets_are_judged(tmp_path: Path) -> None:
    """Each that is set, by what was reached; one that was not measured is not met."""
    targets = Targets(quality=1.0, first_token=1000.0, decode=1.0, size=10, memory=1 << 40)
    found = asked(write_tiny_gguf(tmp_path / "tiny.gguf"), labelled(targets=targets), tmp_path)
    met = {one.target: one.met for one in found.targets}
    assert met == {
        "quality": found.quality.value == 1.0, "first_token_seconds": True, "tokens_per_second": False,
        "size_bytes": False, "memory_bytes": True,
    }  # fmt: skip


def test_hard_tasks_are_refused_unless_forced(tmp_path: Path) -> None:
    """Level 3 and 4, with advice."""
    tiny = write_tiny_gguf(tmp_path / "tiny.gguf")
    with pytest.raises(NothingFitsError, match="a level 3 task") as raised:
        asked(tiny, labelled(level=3), tmp_path)
    assert "larger model" in raised.value.hint
    assert len(asked(tiny, labelled(level=3), tmp_path, force=True).judged) == 3


def test_energy_is_counted_or_estimated_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the machine's counter; else by a profile's watts and the seconds; else not at all."""
    tiny = write_tiny_gguf(tmp_path / "tiny.gguf")
    monkeypatch.setattr(stage, "read_energy", lambda: None)
    assert asked(tiny, labelled(), tmp_path).energy is None
    pi = load_profile("rpi5")
    assert pi.power.load is not None
    estimated = asked(tiny, labelled(), tmp_path, profile=pi)
    assert estimated.energy is not None
    seconds = sum(one.answered.seconds for one in estimated.judged)
    assert estimated.energy.joules == pytest.approx(pi.power.load.value * seconds)
    assert estimated.energy.source.startswith("profile ")


def test_free_text_is_judged_by_its_words(tmp_path: Path) -> None:
    """A model that ends at once says nothing, and gets nothing."""
    task = replace(labelled(), form=FreeText(), max_tokens=8, metric=Metric.ROUGE_L)
    found = asked(write_tiny_gguf(tmp_path / "tiny.gguf", always_ends=True), task, tmp_path)
    assert found.quality.value == 0.0
    assert found.tokens == 0
