"""`edgepack task` from the outside: tables and JSON shown, every mistake of a file named, exit codes kept."""

import json
import shutil
from pathlib import Path

import jsonschema
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from edgepack.cli.main import edgepack, run
from edgepack.cli.task import command
from edgepack.domain.errors import ExitCode
from edgepack.infra.tasks import read_task, task_names

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schemas/task.schema.json").read_text())
GOOD = """
title = "A word"
kind = "classify"
metric = "macro-f1"
[prompt]
user = "{text}"
[answer]
labels = ["x", "y"]
[examples]
file = "rows.jsonl"
[targets]
quality = 0.5
"""
BAD = """
title = ""
kind = "clasify"
metric = "rouge-l"
colour = "red"
[prompt]
user = "{text}"
[answer]
labels = ["x", "y"]
max_tokens = -1
[examples]
file = "rows.jsonl"
[targets]
quality = 3
"""
ROWS = '{"text": "a", "answer": "x"}\n{"text": "b", "answer": "y"}\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "rows.jsonl").write_text(ROWS)
    (tmp_path / "word.toml").write_text(GOOD)
    return tmp_path / "word.toml"


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


def test_all_shipped_tasks_are_listed_with_what_they_ask() -> None:
    """A line a task: level, form of answer, metric, examples, targets."""
    lines = call("list").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(task_names())
    (line,) = (line for line in lines if line.startswith("sentiment "))
    assert line.split(maxsplit=7) == [
        "sentiment", "1", "3", "labels", "macro-f1", "18", "3", "quality 0.8, first token in 3 s",
    ]  # fmt: skip


@pytest.mark.parametrize("name", task_names())
def test_each_can_be_shown(name: str) -> None:
    """With its prompt, as it stands in the file."""
    done = call("show", name)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{name}: ")
    assert "{text}" in done.stdout or "{" in done.stdout


@pytest.mark.parametrize("words", [("list",), ("show", "sentiment"), ("show", "entities"), ("show", "chat")])
def test_the_json_keeps_its_schema(words: tuple[str, ...]) -> None:
    done = call(*words, "--json")
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    shown = json.loads(done.stdout)
    validator.validate(shown)
    shown["colour"] = "red"
    assert not validator.is_valid(shown)


def test_a_good_file_is_said_to_be_one(file: Path) -> None:
    """People see what it says, programs that there is no mistake."""
    assert call("check", file).stdout.startswith(f"{file}: a task, 2 examples to ask\n")
    shown = json.loads(call("check", file, "--json").stdout)
    jsonschema.Draft202012Validator(SCHEMA).validate(shown)
    assert (shown["mistakes"], shown["task"]["asked"]) == ([], 2)


def test_every_mistake_is_said_at_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two lines each, keys and examples alike; exit code 4."""
    file.write_text(BAD)
    (file.parent / "rows.jsonl").write_text(f'{ROWS}{{"text": "c", "answer": "z"}}\nnothing\n{{"text": 1}}\n')
    assert run(["task", "check", str(file)]) == ExitCode.BAD_INPUT
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" ", 1)[1] for line in lines[::2]] == [
        "task word: title: expected a text, got an empty string",
        "task word: kind: 'clasify' is not known; did you mean classify?",
        "task word: metric: rouge-l does not judge answers of this form; accuracy or macro-f1 or exact-match would",
        "task word: answer.max_tokens: expected 1 or more, got -1",
        "rows.jsonl:3: answer: 'z' is none of the task's labels",
        "rows.jsonl:4: not JSON: Expecting value: line 1 column 1 (char 0)",
        "rows.jsonl:5: text: expected string, which the prompt's {text} asks for",
        "task word: targets.quality: expected a share up to 1, got 3",
        "task word: colour: unknown key",
    ]
    assert all(line.startswith("  next: ") for line in lines[1::2])


def test_programs_get_every_mistake_too(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a hundred wrong lines people see twenty."""
    (file.parent / "rows.jsonl").write_text('{"text": "c", "answer": "z"}\n' * 100)
    assert run(["task", "check", str(file), "--json"]) == ExitCode.BAD_INPUT
    said = capsys.readouterr()
    shown = json.loads(said.out)
    jsonschema.Draft202012Validator(SCHEMA).validate(shown)
    assert (shown["task"], len(shown["mistakes"])) == (None, 100)
    assert said.err.count("error: ") == 20
    assert "100 mistakes" in said.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("rows.jsonl", "gone.jsonl"), "gone.jsonl: No such file"),
        (("[answer]", "[answer"), "not TOML"),
        (('user = "{text}"', 'user = "{text!r}"'), "prompt.user: {text}: only plain names"),
        (('file = "rows.jsonl"', 'file = "rows.jsonl"\nshown = 2'), "examples.shown: shows 2 of 2"),
        (("[examples]\nfile", "[exampels]\nfile"), "examples: expected table, got nothing; exampels is not a key"),
        (
            ('labels = ["x", "y"]', 'labels = ["x", "y"]\nlables = 1'),
            "answer.lables: unknown key; did you mean labels",
        ),
    ],
)
def test_one_mistake_is_one_error(
    file: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], said: str
) -> None:
    """And `check` finds one wherever reading the task would end with one."""
    file.write_text(GOOD.replace(*change))
    assert run(["task", "check", str(file)]) == ExitCode.BAD_INPUT
    assert said in capsys.readouterr().err
    with pytest.raises(Exception, match=r".+"):
        read_task(file)


def test_the_shipped_tasks_have_no_mistake(tmp_path: Path) -> None:
    """Copied to another place with what they name, as docs/tasks.md says one should begin."""
    import edgepack as package

    data = Path(package.__file__).parent / "data"
    shutil.copytree(data / "tasks", tmp_path / "tasks")
    shutil.copy(data / "demo-intents-heldout.jsonl", tmp_path)
    for name in task_names():
        assert run(["task", "check", str(tmp_path / "tasks" / f"{name}.toml"), "--quiet"]) == 0


def test_an_unknown_task_gets_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["task", "show", "sentimant"]) == ExitCode.BAD_INPUT
    assert "did you mean sentiment?" in capsys.readouterr().err


def test_the_shell_completes_names() -> None:
    """Where no task begins so, files."""
    shell = ShellComplete(edgepack, {}, "edgepack", "_EDGEPACK_COMPLETE")
    assert [item.value for item in shell.get_completions(["task", "show"], "s")] == [
        "sentiment", "smart-home-intents", "summary",
    ]  # fmt: skip
    assert [item.type for item in shell.get_completions(["eval", "x.gguf", "--task"], "./m")] == ["file"]
