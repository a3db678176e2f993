"""`edgepack bench` from the outside: words read, tables and JSON shown, exit codes kept."""

import json
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result

from edgepack.cli.bench import command
from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode
from edgepack.domain.measurement_json import parse_measurement
from tests.fakes.tiny_gguf import write_tiny_gguf

SCHEMA = Path(__file__).parents[2] / "docs/schemas/bench.schema.json"
QUICK = ["--threads", "1", "-p", "16", "-n", "8", "-r", "2"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not wait until whoever else uses this machine is done."""
    from edgepack.stages import bench

    monkeypatch.setattr(bench, "USUAL_PATIENCE", bench.Patience(quiet_seconds=0, look_seconds=0.01, attempts=1))


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


def test_people_get_a_table(tiny: Path) -> None:
    """A line a test with its threads and samples, and whether it is stable."""
    done = call(tiny, *QUICK)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith("tiny, F16, 0.1 M parameters, 0.3 MB: measured, ")
    assert lines[0].endswith(("stable", "UNSTABLE"))
    rows = {line.split()[0]: line.split() for line in lines if line.startswith(("pp", "tg"))}
    assert rows["pp16"][1] == rows["tg8"][1] == "1"
    assert float(rows["tg8"][2].replace(",", "")) > 0
    assert any(line.strip().startswith("runtime  llama-cpp-python") for line in lines)


def test_the_json_keeps_its_schema(tiny: Path, tmp_path: Path) -> None:
    """stdout is one object of the documented schema, and the measurement in it is the one written."""
    out = tmp_path / "seen.json"
    done = call(tiny, *QUICK, "--json", "--out", out)
    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(shown, schema, cls=jsonschema.Draft202012Validator)
    assert shown["schema"] == "edgepack.bench/1"
    assert json.loads(out.read_text()) == shown["measurement"]
    assert parse_measurement(shown["measurement"]).threads == 1


def test_the_schema_refuses_what_is_not_there(tiny: Path) -> None:
    """A measurement without its samples, or with a key nobody documented, does not pass."""
    shown = json.loads(call(tiny, *QUICK, "--json").stdout)
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    assert validator.is_valid(shown)
    shown["measurement"]["colour"] = "red"
    assert not validator.is_valid(shown)
    del shown["measurement"]["colour"]
    shown["measurement"]["series"][0]["samples"] = []
    assert not validator.is_valid(shown)


def test_nothing_stays_beside_the_file(tiny: Path, tmp_path: Path) -> None:
    """--out leaves one file, and replaces the one before."""
    out = tmp_path / "seen.json"
    out.write_text("old")
    assert call(tiny, *QUICK, "--out", out).exit_code == 0
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["seen.json"]
    assert json.loads(out.read_text())["schema"] == "edgepack.measurement/1"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--threads", "none"], ExitCode.USAGE, "numbers from 1 to 512"),
        (["--threads", "0"], ExitCode.USAGE, "numbers from 1 to 512"),
        (["-p", "0", "-n", "0"], ExitCode.USAGE, "nothing to measure"),
        (["-r", "0"], ExitCode.USAGE, "0 is not in the range"),
        (["--device", "telnet://pi"], ExitCode.USAGE, "no such kind of device"),
        (["--runtime", "/"], ExitCode.BAD_INPUT, "neither llama nor llama-bench is in it"),
        (["--out", "/nowhere/at/all.json"], ExitCode.USAGE, "no file can be written there"),
        (["--out", "/tmp"], ExitCode.USAGE, "no file can be written there"),
    ],
)
def test_words_that_make_no_sense_are_usage_errors(
    tiny: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: ExitCode, said: str
) -> None:
    """Exit code 2 before anything is loaded, and what was wrong."""
    assert run(["bench", str(tiny), *words]) == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"", b"just a text", b"GGUF\x03\x00\x00\x00\xff\xff\xff\xff"])
def test_what_is_no_gguf_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    """Missing, empty, text or a lying header: exit code 4, two lines, nothing written."""
    path = tmp_path / "x.gguf"
    if content is not None:
        path.write_bytes(content)
    assert run(["bench", str(path), "--out", str(tmp_path / "seen.json")]) == ExitCode.BAD_INPUT
    complaint = [line for line in capsys.readouterr().err.splitlines() if "==>" not in line]
    assert len(complaint) == 2
    assert "x.gguf" in complaint[0]
    assert not (tmp_path / "seen.json").exists()


def test_synthetic_weights_are_measured_and_named_as_such(tmp_path: Path) -> None:
    """Nothing is downloaded; a directory needs its config.json only."""
    (tmp_path / "little").mkdir()
    (tmp_path / "little" / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 400, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 256, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
    }))  # fmt: skip
    asked = f"{tmp_path / 'little'}:Q8_0"
    assert call("--synthetic", asked, *QUICK).stdout.startswith("little (synthetic), Q8_0, 0.1 M parameters, ")
    shown = json.loads(call("--synthetic", asked, *QUICK, "--json").stdout)
    jsonschema.validate(shown, json.loads(SCHEMA.read_text()), cls=jsonschema.Draft202012Validator)
    assert (shown["weights"], shown["measurement"]["weights"]["synthetic"]) == (asked, True)
    assert parse_measurement(shown["measurement"]).weights.synthetic


@pytest.mark.parametrize("both", [True, False])
def test_weights_or_synthetic_one_of_the_two(tiny: Path, both: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", *([str(tiny), "--synthetic", "qwen2.5-0.5b:Q4_0"] if both else [])]) == ExitCode.USAGE
    assert "expected WEIGHTS or --synthetic" in capsys.readouterr().err
