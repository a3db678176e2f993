"""`edgepack build --task T`: the smallest candidate that does the user's own task, by asking them."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import edgepack
from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode

DATA = Path(edgepack.__file__).parent / "data"
SCHEMA = json.loads((Path(__file__).parents[1] / "docs" / "schemas" / "build.schema.json").read_text())
USUAL = ("build", "--profile", "host", "--no-bench", "--runtime", "none")
BOTH = ("--model", "demo-5m", "--model", "demo-1m", "--quant", "Q4_0", "--quant", "Q8_0")
EXAMPLES = 90


@pytest.fixture
def task(tmp_path: Path) -> str:
    """The shipped task with fewer examples, and no target of its own."""
    rows = (DATA / "demo-intents-heldout.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "rows.jsonl").write_text("".join(rows[:EXAMPLES]))
    text = (DATA / "tasks/smart-home-intents.toml").read_text()
    text = text.replace("../demo-intents-heldout.jsonl", "rows.jsonl").split("[targets]")[0]
    (tmp_path / "intents.toml").write_text(text)
    return str(tmp_path / "intents.toml")


def built(task: str, out: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert run([*USUAL, *BOTH, "--task", task, "--json", "--out", str(out), *words]) == ExitCode.DONE
    values: dict[str, Any] = json.loads(capsys.readouterr().out)
    jsonschema.validate(values, SCHEMA)
    return values


def roles(values: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one["model"], one["quant"], one["role"]) for one in values["trials"]["tried"]]


def test_the_smallest_that_passes_is_built(task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The small model is given up, the large one's smallest quantization passes, and one size up is asked too.

    With a lower bar the small one does, and what was asked before is not asked again.
    """
    high = built(task, tmp_path / "high", capsys, "--min-quality", "0.88")
    assert roles(high) == [
        ("demo-1m", "Q4_0", "tried"), ("demo-1m", "Q8_0", "smaller"), ("demo-5m", "Q4_0", "chosen"),
        ("demo-5m", "Q8_0", "larger"),
    ]  # fmt: skip
    low = built(task, tmp_path / "low", capsys, "--min-quality", "0.6")
    assert roles(low) == [("demo-1m", "Q4_0", "chosen"), ("demo-1m", "Q8_0", "larger")]
    assert low["planned"]["model"] == "demo-1m"
    again = built(task, tmp_path / "again", capsys, "--min-quality", "0.88")
    assert again["trials"] == {**high["trials"], "tried": again["trials"]["tried"]}
    assert json.loads((tmp_path / "again/evidence/evaluation.json").read_text())["kept"] == EXAMPLES


def test_the_evidence_is_of_what_is_in_the_bundle(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = built(task, tmp_path / "bundle", capsys, "--min-quality", "0.6")
    evidence = tmp_path / "bundle" / "evidence"
    assert json.loads((evidence / "trials.json").read_text()) == values["trials"]
    evaluation = json.loads((evidence / "evaluation.json").read_text())
    assert evaluation["weights"]["sha256"] == values["built"]["weights"]["sha256"]
    assert evaluation["metrics"]["exact-match"]["value"] >= 0.6
    assert run(["verify", str(tmp_path / "bundle"), "--no-run"]) == ExitCode.DONE


def test_times_of_another_device_are_predicted(task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = built(task, tmp_path / "bundle", capsys, "--min-quality", "0.6", "--profile", "rpi5")
    trial = values["trials"]["tried"][0]
    assert trial["expected"]["basis"] == "bandwidth"
    assert 0 < trial["expected"]["first_token"] < 1
    assert 0 < trial["joules_per_answer"] < 10


def test_an_adapter_beside_the_weights_is_not_asked_without(task: str, capsys: pytest.CaptureFixture[str]) -> None:
    directory = Path(__file__).parent / "fakes"
    assert run([*USUAL, *BOTH, "--task", task, "--adapter", str(directory)]) != ExitCode.DONE
    assert "--merge" in capsys.readouterr().err


def test_where_none_will_do_nothing_is_built(task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 3 and the best that was reached; forced, that one is built."""
    out = tmp_path / "bundle"
    words = [*USUAL, "--model", "demo-1m", "--quant", "Q8_0", "--task", task, "--min-quality", "1", "--out", str(out)]
    assert run(words) == ExitCode.NOTHING_FITS
    what, hint = capsys.readouterr().err.splitlines()[-2:]
    assert "none of 1 candidates meets every target; the best, demo-1m Q8_0, reaches" in what
    assert "of 100.0% wanted" in what
    assert "--force" in hint
    assert not out.exists()
    assert run([*words, "--force"]) == ExitCode.DONE
    assert "built all the same" in capsys.readouterr().err
    assert json.loads((out / "evidence/trials.json").read_text())["stopped"] == "no candidate was left"


def test_a_plan_lists_the_candidates_and_asks_none(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*USUAL, *BOTH, "--task", task, "--dry-run", "--json"]) == ExitCode.DONE
    values = json.loads(capsys.readouterr().out)
    jsonschema.validate(values, SCHEMA)
    sizes = [one["size"] for one in values["candidates"]]
    assert (len(sizes), sizes) == (4, sorted(sizes))
    assert not list((tmp_path / "home").glob("store/*/*"))


def test_the_catalogue_is_tried_from_the_smallest(task: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Sizes are known before anything is fetched; a hub that cannot be reached ends it."""
    words = ["build", "--profile", "rpi5", "--task", task, "--offline"]
    assert run([*words, "--dry-run", "--tries", "3", "--json"]) == ExitCode.DONE
    sizes = [one["size"] for one in json.loads(capsys.readouterr().out)["candidates"]]
    assert (len(sizes), sizes) == (3, sorted(sizes))
    assert run(words) == ExitCode.NETWORK


@pytest.mark.parametrize("words", [BOTH[:4], ("--model", "demo-1m", *BOTH[4:])])
def test_several_without_a_task_end_with_2(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*USUAL, *words]) == ExitCode.USAGE
    assert "name the task: --task T" in capsys.readouterr().err


def test_a_bar_without_a_task_is_no_task(capsys: pytest.CaptureFixture[str]) -> None:
    """`extract` is a kind of task, and nobody's examples."""
    assert run([*USUAL, *BOTH, "--task", "extract", "--min-quality", "0.5"]) == ExitCode.BAD_INPUT
    assert "no task is called 'extract'" in capsys.readouterr().err
