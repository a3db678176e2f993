"""`edgepack convert`: its JSON, its words, where it writes, and that it replaces whole files alone."""

import json
from hashlib import sha256
from pathlib import Path

import jsonschema
import pytest

from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode
from tests.fakes.demo_copy import EMBEDDING, copy_demo, poke

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "convert.schema.json").read_text())


def test_the_json_follows_its_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    out = tmp_path / "x.gguf"
    assert run(["convert", "demo-1m", "--quant", "Q4_0", "--out", str(out), "--json"]) == ExitCode.DONE
    values = json.loads(capsys.readouterr().out)
    jsonschema.validate(values, SCHEMA)
    assert values["sha256"] == sha256(out.read_bytes()).hexdigest()
    assert (values["path"], values["size"]) == (str(out), out.stat().st_size)
    assert (values["quant"], values["architecture"], values["parameters"]) == ("Q4_0", "llama", 984320)


def test_a_directory_and_the_demo_of_the_same_name_give_the_same_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = copy_demo(tmp_path / "demo-1m")
    outs = [tmp_path / "one.gguf", tmp_path / "two.gguf"]
    for model, out in zip(("demo-1m", str(copy)), outs, strict=True):
        assert run(["convert", model, "--quant", "Q8_0", "--out", str(out), "--threads", "1"]) == ExitCode.DONE
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert "sha256" in capsys.readouterr().out


def test_an_error_leaves_what_stood_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = copy_demo(tmp_path / "model")
    poke(checkpoint, EMBEDDING, 5, 0x7FC0)
    out = tmp_path / "x.gguf"
    out.write_text("before")
    assert run(["convert", str(checkpoint), "--quant", "Q8_0", "--out", str(out)]) == ExitCode.BAD_INPUT
    assert "holds NaN" in capsys.readouterr().err
    assert out.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "home") == ["model", "x.gguf"]


@pytest.mark.parametrize("out", ["", "missing/x.gguf"])
def test_an_out_that_is_no_file_in_a_directory_ends_with_2(
    out: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["convert", "demo-1m", "--quant", "Q8_0", "--out", str(tmp_path / out)]) == ExitCode.USAGE
    assert "not a file in a directory that exists" in capsys.readouterr().err


def test_what_is_no_model_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "x.gguf")
    assert run(["convert", "no such model", "--quant", "Q8_0", "--out", out]) == ExitCode.USAGE
    assert len(capsys.readouterr().err.splitlines()) == 2
