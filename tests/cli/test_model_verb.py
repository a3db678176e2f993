"""edgepack model: what it prints for people and for programs, and how it refuses."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode
from edgepack.infra.library import load_catalogue

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schemas/model.schema.json").read_text(encoding="utf-8"))


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a call that must succeed prints."""
    assert run(["model", *arguments]) == ExitCode.DONE
    return capsys.readouterr().out


def test_list_goes_from_the_smallest_up(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "list").splitlines()[1:]
    assert [line.split()[0] for line in lines] == [model.id for model in load_catalogue().models]
    assert re.search(r"llama-3\.2-1b-instruct +1\.24 B +131072 .*\(gated\)", "\n".join(lines))


def test_show_gives_shape_licence_scores_and_their_sources(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "show", "Qwen/Qwen2.5-0.5B-Instruct")
    assert "0.49 B (494,032,768)" in text
    assert "24 layers, hidden 896, ffn 4864, 14 heads, 2 kv heads of 64" in text
    assert re.search(r"Qwen2\.5 TR Table 10, instruct: .*GSM8K 49\.6.*\[\d\]", text)
    assert "from memory, unverified" in text.split("Sources")[1]


@pytest.mark.parametrize("arguments", [["list"], ["show", "qwen3-0.6b"], ["show", "llama-3.2-1b-instruct"]])
def test_json_is_one_object_of_the_documented_schema(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    jsonschema.validate(json.loads(printed(capsys, *arguments, "--json")), SCHEMA)


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "list", "--quiet") == ""


def test_an_unknown_model_is_refused_in_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["model", "show", "qwen2.5-0.5b"]) == ExitCode.BAD_INPUT
    first, second = capsys.readouterr().err.splitlines()
    assert "no model 'qwen2.5-0.5b'" in first
    assert "did you mean qwen2.5-0.5b-instruct" in second
