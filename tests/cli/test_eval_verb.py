"""`edgepack eval` from the outside: words read, tables and JSON shown, exit codes kept."""

import json
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result

from edgepack.cli.eval import command
from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode
from edgepack.domain.quant import OnnxQuant
from tests.engines.test_onnxruntime_tagging import tags_of
from tests.fakes.encoders import write_encoder
from tests.fakes.tagger import sentences, trained_tagger
from tests.fakes.tiny_gguf import write_tiny_gguf
from tests.oracle.onnx_encoders import RECIPES

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schemas/eval.schema.json").read_text())
TASK = """
title = "A word"
kind = "classify"
metric = "macro-f1"
[prompt]
user = "{text}"
[answer]
labels = ["x", "y", "zz"]
[examples]
file = "rows.jsonl"
[targets]
quality = 0.99
first_token_seconds = 1000
"""
ROWS = "".join(f'{{"text": "{word}", "answer": "{label}"}}\n' for word, label in zip("abcdef", "xyxyxy", strict=True))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture
def task(tmp_path: Path) -> Path:
    (tmp_path / "rows.jsonl").write_text(ROWS)
    (tmp_path / "word.toml").write_text(TASK)
    return tmp_path / "word.toml"


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


def test_people_get_tables(tiny: Path, task: Path) -> None:
    """Metrics with intervals, a line a label, times, and which targets are met; the second time, what was kept."""
    done = call(tiny, "--task", task)
    assert done.exit_code == 0, done.output
    assert "A word: 6 examples\n" in done.stdout
    assert "95 % interval" in done.stdout
    assert any(line.startswith("x ") and "%" in line for line in done.stdout.splitlines())
    assert "  met     first_token_seconds" in done.stdout
    assert "  NOT MET quality" in done.stdout
    assert "6 examples, 6 answered earlier" in call(tiny, "--task", task).stdout


def test_the_json_keeps_its_schema(tiny: Path, task: Path, tmp_path: Path) -> None:
    """stdout is one object of the documented schema, and the evaluation in it is the one written."""
    out = tmp_path / "seen.json"
    done = call(tiny, "--task", task, "--limit", "4", "--json", "--out", out)
    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    validator.validate(shown)
    assert json.loads(out.read_text()) == shown["evaluation"]
    assert [answer["fields"]["text"] for answer in shown["evaluation"]["answers"]] == list("abcd")
    shown["evaluation"]["answers"][0]["colour"] = "red"
    assert not validator.is_valid(shown)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], ExitCode.USAGE, "expected --task"),
        (["--task", "chat", "--against", "x.gguf", "--text", "x"], ExitCode.USAGE, "one of the two"),
        (["--against", "x.gguf"], ExitCode.USAGE, "go together"),
        (["--task", "chat", "--text", "x"], ExitCode.USAGE, "go together"),
        (["--task", "sentimant"], ExitCode.BAD_INPUT, "did you mean sentiment?"),
        (["--task", "gone.toml"], ExitCode.BAD_INPUT, "gone.toml: No such file"),
        (["--task", "chat", "--limit", "0"], ExitCode.USAGE, "0 is not in the range"),
        (["--task", "chat", "--out", "/tmp"], ExitCode.USAGE, "no file can be written there"),
        (["--task", "chat", "--profile", "rpi55"], ExitCode.BAD_INPUT, "no profile is called"),
    ],
)
def test_words_that_make_no_sense_say_so_in_two_lines(
    tiny: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: ExitCode, said: str
) -> None:
    assert run(["eval", str(tiny), *words]) == code
    err = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("==>")]
    assert said in "\n".join(err)
    assert len(err) == 2


def test_a_comparison_keeps_its_schema_too(tiny: Path, tmp_path: Path) -> None:
    """For people a few lines, as JSON the same figures."""
    (tmp_path / "text.txt").write_text("the cat and the dog " * 80)
    words = [tiny, "--against", tiny, "--text", tmp_path / "text.txt", "--limit", "2"]
    done = call(*words, "--json", "--out", tmp_path / "seen.json")
    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    jsonschema.Draft202012Validator(SCHEMA).validate(shown)
    assert json.loads((tmp_path / "seen.json").read_text()) == shown["fidelity"]
    assert (shown["fidelity"]["chunks"], shown["fidelity"]["same_top"]) == (2, 1.0)
    assert "same top    100.00% of the tokens" in call(*words).stdout


