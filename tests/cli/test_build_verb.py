"""`edgepack build`: its JSON, its words, and the exit codes of every way it ends."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import run as start

import jsonschema
import pytest

from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode
from edgepack.infra.library import load_catalogue
from tests.fakes.demo_copy import DEMO
from tests.fakes.gguf_raw import keys_of
from tests.fakes.hub import Refusal, serve_hub
from tests.fakes.matrices import seeded_sums, write_gguf_matrix
from tests.fakes.tiny_gguf import write_tiny_gguf

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "build.schema.json").read_text())
USUAL = ("build", "--profile", "rpi5", "--no-bench")


def test_the_json_of_a_build_follows_its_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    out = tmp_path / "out"
    assert run([*USUAL, "--model", "demo-1m", "--json", "--out", str(out)]) == ExitCode.DONE
    values = json.loads(capsys.readouterr().out)
    jsonschema.validate(values, SCHEMA)
    assert values["planned"]["name"] == "demo-1m-Q8_0-rpi5-8gb"
    assert values["built"]["bundle"] == str(out)
    assert values["built"]["verified"]["answer"]
    assert values["built"]["measured"] is None


def test_the_json_of_a_dry_run_follows_its_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It plans, and makes nothing."""
    monkeypatch.chdir(tmp_path)
    assert run([*USUAL, "--model", "demo-1m", "--dry-run", "--json"]) == ExitCode.DONE
    values = json.loads(capsys.readouterr().out)
    jsonschema.validate(values, SCHEMA)
    assert values["built"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert not list((tmp_path / "home").glob("store/*/*"))


def test_a_plan_with_a_matrix_computes_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That there will be one is all that the types depend on."""
    options = ("--imatrix", "auto", "--tensor-type", "ffn_down=q8_0", "--quant", "Q4_K_M", "--dry-run", "--json")
    assert run([*USUAL, "--model", "demo-1m", *options]) == ExitCode.DONE
    values = json.loads(capsys.readouterr().out)
    jsonschema.validate(values, SCHEMA)
    planned = values["planned"]
    assert (planned["imatrix"], planned["tensor_types"]) == ("auto", ["ffn_down=Q8_0"])
    assert not list((tmp_path / "home").glob("store/*/*"))


def test_a_build_with_a_matrix_is_another_build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its weights note the matrix; the same build again makes nothing."""
    path = tmp_path / "some.imatrix"
    write_gguf_matrix(path, seeded_sums({"blk.0.attn_q.weight": 256}))
    wanted = [*USUAL, "--model", "demo-1m", "--quant", "Q4_0", "--imatrix", str(path)]
    assert run([*wanted, "--out", str(tmp_path / "one")]) == ExitCode.DONE
    (weights,) = (tmp_path / "one" / "model").iterdir()
    assert keys_of(weights)["quantize.imatrix.file"] == "some.imatrix"
    capsys.readouterr()
    assert run([*wanted, "--out", str(tmp_path / "two")]) == ExitCode.DONE
    assert "stands in the store" in capsys.readouterr().err
    assert run([*USUAL, "--model", "demo-1m", "--quant", "Q4_0", "--out", str(tmp_path / "three")]) == ExitCode.DONE
    assert "converting demo-1m" in capsys.readouterr().err


def test_a_plan_refuses_types_that_need_a_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--quant", "Q4_0", "--tensor-type", "ffn_up=iq2_xs", "--dry-run")
    assert run([*USUAL, "--model", "demo-1m", *options]) == ExitCode.USAGE
    assert "IQ2_XS has too few bits" in capsys.readouterr().err
    assert run([*USUAL, "--model", "demo-1m", *options, "--imatrix", "auto"]) == ExitCode.DONE


@pytest.mark.parametrize("options", [("--imatrix", "auto"), ("--tensor-type", "attn_q=q8_0")])
def test_weights_that_are_ready_are_not_bent(
    options: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ready = write_tiny_gguf(tmp_path / "tiny.gguf")
    assert run([*USUAL, "--model", str(ready), *options]) == ExitCode.USAGE
    assert f"{options[0]}: tiny.gguf is quantized already" in capsys.readouterr().err


def test_the_words_say_what_was_chosen_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run([*USUAL, "--model", "demo-1m", "--out", str(out)]) == ExitCode.DONE
    shown = capsys.readouterr().out
    for words in ("demo-1m (1.0 M parameters)", "Q8_0", "not measured", "every byte", f"{out} ("):
        assert words in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "demo"], "Missing option '--profile'"),
        (["--profile", "rpi5", "--model", "demo", "--quant", "Q9"], "'Q9' is not one of"),
        (["--profile", "rpi5", "--model", "demo", "--ctx", "many"], "'many' is not a valid integer"),
        (
            ["--profile", "rpi5", "--model", "demo", "--device", "ssh://x", "--runtime", "none"],
            "--device ssh://x --runtime none: nothing to measure with",
        ),
        (["--profile", "rpi5", "--model", "demo", "--surprise"], "No such option"),
    ],
)
def test_wrong_words_end_with_2_and_two_lines(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["build", *arguments]) == ExitCode.USAGE
    what, hint = capsys.readouterr().err.splitlines()
    assert what.startswith("error: ")
    assert words in what
    assert hint.startswith("  next: ")


