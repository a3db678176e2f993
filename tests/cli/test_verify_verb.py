"""`edgepack verify`: its exit codes, its two lines, its words and its JSON."""

import json
from pathlib import Path

import jsonschema
import pytest

from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode
from tests.formats.bundles import FACTS, make_bundle
from tests.formats.tiny_model import write_tiny_gguf

SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "verify.schema.json"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path, weights=write_tiny_gguf(tmp_path / "tiny.gguf")).path


def test_a_good_bundle_ends_with_0_and_says_what_it_is(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(bundle)]) == ExitCode.DONE
    shown = capsys.readouterr()
    assert f"{FACTS.name}: every byte is right" in shown.out
    assert "checked   11 files" in shown.out
    assert f"prompt    {FACTS.sample_prompt}" in shown.out
    assert "answer    " in shown.out
    assert "checking every byte" in shown.err


def test_quiet_says_nothing_about_a_good_bundle(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "--quiet", str(bundle)]) == ExitCode.DONE
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


@pytest.mark.parametrize("options", [[], ["--no-run"]])
def test_the_json_follows_its_schema(bundle: Path, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "--json", *options, str(bundle)]) == ExitCode.DONE
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    values = json.loads(capsys.readouterr().out)
    jsonschema.validate(values, schema)
    assert (values["answer"] is None) == bool(options)


def test_a_flipped_bit_ends_with_7_and_two_lines(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = bytearray((bundle / "run").read_bytes())
    content[100] ^= 4
    (bundle / "run").write_bytes(content)
    assert run(["verify", "--quiet", str(bundle)]) == ExitCode.VERIFICATION
    shown = capsys.readouterr()
    assert shown.out == ""
    what, hint = shown.err.splitlines()
    assert what == "error: the bundle is not what it says: changed: run"
    assert hint.startswith("  next: ")


def test_what_is_no_bundle_ends_with_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x").write_text("hello")
    assert run(["verify", str(tmp_path / "x")]) == ExitCode.BAD_INPUT
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_no_bundle_named_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify"]) == ExitCode.USAGE
