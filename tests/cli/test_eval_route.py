"""`edgepack eval --route` from the outside: two models and a curve, an address in place of the larger one."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from edgepack.cli.eval import command
from edgepack.cli.main import run
from edgepack.domain.address import KEY
from edgepack.domain.errors import ExitCode
from edgepack.infra.store import home
from tests.fakes.chat_server import chat_server
from tests.fakes.tiny_gguf import write_tiny_gguf

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schemas/eval.schema.json").read_text())
TASK = """
title = "A word"
kind = "classify"
metric = "accuracy"
[prompt]
system = "Say x or y."
user = "{text}"
[answer]
labels = ["x", "y"]
[examples]
file = "rows.jsonl"
"""
WORDS = [first + second for first in "abcdef" for second in "abcd"]
ROWS = "".join(f'{{"text": "{word}", "answer": "{"xy"[place % 2]}"}}\n' for place, word in enumerate(WORDS))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("small") / "small.gguf")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("large") / "large.gguf", seed=5)


@pytest.fixture
def task(tmp_path: Path) -> Path:
    (tmp_path / "rows.jsonl").write_text(ROWS)
    (tmp_path / "word.toml").write_text(TASK)
    return tmp_path / "word.toml"


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


def test_two_models_have_a_curve(small: Path, large: Path, task: Path, tmp_path: Path) -> None:
    """For people a table with the choice marked; as JSON, and in the file, the whole curve by the schema."""
    words = ["--route", f"{small},{large}", "--task", task]
    out = tmp_path / "route.json"
    done = call(*words, "--json", "--out", out)
    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    jsonschema.Draft202012Validator(SCHEMA).validate(shown)
    record = shown["routing"]
    assert json.loads(out.read_text()) == record
    assert record["threshold"] == record["curve"][record["chosen"]]["threshold"]
    assert record["curve"][0]["quality"] == pytest.approx(record["small"]["quality"])
    assert record["curve"][-1]["quality"] == pytest.approx(record["large"]["quality"])
    assert sum(fold["examples"] for fold in record["cross_fitted"]["folds"]) == len(WORDS)
    text = call(*words).stdout
    assert "← chosen" in text
    assert "AUROC" in text
    assert "small alone" in text
    cheap = json.loads(call(*words, "--max-cost", "0.9", "--json").stdout)["routing"]
    jsonschema.Draft202012Validator(SCHEMA).validate({**shown, "routing": cheap})
    assert (cheap["max_cost"], cheap["tolerance"]) == (0.9, None)
    assert cheap["chosen"] == 0 or cheap["curve"][cheap["chosen"]]["cost"] <= 0.9


def test_an_address_is_asked_like_a_server(
    small: Path, task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Roles, limits, the model's name and the key from the environment; what it said is not asked again."""
    monkeypatch.setenv(KEY, "a secret")
    with chat_server(right) as server:
        words = ["--route", f"{small},{server.url}#larger", "--task", task, "--json"]
        done = call(*words, "--out", tmp_path / "route.json")
        assert done.exit_code == 0, done.output
        record = json.loads(done.stdout)["routing"]
        jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(done.stdout))
        assert (record["large"]["address"], record["large"]["model"]) == (server.url, "larger")
        assert record["large"]["quality"] == 1.0
        first = server.asked[0]
        assert [turn["role"] for turn in messages(first)] == ["system", "user"]
        assert (first["model"], first["temperature"]) == ("larger", 0)
        assert first["grammar"] == 'root ::= "x" | "y"'
        assert server.headers[0]["Authorization"] == "Bearer a secret"
        assert call(*words).exit_code == 0
        assert len(server.asked) == len(WORDS)
    written = [path for path in (*tmp_path.rglob("*"), *home().rglob("*")) if path.is_file()]
    assert written
    assert not any(b"a secret" in path.read_bytes() for path in written)


def messages(asked: Mapping[str, object]) -> list[Any]:
    found = asked["messages"]
    assert isinstance(found, list)
    return found


def right(asked: Mapping[str, object]) -> str:
    return "xy"[WORDS.index(messages(asked)[-1]["content"]) % 2]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [(401, b"who?", "401: who?"), (500, b"", "500"), (200, b"<html>", "no chat completion"), (200, b"[]", "no chat")],
)
def test_an_address_that_answers_something_else_is_a_network_error(
    small: Path, task: Path, capsys: pytest.CaptureFixture[str], status: int, body: bytes, said: str
) -> None:
    with chat_server(right) as server:
        server.status, server.body = status, body
        assert run(["eval", "--route", f"{small},{server.url}", "--task", str(task)]) == ExitCode.NETWORK
    err = capsys.readouterr().err
    assert said in err
    assert (KEY in err) == (status == 401)


def test_an_address_where_nobody_is_is_a_network_error(
    small: Path, task: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["eval", "--route", f"{small},http://127.0.0.1:9/v1", "--task", str(task)]) == ExitCode.NETWORK
    assert "127.0.0.1:9" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--route", "SMALL"], ExitCode.USAGE, "expected SMALL.gguf,LARGE"),
        (["--route", "http://x/v1,SMALL"], ExitCode.USAGE, "expected SMALL.gguf,LARGE"),
        (["--route", "SMALL,http://x"], ExitCode.USAGE, "not the address of a model"),
        (["--route", "SMALL,http://me:secret@x/v1"], ExitCode.USAGE, "a password in it"),
        (["--route", "SMALL,SMALL"], ExitCode.USAGE, "are one file"),
        (["SMALL", "--route", "SMALL,LARGE"], ExitCode.USAGE, "expected WEIGHTS, or --route"),
        (["SMALL", "--tolerance", "0.1"], ExitCode.USAGE, "nothing is routed"),
        (["SMALL", "--max-cost", "0.4"], ExitCode.USAGE, "--max-cost: nothing is routed"),
        (["--route", "SMALL,LARGE", "--max-cost", "0.4", "--tolerance", "0"], ExitCode.USAGE, "two aims"),
        (["--route", "SMALL,LARGE", "--limit", "5"], ExitCode.BAD_INPUT, "wants 20 or more"),
    ],
)
def test_words_that_make_no_sense_say_so_in_two_lines(
    small: Path,
    large: Path,
    task: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: ExitCode,
    said: str,
) -> None:
    meant = [word.replace("SMALL", str(small)).replace("LARGE", str(large)) for word in words]
    assert run(["eval", *meant, "--task", str(task)]) == code
    err = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("==>")]
    assert said in "\n".join(err)
    assert "secret" not in "\n".join(err)
    assert len(err) == 2