def test_without_a_model_pick_decides_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pick", "--profile", "rpi5", "--task", "extract", "--json"]) == ExitCode.DONE
    first = json.loads(capsys.readouterr().out)["ranked"][0]
    assert run(["build", "--profile", "rpi5", "--task", "extract", "--offline"]) == ExitCode.NETWORK
    error = capsys.readouterr().err
    assert f"picked {first['model']} {first['quantization']} for extract" in error
    assert "--offline" in error.split("error: ")[1]


def test_where_no_model_fits_nothing_is_built(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["build", "--profile", "rpi-zero-2w", "--ctx", "16384"]) == ExitCode.NOTHING_FITS
    assert "see why: edgepack pick --profile rpi-zero-2w --task chat" in capsys.readouterr().err


def test_the_licence_policy_counts_in_a_build_that_picks(capsys: pytest.CaptureFixture[str]) -> None:
    run(["build", "--profile", "rpi5", "--offline", "--licence-policy", "permissive"])
    picked = capsys.readouterr().err.split("picked ")[1].split()[0]
    model = load_catalogue().find(picked)
    assert model
    assert model.licence.spdx in ("Apache-2.0", "MIT")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_hub_that_refuses_ends_with_5(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {path.name: path.read_bytes() for path in DEMO.iterdir()}
    with serve_hub() as hub:
        hub.commit("someone/model", files)
        hub.refusals[""] = Refusal(status=status)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert run([*USUAL, "--model", "someone/model", "--out", str(tmp_path / "out")]) == ExitCode.NETWORK
    what, hint = (line for line in capsys.readouterr().err.splitlines() if not line.startswith("==>"))
    assert (what[:7], hint[:8]) == ("error: ", "  next: ")
    assert not (tmp_path / "out").exists()


def test_a_hub_that_delivers_is_built_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {path.name: path.read_bytes() for path in DEMO.iterdir()}
    with serve_hub() as hub:
        hub.commit("someone/model", files)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        arguments = [*USUAL, "--model", "someone/model", "--quiet", "--out", str(tmp_path / "out")]
        assert run(arguments) == ExitCode.DONE
    assert run([*arguments, "--offline"]) == ExitCode.DONE, "what was fetched serves offline"


def test_a_flipped_bit_in_what_was_built_ends_verify_with_7(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run([*USUAL, "--model", "demo-1m", "--quiet", "--out", str(out)]) == ExitCode.DONE
    (weights,) = (out / "model").glob("*.gguf")
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.chmod(0o644)
    weights.write_bytes(content)
    assert run(["verify", "--quiet", "--no-run", str(out)]) == ExitCode.VERIFICATION
    assert "changed: model/" in capsys.readouterr().err
    assert run([*USUAL, "--model", "demo-1m", "--quiet", "--out", str(out)]) == ExitCode.VERIFICATION
    shutil.rmtree(out)
    assert run([*USUAL, "--model", "demo-1m", "--quiet", "--out", str(out)]) == ExitCode.DONE


def test_a_standing_bundle_gets_rid_of_what_a_killed_maker_left_beside_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = [*USUAL, "--model", "demo-1m", "--quiet", "--out", str(out)]
    assert run(arguments) == ExitCode.DONE
    left = tmp_path / f".out.edgepack-partial-{'0' * 16}"
    (left / "old").mkdir(parents=True)
    assert run(arguments) == ExitCode.DONE
    assert not left.exists()


def subprocess(*arguments: str, environment: Mapping[str, str] | None = None, stdout: int = -1) -> tuple[int, str]:
    done = start(
        [sys.executable, "-m", "edgepack", *arguments], stdout=stdout, stderr=-1, text=True, check=False,
        env={**os.environ, **(environment or {})},
    )  # fmt: skip
    return done.returncode, done.stderr


def test_exit_codes_leave_the_process(tmp_path: Path) -> None:
    """What a Makefile sees: the code, and two lines."""
    code, err = subprocess(*USUAL, "--model", str(tmp_path), "--out", str(tmp_path / "out"))
    assert code == ExitCode.BAD_INPUT
    assert [line[:7] for line in err.splitlines()] == ["error: ", "  next:"]
    assert subprocess("build")[0] == ExitCode.USAGE


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_result_that_cannot_be_written_ends_with_8(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        code, err = subprocess("profile", "list", "--json", stdout=full.fileno())
    assert code == ExitCode.NO_SPACE
    assert [line[:7] for line in err.splitlines()] == ["error: ", "  next:"]
