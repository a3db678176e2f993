"""`edgepack deploy`: its exit codes, its two lines and its JSON, on this machine."""

import json
from pathlib import Path

import jsonschema
import pytest

from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode
from tests.fakes.deployable import SILENT, make_deployable
from tests.formats.bundles import make_bundle

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "deploy.schema.json").read_text())


def shown_json(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    values: dict[str, object] = json.loads(capsys.readouterr().out)
    jsonschema.validate(values, SCHEMA)
    return values


def test_a_deploy_and_a_roll_back_follow_the_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = ["--device", "local", "--to", str(tmp_path / "to"), "--json"]
    assert run(["deploy", str(make_deployable(tmp_path / "one")), *there]) == ExitCode.DONE
    first = shown_json(capsys)
    assert first["selftest"] == "selftest: all right"
    assert run(["deploy", str(make_deployable(tmp_path / "two", seed=2)), "--no-selftest", *there]) == ExitCode.DONE
    second = shown_json(capsys)
    assert (second["previous"], second["selftest"]) == (first["release"], None)
    assert run(["deploy", "--rollback", *there]) == ExitCode.DONE
    assert shown_json(capsys)["release"] == first["release"]


def test_people_read_where_it_serves_and_how_to_go_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = ["--device", "local", "--to", str(tmp_path / "to")]
    assert run(["deploy", str(make_deployable(tmp_path / "one")), *there]) == ExitCode.DONE
    assert f"local: {tmp_path}/to/current is 000001-" in capsys.readouterr().out
    assert run(["deploy", str(make_deployable(tmp_path / "two", seed=2)), *there]) == ExitCode.DONE
    assert "edgepack deploy --rollback goes back to it" in capsys.readouterr().out


def test_a_failing_self_test_ends_with_7(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = make_deployable(tmp_path, runtime=SILENT)
    assert run(["deploy", str(bundle), "--device", "local", "--quiet"]) == ExitCode.VERIFICATION
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_changed_bundle_ends_with_7_before_the_device_is_asked(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path).path
    (bundle / "run").write_text("changed")
    assert run(["deploy", str(bundle), "--device", "ssh://nowhere.invalid"]) == ExitCode.VERIFICATION


@pytest.mark.parametrize(
    "words",
    [
        ["--device", "local"],
        ["x", "--rollback", "--device", "local"],
        ["x"],
        ["x", "--device", "local", "--to", "relative"],
        ["x", "--device", "telnet://x"],
    ],
)
def test_words_that_make_no_sense_end_with_2(words: list[str]) -> None:
    assert run(["deploy", *words]) == ExitCode.USAGE


def test_without_a_release_before_there_is_no_roll_back(tmp_path: Path) -> None:
    words = ["deploy", "--rollback", "--device", "local", "--to", str(tmp_path / "to")]
    assert run(words) == ExitCode.DEVICE
