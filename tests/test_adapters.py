"""Adapters through the verbs: beside the weights and merged, planned, kept, and the same bundle everywhere."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode
from edgepack.domain.progress import Silent
from edgepack.stages.verify import verify
from tests.fakes.adapters import AdapterRecipe, make_adapter, make_merged
from tests.fakes.demo_copy import DEMO, copy_demo
from tests.test_bad_adapter import SHAPES

SCHEMAS = Path(__file__).parents[1] / "docs" / "schemas"
# So strong that the model says something else.
RECIPE = AdapterRecipe(
    name="house-lora", dtype="F32", rank=4, alpha=16, targets=("o_proj", "down_proj"), spread=0.2,
    card="---\nlicense: mit\n---\n",
)  # fmt: skip
BUILD = ("build", "--profile", "rpi5", "--model", "demo-1m", "--quant", "Q8_0", "--no-bench")


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    directory = make_adapter(RECIPE, SHAPES, tmp_path / RECIPE.name)
    (directory / "LICENSE").write_text("The adapter's own.\n")
    return directory


def values(capsys: pytest.CaptureFixture[str], verb: str) -> dict[str, Any]:
    """What --json printed; it follows the verb's schema."""
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    schema = json.loads((SCHEMAS / f"{verb}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(found, schema)
    return found


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def entries(home: Path, step: str) -> list[Path]:
    found = (
        path.parent for path in home.glob("store/*/*/entry.json") if json.loads(path.read_text())["step"] == step
    )
    return sorted(found)


@pytest.mark.parametrize(("options", "type"), [((), "F16"), (("--adapter-type", "F32"), "F32")])
def test_convert_writes_the_adapter_beside_the_weights(
    options: tuple[str, ...], type: str, adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The weights are those of the model alone."""
    plain, out = tmp_path / "plain.gguf", tmp_path / "x.gguf"
    assert run(["convert", "demo-1m", "--quant", "Q4_0", "--out", str(plain), "--quiet"]) == ExitCode.DONE
    arguments = ["convert", "demo-1m", "--quant", "Q4_0", "--out", str(out), "--adapter", str(adapter), "--json"]
    assert run([*arguments, *options]) == ExitCode.DONE
    found = values(capsys, "convert")["adapter"]
    assert (found["name"], found["merged"], found["file"]["type"]) == ("house-lora", False, type)
    assert found["file"]["path"] == str(tmp_path / "x.adapter.gguf")
    assert found["file"]["sha256"] == digest(tmp_path / "x.adapter.gguf")
    assert out.read_bytes() == plain.read_bytes()


def test_the_adapter_goes_where_it_shall(adapter: Path, tmp_path: Path) -> None:
    out, beside = tmp_path / "x.gguf", tmp_path / "lora.gguf"
    arguments = ["convert", "demo-1m", "--quant", "Q8_0", "--out", str(out), "--adapter", str(adapter)]
    assert run([*arguments, "--adapter-out", str(beside), "--quiet"]) == ExitCode.DONE
    assert beside.is_file()
    assert not (tmp_path / "x.adapter.gguf").exists()


@pytest.mark.parametrize("model", ["demo-1m", "directory"])
def test_a_merge_is_the_merged_checkpoints_conversion(
    model: str, adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the model is kept in the store and where it is a directory."""
    source = model if model == "demo-1m" else str(copy_demo(tmp_path / "copy" / "demo-1m"))
    merged = make_merged(DEMO, adapter, {"": 4.0}, tmp_path / "merged" / "demo-1m")
    out, expected = tmp_path / "x.gguf", tmp_path / "y.gguf"
    assert run(["convert", str(merged), "--quant", "Q4_K_M", "--out", str(expected), "--quiet"]) == ExitCode.DONE
    arguments = ["convert", source, "--quant", "Q4_K_M", "--out", str(out), "--adapter", str(adapter)]
    assert run([*arguments, "--merge", "--json"]) == ExitCode.DONE
    assert values(capsys, "convert")["adapter"] == {"name": "house-lora", "merged": True, "file": None}
    assert out.read_bytes() == expected.read_bytes()


@pytest.fixture
def built(adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[dict[str, Any]]:
    """What a build with the adapter beside the weights says."""
    arguments = [*BUILD, "--adapter", str(adapter), "--out", str(tmp_path / "bundle"), "--json"]
    assert run(arguments) == ExitCode.DONE
    return values(capsys, "build")  # type: ignore[return-value]


def test_a_build_bundles_the_adapter(built: dict[str, Any], tmp_path: Path) -> None:
    """Named with digest, origin and licence; the model answers with it."""
    bundle = tmp_path / "bundle"
    assert built["planned"]["adapter"]["origin"] == "directory:house-lora"
    assert built["planned"]["name"] == "demo-1m-house-lora-Q8_0-rpi5-8gb"
    assert built["built"]["adapter"]["sha256"] == digest(bundle / "model" / "adapter.gguf")
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["adapter"]["licence"] == {"name": "mit", "spdx": None}
    assert manifest["adapter"]["checkpoint"] == built["planned"]["adapter"]["checkpoint"]
    assert (bundle / "LICENSES" / "adapter-LICENSE").read_text() == "The adapter's own.\n"
    alone = tmp_path / "alone"
    assert run([*BUILD, "--out", str(alone), "--quiet"]) == ExitCode.DONE
    answers = [verify(place, run_model=True, progress=Silent()).answer for place in (bundle, alone)]
    assert answers[0]
    assert answers[1]
    assert answers[0].text != answers[1].text


def test_its_bytes_are_planned_with_the_weights(built: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*BUILD, "--dry-run", "--json"]) == ExitCode.DONE
    alone = values(capsys, "build")["planned"]["memory"]["weights"]
    with_adapter = built["planned"]["memory"]["weights"]
    pairs = [shape for name, shape in SHAPES.items() if name.endswith(("o_proj.weight", "down_proj.weight"))]
    assert with_adapter - alone == 2 * RECIPE.rank * sum(rows + columns for rows, columns in pairs)


def test_a_second_build_makes_nothing(built: dict[str, Any], adapter: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    before = [path.stat().st_mtime_ns for path in sorted(home.glob("store/*/*/*"))]
    assert run([*BUILD, "--adapter", str(adapter), "--out", str(tmp_path / "bundle"), "--quiet"]) == ExitCode.DONE
    assert [path.stat().st_mtime_ns for path in sorted(home.glob("store/*/*/*"))] == before
    assert len(entries(home, "adapter")) == 1


def test_another_adapter_or_type_is_another_entry_and_the_weights_stay(
    built: dict[str, Any], adapter: Path, tmp_path: Path
) -> None:
    home, out = tmp_path / "home", str(tmp_path / "bundle")
    assert run([*BUILD, "--adapter", str(adapter), "--adapter-type", "BF16", "--out", out, "--quiet"]) == 0
    (adapter / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    assert run([*BUILD, "--adapter", str(adapter), "--out", out, "--quiet"]) == ExitCode.DONE
    assert (len(entries(home, "adapter")), len(entries(home, "convert"))) == (3, 1)


def test_merged_weights_are_another_entry_and_say_so_in_the_bundle(
    built: dict[str, Any], adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "merged"
    assert run([*BUILD, "--adapter", str(adapter), "--merge", "--out", str(out), "--json"]) == ExitCode.DONE
    found = values(capsys, "build")
    assert (found["planned"]["adapter"]["merged"], found["built"]["adapter"]) == (True, None)
    assert json.loads((out / "manifest.json").read_text())["adapter"]["file"] is None
    assert not (out / "model" / "adapter.gguf").exists()
    assert len(entries(tmp_path / "home", "convert")) == 2


def test_the_payload_is_the_same_wherever_the_adapter_lies(
    built: dict[str, Any], adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    elsewhere = tmp_path / "else" / "where" / adapter.name
    elsewhere.parent.mkdir(parents=True)
    adapter.rename(elsewhere)
    monkeypatch.setenv("EDGEPACK_HOME", str(tmp_path / "another-home"))
    out = tmp_path / "else" / "bundle"
    assert run([*BUILD, "--adapter", str(elsewhere), "--out", str(out), "--json"]) == ExitCode.DONE
    assert values(capsys, "build")["built"]["payload_digest"] == built["built"]["payload_digest"]


def test_norms_that_llama_cpp_does_not_apply_are_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A merge applies them, and says nothing."""
    norms = AdapterRecipe(name="norms", dtype="F16", rank=2, alpha=2, targets=("q_proj",), norms=True)
    adapter = make_adapter(norms, SHAPES, tmp_path / "norms")
    arguments = [
        "convert",
        "demo-1m",
        "--quant",
        "Q8_0",
        "--out",
        str(tmp_path / "x.gguf"),
        "--adapter",
        str(adapter),
    ]
    assert run(arguments) == ExitCode.DONE
    assert "llama.cpp does not apply the adapter's 5 norms: --merge does" in capsys.readouterr().err
    assert run([*arguments, "--merge"]) == ExitCode.DONE
    assert "warning" not in capsys.readouterr().err