def test_a_broken_task_file_is_explained_in_two_lines(
    tiny: Path, task: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line of the examples that is wrong, and where the format is described."""
    (task.parent / "rows.jsonl").write_text(ROWS + '{"text": "g", "answer": "w"}\n')
    assert run(["eval", str(tiny), "--task", str(task)]) == ExitCode.BAD_INPUT
    assert capsys.readouterr().err.splitlines() == [
        "error: rows.jsonl:7: answer: 'w' is none of the task's labels",
        "  next: correct the file; docs/tasks.md shows every key of a task",
    ]


def test_what_is_beyond_small_models_ends_with_nothing_fits(
    tiny: Path, task: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Level 3: exit code 3 and advice; with --force it is asked."""
    task.write_text(TASK.replace('kind = "classify"', 'kind = "reason"'))
    assert run(["eval", str(tiny), "--task", str(task)]) == ExitCode.NOTHING_FITS
    assert "level 3" in capsys.readouterr().err
    assert run(["eval", str(tiny), "--task", str(task), "--force", "--quiet"]) == 0


def test_what_is_no_gguf_is_bad_input(task: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.gguf").write_text("just a text")
    assert run(["eval", str(tmp_path / "x.gguf"), "--task", str(task)]) == ExitCode.BAD_INPUT
    assert "llama.cpp cannot load it" in capsys.readouterr().err


def test_an_onnx_encoder_is_asked_as_other_weights_are(
    task: Path, vocabularies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its JSON keeps the schema; a file that was cut is bad input, and so it is to the verbs that run a GGUF."""
    (recipe,) = (recipe for recipe in RECIPES if recipe.name == "distilbert-vectors")
    encoder = write_encoder(recipe, OnnxQuant.Q8, tmp_path / "encoder.onnx", vocabularies)
    assert run(["eval", str(encoder), "--task", str(task), "--json"]) == ExitCode.DONE
    shown = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator(SCHEMA).validate(shown)
    assert shown["evaluation"]["runtime"]["name"] == "onnxruntime"
    assert run(["bench", str(encoder)]) == ExitCode.BAD_INPUT
    encoder.write_bytes(encoder.read_bytes()[:-100])
    assert run(["eval", str(encoder), "--task", str(task)]) == ExitCode.BAD_INPUT
    assert len(capsys.readouterr().err.strip().splitlines()[-2:]) == 2


def test_entities_are_shown_kind_by_kind_and_all_together(
    tmp_path: Path, vocabularies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The record follows its schema, and a report reads it."""
    tagger = trained_tagger(tmp_path / "tagger", vocabularies, [tags_of(one) for one in sentences(1, 40)])
    weights, record = tmp_path / "tagger.onnx", tmp_path / "evaluation.json"
    assert run(["convert", str(tagger), "--to", "onnx", "--out", str(weights), "--quiet"]) == ExitCode.DONE
    rows = [json.dumps({"text": one.text, "answer": one.entities}) for one in sentences(2, 12)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    task = TASK.replace("classify", "extract").replace("macro-f1", "entity-f1")
    (tmp_path / "names.toml").write_text(task.replace('labels = ["x", "y", "zz"]', 'entities = ["PER", "LOC"]'))
    words = ["eval", str(weights), "--task", str(tmp_path / "names.toml"), "--out", str(record)]
    capsys.readouterr()
    assert run(words) == ExitCode.DONE
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["kind", "precision", "recall", "F1", "entities"] in rows
    supports = {row[0]: int(row[4]) for row in rows if row and row[0] in ("PER", "LOC", "all")}
    assert supports["all"] == supports["PER"] + supports["LOC"] > 12
    assert run([*words, "--json"]) == ExitCode.DONE
    shown = json.loads(capsys.readouterr().out)
    jsonschema.validate(shown, SCHEMA)
    assert [one["label"] for one in shown["evaluation"]["classes"]] == ["LOC", "PER"]
    assert run(["report", str(record), "--out", str(tmp_path / "r.html")]) == ExitCode.DONE
    assert "Entity-F1" in (tmp_path / "r.html").read_text()
