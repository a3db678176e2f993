"""edgepack model: what it prints for people and for programs, and how it refuses."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from edgepack.cli.main import run
from edgepack.domain.catalogue import CatalogueModel
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
    assert "24 layers, hidden 896, ffn 4864, 14 heads, 2 kv heads, vocabulary 151936, tied embeddings" in text
    assert re.search(r"qwen2\.5 \(table 10, instruct\): .*GSM8K 49\.6.*\[\d\]", text)
    assert "from memory, unverified" in text.split("Sources")[1]


def test_show_gives_what_a_config_has_beside_its_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "show", "falcon-h1-1.5b-instruct")
    assert re.search(r"config +.*mamba_d_state 256.*\[\d\]", text)
    assert re.search(r"shape +.*ffn 4608  \[\d\]", text)


@pytest.mark.parametrize("model", load_catalogue().models, ids=lambda model: model.id)
def test_show_names_the_source_of_every_figure(capsys: pytest.CaptureFixture[str], model: CatalogueModel) -> None:
    """For people as footnotes, for programs beside the figure: every text that the model's file gives as a source."""
    shown, sources = printed(capsys, "show", model.id).split("\nSources\n")
    expected = {
        model.parameters_source, model.context_source, model.released_source, model.licence.source,
        model.licence.gated_source, model.languages.source, *model.config.sources.values(),
        *(score.harness.source for score in model.scores),
    }  # fmt: skip
    assert {line.split("] ", 1)[1] for line in sources.splitlines()} == expected
    unsourced = [line.split()[0] for line in shown.splitlines()[2:] if line and not line.endswith("]")]
    assert set(unsourced) <= {"kind", "architecture", "note", model.licence.url}
    data = json.loads(printed(capsys, "show", model.id, "--json"))["model"]
    assert data["config"]["sources"].keys() == data["config"]["values"].keys()
    assert all(score["source"] for score in data["scores"])


@pytest.mark.parametrize("arguments", [["list"], ["show", "exaone-4.0-1.2b"], ["show", "llama-3.2-1b-instruct"]])
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
