"""`edgepack report` from the outside: where the page is, its JSON, its exit codes."""

import json
from hashlib import sha256
from pathlib import Path

import jsonschema
import pytest

from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode
from tests.fakes.reports import evidence, write_evaluations
from tests.formats.bundles import FACTS, report_bundle

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schemas/report.schema.json").read_text())


def test_the_page_is_named_after_the_bundle_and_lies_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    bundle = report_bundle(tmp_path / "made", evidence())
    assert run(["report", str(bundle)]) == ExitCode.DONE
    page = tmp_path / f"{bundle.name}.report.html"
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>\n")
    shown = capsys.readouterr()
    assert f"{page.name}: " in shown.out
    assert "manifest, measurement, trials, routing, gates, evaluation" in shown.out
    assert "checking every byte" in shown.err


def test_the_json_follows_its_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    out = tmp_path / "page.html"
    for sources, name in (([report_bundle(tmp_path, {})], FACTS.name), (write_evaluations(tmp_path), None)):
        assert run(["report", *map(str, sources), "--out", str(out), "--json"]) == ExitCode.DONE
        values = json.loads(capsys.readouterr().out)
        jsonschema.Draft202012Validator(SCHEMA).validate(values)
        assert (values["bundle"], values["sha256"]) == (name, sha256(out.read_bytes()).hexdigest())
    assert values["records"] == ["evaluation"] * 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], ExitCode.USAGE, "Missing argument"),
        (["gone"], ExitCode.BAD_INPUT, "gone: cannot be opened"),
        (["gone.json"], ExitCode.BAD_INPUT, "gone.json: No such file"),
        (["gone", "--out", "/no/such/place.html"], ExitCode.USAGE, "no file can be written there"),
    ],
)
def test_words_that_make_no_sense_say_so_in_two_lines(
    words: list[str], code: ExitCode, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["report", *words]) == code
    err = capsys.readouterr().err.splitlines()
    assert said in err[0]
    assert len(err) == 2


def test_a_damaged_bundle_ends_with_7_and_leaves_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = report_bundle(tmp_path, evidence())
    (bundle / "run").write_text("#!/bin/sh\n")
    out = tmp_path / "page.html"
    assert run(["report", str(bundle), "--out", str(out), "--quiet"]) == ExitCode.VERIFICATION
    assert "changed: run" in capsys.readouterr().err
    assert not out.exists()
