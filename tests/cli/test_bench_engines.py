"""`edgepack bench --engine`: the same blocks under onnxruntime, or both engines in turn, on the trained demo."""

import json
from pathlib import Path

import jsonschema
import pytest

from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode
from edgepack.domain.measurement_json import parse_measurement
from edgepack.stages import bench, engines

SCHEMA = Path(__file__).parents[2] / "docs/schemas/bench.schema.json"
QUICK = ["--threads", "1", "-p", "16", "-n", "8", "-r", "2"]


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "demo.gguf"
    assert run(["convert", "demo-1m", "--quant", "Q4_0", "--out", str(path), "--quiet"]) == 0
    return path


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not wait until whoever else uses this machine is done."""
    for stage in (bench, engines):
        hasty = stage.Patience(quiet_seconds=0, look_seconds=0.01, attempts=1)
        monkeypatch.setattr(stage, "USUAL_PATIENCE", hasty)


def test_both_engines_run_the_same_workload(gguf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As many samples of each, as many tokens, on as many threads; what is written is of the one that is kept."""
    out = tmp_path / "kept.json"
    words = ["bench", str(gguf), *QUICK, "--engine", "both", "--out", str(out)]
    assert run([*words, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    jsonschema.validate(shown, json.loads(SCHEMA.read_text()), cls=jsonschema.Draft202012Validator)
    ours, theirs = (parse_measurement(shown["engines"][name], subject=name) for name in ("llamacpp", "onnx"))
    for one, other in zip(ours.series, theirs.series, strict=True):
        assert (one.name, one.threads, len(one.samples)) == (other.name, other.threads, len(other.samples))
        assert min(*one.rates, *other.rates) > 0
    assert (ours.runtime.name, theirs.runtime.name) == ("llama-cpp-python", "onnxruntime")
    assert ours.weights.sha256 != theirs.weights.sha256
    assert ours.weights.name == theirs.weights.name
    assert shown["kept"] in shown["engines"]
    assert shown["cosine"] > 0.999
    assert json.loads(out.read_text()) == shown["measurement"] == shown["engines"][shown["kept"]]
    assert run(words) == 0
    said = capsys.readouterr()
    assert f"kept: {shown['kept']}" in said.out or "kept: " in said.out
    assert "as ONNX stands in the store" in said.err


def test_onnxruntime_alone_is_measured_by_the_same_rules(gguf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", str(gguf), *QUICK[2:], "--threads", "1,2", "--engine", "onnx", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    jsonschema.validate(shown, json.loads(SCHEMA.read_text()), cls=jsonschema.Draft202012Validator)
    found = parse_measurement(shown["measurement"], subject="onnx")
    assert (found.runtime.name, found.weights.quant) == ("onnxruntime", "Q4_0")
    assert {series.threads for series in found.sweep} == {1, 2}
    assert found.conditions.peak_rss


@pytest.mark.parametrize(
    "words",
    [
        ["--engine", "both", "--threads", "1,2"], ["--engine", "onnx", "--device", "ssh://pi"],
        ["--engine", "both", "--profile", "rpi5"], ["--engine", "both", "--sustained", "1"],
        ["--engine", "torch"],
    ],
)  # fmt: skip
def test_what_onnxruntime_cannot_do_is_refused_before_anything_runs(words: list[str], gguf: Path) -> None:
    assert run(["bench", str(gguf), *words]) == ExitCode.USAGE


def test_blocks_that_onnxruntime_does_not_have_end_with_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "k.gguf"
    assert run(["convert", "demo-5m", "--quant", "Q4_K_M", "--out", str(path), "--quiet"]) == 0
    assert run(["bench", str(path), *QUICK, "--engine", "both", "--quiet"]) == ExitCode.BAD_INPUT
    assert "Q4_0, Q8_0, Q6_K" in capsys.readouterr().err
