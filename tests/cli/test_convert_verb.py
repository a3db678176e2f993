"""`edgepack convert`: its JSON, its words, where it writes, and that it replaces whole files alone."""

import json
from hashlib import sha256
from pathlib import Path

import jsonschema
import pytest

from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode
from tests.fakes.checkpoints import make_checkpoint
from tests.fakes.demo_copy import DEMO, EMBEDDING, copy_demo, poke
from tests.fakes.gguf_raw import RawGguf, keys_of
from tests.fakes.matrices import seeded_sums, write_gguf_matrix
from tests.oracle.onnx_encoders import RECIPES
from tests.oracle.tuned import AWKWARD, write_piece

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


# --- matrices and types ---


def matrix(tmp_path: Path) -> Path:
    """One for the demo model's layers of attention."""
    path = tmp_path / "demo.imatrix"
    write_gguf_matrix(
        path, seeded_sums({f"blk.{layer}.attn_{part}.weight": 256 for layer in (0, 1) for part in "qkv"})
    )
    return path


def converted(tmp_path: Path, *options: str) -> tuple[int, Path]:
    out = tmp_path / "out.gguf"
    return run(["convert", "demo-1m", "--out", str(out), *options]), out


def test_the_json_says_what_bent_the_types(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = (
        "--imatrix",
        str(matrix(tmp_path)),
        "--tensor-type",
        "ATTN_V=q8_0",
        "--tensor-type",
        "ffn=q6_k",
        "--json",
    )
    code, out = converted(tmp_path, "--quant", "Q4_K_M", *options)
    assert code == ExitCode.DONE
    values = json.loads(capsys.readouterr().out)
    jsonschema.validate(values, SCHEMA)
    assert (values["imatrix"], values["tensor_types"]) == ("demo.imatrix", ["attn_v=Q8_0", "ffn=Q6_K"])
    keys = keys_of(out)
    assert (keys["quantize.imatrix.file"], keys["quantize.imatrix.entries_count"]) == ("demo.imatrix", 6)
    types = {name: type.name for name, type, *_ in RawGguf(out.read_bytes()).tensors}
    assert (types["blk.0.attn_v.weight"], types["blk.1.ffn_up.weight"]) == ("Q8_0", "Q6_K")


def test_a_matrix_changes_the_weights_that_it_knows(tmp_path: Path) -> None:
    def tensors() -> dict[str, bytes]:
        data = out.read_bytes()
        return {name: data[place : place + size] for name, _, place, size in RawGguf(data).tensors}

    _, out = converted(tmp_path, "--quant", "Q6_K")
    without = tensors()
    converted(tmp_path, "--quant", "Q6_K", "--imatrix", str(matrix(tmp_path)))
    changed = {name for name, content in tensors().items() if content != without[name]}
    assert changed == {f"blk.{layer}.attn_{part}.weight" for layer in (0, 1) for part in "qkv"}


def test_a_computed_matrix_is_kept_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "words.txt"
    write_piece(text)
    options = ("--quant", "Q4_0", "--imatrix", "auto", "--calibration", str(text))
    code, out = converted(tmp_path, *options)
    assert code == ExitCode.DONE
    assert "computing an importance matrix" in capsys.readouterr().err
    assert keys_of(out)["quantize.imatrix.dataset"] == "words.txt"
    first = out.read_bytes()
    converted(tmp_path, *options)
    assert "computing" not in capsys.readouterr().err
    assert out.read_bytes() == first


def test_rows_that_do_not_fit_are_warned_of(
    tmp_path: Path, vocabularies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stderr in one line, and with figures in the JSON."""
    checkpoint = make_checkpoint(AWKWARD, tmp_path / "narrow", vocabularies)
    out = str(tmp_path / "out.gguf")
    assert run(["convert", str(checkpoint), "--quant", "Q6_K", "--out", out, "--json"]) == ExitCode.DONE
    shown = capsys.readouterr()
    (warning,) = (line for line in shown.err.splitlines() if "warning" in line)
    assert "rows of 288 are no multiple of 256: 55 tensors are Q8_0 instead of Q6_K" in warning
    values = json.loads(shown.out)
    jsonschema.validate(values, SCHEMA)
    assert [(each["tensors"], each["columns"]) for each in values["fallbacks"]] == [(55, 288), (9, 400)]
    assert f"the file is {100 * values['larger_by']:.1f} % larger" in warning


def test_rows_that_fit_are_not_spoken_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert converted(tmp_path, "--quant", "Q6_K", "--json")[0] == ExitCode.DONE
    shown = capsys.readouterr()
    assert "warning" not in shown.err
    assert (json.loads(shown.out)["fallbacks"], json.loads(shown.out)["larger_by"]) == ([], 0)


def test_types_that_a_file_of_16_bits_ignores_are_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert converted(tmp_path, "--quant", "BF16", "--tensor-type", "attn_q=q8_0")[0] == ExitCode.DONE
    assert "--tensor-type changes nothing in BF16" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--tensor-type", "attn_q"], ExitCode.USAGE, "expected PATTERN=TYPE"),
        (["--tensor-type", "attn_q=q9"], ExitCode.USAGE, "no tensor type 'q9'"),
        (["--tensor-type", "attn_(q=q8_0"], ExitCode.USAGE, "--tensor-type attn_(q=Q8_0"),
        (["--tensor-type", "attn_q=iq1_s"], ExitCode.USAGE, "without an importance matrix"),
        (["--calibration", "words.txt"], ExitCode.USAGE, "--calibration without --imatrix auto"),
        (["--imatrix", "missing.gguf"], ExitCode.BAD_INPUT, "missing.gguf: cannot be read"),
        (["--imatrix", str(DEMO / "model.safetensors")], ExitCode.BAD_INPUT, "no importance matrix"),
        (["--imatrix", "auto", "--calibration", "missing.txt"], ExitCode.BAD_INPUT, "missing.txt: cannot be read"),
    ],
)
def test_senseless_options_end_in_two_lines(
    options: list[str], code: ExitCode, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert converted(tmp_path, "--quant", "Q4_0", *options)[0] == code
    *_, what, hint = capsys.readouterr().err.splitlines()
    assert words in what
    assert hint.strip().startswith("next:")
    assert not (tmp_path / "out.gguf").exists()


def test_an_encoder_becomes_onnx(tmp_path: Path, vocabularies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """q8 is the default; what it prints follows the schema; again, it gives the same bytes."""
    (recipe,) = (recipe for recipe in RECIPES if recipe.name == "distilbert-classes")
    checkpoint = make_checkpoint(recipe, tmp_path / "checkpoint", vocabularies)
    words = ["convert", str(checkpoint), "--to", "onnx", "--json", "--out"]
    outs = [tmp_path / "one.onnx", tmp_path / "two.onnx"]
    for out in outs:
        assert run([*words, str(out)]) == ExitCode.DONE
        values = json.loads(capsys.readouterr().out)
        jsonschema.validate(values, SCHEMA)
    assert (values["format"], values["quant"], values["architecture"]) == ("onnx", "q8", "distilbert")
    assert (values["gives"], values["labels"]) == ("classes", ["no", "perhaps", "yes"])
    assert values["sha256"] == sha256(outs[0].read_bytes()).hexdigest()
    assert outs[0].read_bytes() == outs[1].read_bytes()


def test_a_task_s_examples_become_a_head(
    tmp_path: Path, vocabularies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which then is asked the task; nothing lies beside it."""
    (recipe,) = (recipe for recipe in RECIPES if recipe.name == "MiniLM-seeded")
    checkpoint = make_checkpoint(recipe, tmp_path / "checkpoint", vocabularies)
    out = tmp_path / "out" / "x.onnx"
    out.parent.mkdir()
    words = ["convert", str(checkpoint), "--to", "onnx", "--head-from", "sentiment", "--shots", "1", "--json"]
    assert run([*words, "--out", str(out)]) == ExitCode.DONE
    values = json.loads(capsys.readouterr().out)
    jsonschema.validate(values, SCHEMA)
    assert (values["gives"], values["labels"]) == ("classes", ["positive", "negative", "neutral"])
    assert [path.name for path in out.parent.iterdir()] == ["x.onnx"]
    plain, again = str(tmp_path / "plain.onnx"), str(tmp_path / "again.onnx")
    assert run(["convert", str(checkpoint), "--to", "onnx", "--out", plain, "--quiet"]) == ExitCode.DONE
    assert run(["convert", plain, *words[2:], "--out", again]) == ExitCode.DONE
    capsys.readouterr()
    assert Path(again).read_bytes() == out.read_bytes()
    assert run(["convert", plain, "--to", "onnx", "--out", again]) == ExitCode.USAGE
    assert run(["eval", str(out), "--task", "sentiment", "--json"]) == ExitCode.DONE
    evaluation = json.loads(capsys.readouterr().out)["evaluation"]
    assert {answer["text"] for answer in evaluation["answers"]} <= {"positive", "negative", "neutral"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--shots", "8", "--to", "onnx"], "--shots: of which task?"),
        (["--head-from", "sentiment", "--quant", "Q8_0"], "--head-from: a GGUF takes no head"),
    ],
)
def test_a_head_is_a_task_s_and_an_encoder_s(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["convert", "demo-1m", "--out", str(tmp_path / "x.onnx"), *words]) == ExitCode.USAGE
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--quant", "Q4_0"], "--quant Q4_0: no quantization of this format"),
        (["--imatrix", "auto"], "--imatrix: not with --to onnx"),
        (["--out", "missing/x.onnx"], "not a file in a directory that exists"),
    ],
)
def test_words_that_onnx_has_nothing_for_end_with_2(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "x.onnx")
    assert run(["convert", "demo-1m", "--to", "onnx", "--out", out, *words]) == ExitCode.USAGE
    assert said in capsys.readouterr().err


def test_what_is_no_encoder_does_not_become_onnx(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "x.onnx"
    assert run(["convert", "demo-1m", "--to", "onnx", "--out", str(out)]) == ExitCode.BAD_INPUT
    assert "does not become ONNX" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("words", [[], ["--quant", "q8"]])
def test_a_gguf_has_no_default_and_no_quantization_of_onnx(words: list[str], tmp_path: Path) -> None:
    assert run(["convert", "demo-1m", "--out", str(tmp_path / "x.gguf"), *words]) == ExitCode.USAGE
