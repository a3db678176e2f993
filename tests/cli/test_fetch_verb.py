"""edgepack fetch: what it prints for people and for programs, and the exit codes of its endings."""

import json
import os
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import jsonschema
import pytest

from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode
from tests.fakes.hub import Refusal, serve_hub

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schemas/fetch.schema.json").read_text(encoding="utf-8"))
FILES = {"config.json": b"{}", "tokenizer.json": b"{}", "model.safetensors": b"weights"}


def test_json_is_one_object_of_the_documented_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fetch", "demo-1m", "--json"]) == ExitCode.DONE
    answer = json.loads(capsys.readouterr().out)
    jsonschema.validate(answer, SCHEMA)
    assert answer["checkpoint"]["origin"] == "demo:demo-1m"
    assert answer["checkpoint"]["size"] == sum(file["size"] for file in answer["checkpoint"]["files"])


def test_people_see_place_commit_files_and_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fetch", "demo-1m"]) == ExitCode.DONE
    text = capsys.readouterr().out
    assert "demo-1m\n" in text.splitlines(keepends=True)[0]
    assert "model.safetensors" in text
    assert " bytes in " in text


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fetch", "demo-1m", "--quiet"]) == ExitCode.DONE
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nonsense"], ExitCode.USAGE, "no id of the catalogue"),
        (["demo", "--revision", "v1"], ExitCode.USAGE, "only a hub repository has revisions"),
        (["./gone"], ExitCode.BAD_INPUT, "no such file or directory"),
        (["a/b", "--offline"], ExitCode.NETWORK, "this is offline"),
    ],
)
def test_what_cannot_be_is_refused_in_two_lines(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: ExitCode, says: str
) -> None:
    assert run(["fetch", *arguments]) == code
    first, second = capsys.readouterr().err.splitlines()
    assert says in first
    assert "next:" in second


def test_a_repository_is_fetched_and_then_served_offline(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for variable in ("HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    huggingface_hub.close_session()
    with serve_hub() as hub:
        commit = hub.commit("maker/model", FILES, branch="v1")
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert run(["fetch", "maker/model", "--revision", "v1", "--json"]) == ExitCode.DONE
        online = capsys.readouterr()
        hub.refusals[""] = Refusal(status=403, code="GatedRepo")
        assert run(["fetch", "maker/model@main"]) == ExitCode.NETWORK
        assert f"accept the terms at {hub.url}/maker/model" in capsys.readouterr().err
    answer = json.loads(online.out)
    jsonschema.validate(answer, SCHEMA)
    assert answer["checkpoint"]["revision"] == commit
    assert answer["checkpoint"]["directory"].startswith(str(tmp_path / "home"))
    assert "fetching maker/model" in online.err
    assert run(["fetch", "maker/model@v1", "--offline", "--json"]) == ExitCode.DONE
    assert capsys.readouterr().out == online.out


def test_what_needs_no_hub_does_not_load_its_client() -> None:
    """Its import costs more than a whole call; a build from the store must not pay for it."""
    code = (
        "import sys; from edgepack.cli.main import run; run(['fetch', 'demo-1m', '--quiet']);"
        "run(['fetch', 'a/b', '--offline', '--quiet']); sys.exit('huggingface_hub' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=dict(os.environ))
