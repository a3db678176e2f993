"""`edgepack tune`: its record by its schema, its words, and what it refuses."""

import json
from pathlib import Path

import jsonschema
import pytest

from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode
from edgepack.domain.tuned import parse_chosen
from tests.fakes.llama_bench import write_llama_bench
from tests.fakes.tiny_gguf import write_tiny_gguf

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "tuning.schema.json").read_text())


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """And a runtime in runtime/ beside them."""
    monkeypatch.setenv("EDGEPACK_HOME", str(tmp_path / "home"))
    write_llama_bench(tmp_path / "runtime")
    return write_tiny_gguf(tmp_path / "tiny.gguf")


def tuned(weights: Path, *options: str) -> int:
    return run(["tune", str(weights), "--runtime", str(weights.parent / "runtime"), "--budget", "30", *options])


def test_the_record_keeps_its_schema_and_finds_the_quick_flags(
    weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = weights.parent / "tuning.json"
    assert tuned(weights, "--json", "--out", str(out)) == ExitCode.DONE
    record = json.loads(capsys.readouterr().out)
    jsonschema.validate(record, SCHEMA)
    assert json.loads(out.read_text()) == record
    assert record["defaults"]["threads"] == 2
    if len(record["looks"]) > 1:  # on one core there is nothing to try
        assert record["flags"]["threads"] == 1
        assert record["final"]["phase_ratios"]["tg"] == pytest.approx(2.0)
        assert len(record["final"]["pairs"]) >= 5
    chosen = parse_chosen(out.read_text(), subject="tuning.json")
    assert chosen.flags.threads == record["flags"]["threads"]


def test_a_refused_priority_is_said_and_the_search_goes_on(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tuned(weights, "--allow-priority", "2") == ExitCode.DONE
    assert "refused: priority 2: local: llama-bench ended with 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--device", "nowhere"], ExitCode.USAGE),
        (["--out", "/no/such/directory/t.json"], ExitCode.USAGE),
        (["--runtime", "/"], ExitCode.BAD_INPUT),
    ],
)
def test_what_cannot_be_is_said_at_once(weights: Path, options: list[str], code: ExitCode) -> None:
    assert tuned(weights, *options) == code


def test_without_a_runtime_one_is_built_for_what_the_device_is(
    weights: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it cannot be, because nothing is fetched, that is what is said."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert run(["tune", str(weights), "--budget", "30"]) == ExitCode.NETWORK
    assert "pip cannot fetch ziglang" in capsys.readouterr().err


def test_a_bundle_starts_with_the_flags_and_says_what_they_gain(weights: Path) -> None:
    record, bundle = weights.parent / "tuning.json", weights.parent / "bundle"
    assert tuned(weights, "--quiet", "--out", str(record)) == ExitCode.DONE
    values = json.loads(record.read_text())
    values["flags"] |= {"threads": 1, "threads_batch": 2, "poll": 0}
    values["summary"] = "1.250 times the speed"
    record.write_text(json.dumps(values))
    build = ["build", "--profile", "host", "--model", str(weights), "--no-bench", "--out", str(bundle), "--quiet"]
    assert run([*build, "--flags", str(record)]) == ExitCode.DONE
    script = (bundle / "run").read_text()
    assert "\n# Flags found by edgepack tune: 1.250 times the speed.\n" in script
    assert "--poll 0 --poll-batch 0" in script
    assert json.loads((bundle / "manifest.json").read_text())["flags"]["threads_batch"] == 2
    assert (bundle / "evidence" / "tuning.json").read_text() == record.read_text()
    assert run(["verify", str(bundle), "--no-run"]) == ExitCode.DONE


@pytest.mark.parametrize("text", ["", "[]", '{"schema": "edgepack.tuning/2"}'])
def test_a_file_that_is_no_record_is_refused(weights: Path, text: str) -> None:
    record = weights.parent / "bad.json"
    record.write_text(text)
    build = ["build", "--profile", "host", "--model", str(weights), "--flags", str(record), "--no-bench"]
    assert run(build) == ExitCode.BAD_INPUT
