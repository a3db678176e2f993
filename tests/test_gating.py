"""A bundle is written when its weights pass their gates, whose figures travel with it."""

import json
import shutil
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import edgepack
from edgepack.cli.main import run
from edgepack.domain.divergence import divergence_gate, divergence_limit
from edgepack.domain.errors import ExitCode
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.engines.llamacpp import identify
from edgepack.infra.library import load_losses
from edgepack.stages.fidelity import compare
from tests.fakes.adapters import make_adapter
from tests.fakes.checkpoints import make_checkpoint
from tests.fakes.demo_copy import DEMO, copy_demo, edit_header, edit_json, read_weights, write_weights
from tests.fakes.mistakes import MISTAKES
from tests.oracle.recipes import RECIPES
from tests.test_adapters import RECIPE
from tests.test_bad_adapter import SHAPES

SCHEMA = json.loads((Path(__file__).parents[1] / "docs/schemas/gates.schema.json").read_text())
USUAL = ["build", "--profile", "host", "--no-bench", "--runtime", "none", "--quant", "Q8_0"]


def test_the_figures_are_evidence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All gates passed; the second build only remembers it."""
    for _ in range(2):
        assert run([*USUAL, "--model", "demo-1m", "--out", str(tmp_path / "bundle")]) == 0
        found = json.loads((tmp_path / "bundle/evidence/gates.json").read_text())
        jsonschema.Draft202012Validator(SCHEMA).validate(found)
        assert found["passed"] is True
        assert {gate["kind"] for gate in found["gates"] if gate["checked"]} == {
            "tokenizer", "chat-template", "ends", "golden", "divergence", "logits",
        }  # fmt: skip
    assert capsys.readouterr().err.count("comparing tokens, chat template and ends") == 1
    assert run(["verify", str(tmp_path / "bundle"), "--no-run"]) == 0


def test_a_failed_gate_is_named_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A checkpoint whose generation_config.json ends at another token than its tokenizer: exit code 7, two lines."""
    broken = copy_demo(tmp_path / "broken")
    edit_json(broken, "generation_config.json", eos_token_id=3)
    words = [*USUAL, "--model", str(broken), "--out", str(tmp_path / "bundle")]
    for _ in range(2):
        assert run(words) == ExitCode.VERIFICATION
        said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("==>")]
        assert len(said) == 2
        assert "ends: 1 apart of 2, first generation_config.json: token 3: generation does not stop at it" in said[0]
        assert "--force" in said[1]
        assert not (tmp_path / "bundle").exists()


def test_a_failed_gate_can_be_forced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a warning, and evidence that says so; it is not remembered as passed."""
    broken = copy_demo(tmp_path / "broken")
    edit_json(broken, "generation_config.json", eos_token_id=3)
    words = [*USUAL, "--model", str(broken), "--out", str(tmp_path / "bundle")]
    assert run([*words, "--force"]) == 0
    assert "warning: ends: " in capsys.readouterr().err
    found = json.loads((tmp_path / "bundle/evidence/gates.json").read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(found)
    assert found["passed"] is False
    shutil.rmtree(tmp_path / "bundle")
    assert run(words) == ExitCode.VERIFICATION


@pytest.mark.parametrize(
    ("depth", "asked"),
    [
        ("none", None),
        ("quick", {"tokenizer", "merges", "chat-template", "ends", "golden"}),
        ("full", {"tokenizer", "merges", "chat-template", "ends", "golden", "divergence", "logits"}),
    ],
)
def test_the_depth_says_what_is_asked(depth: str, asked: set[str] | None, tmp_path: Path) -> None:
    assert run([*USUAL, "--model", "demo-1m", "--gates", depth, "--out", str(tmp_path / "bundle")]) == 0
    record = tmp_path / "bundle/evidence/gates.json"
    assert record.exists() is (asked is not None)
    if asked:
        assert {gate["kind"] for gate in json.loads(record.read_text())["gates"]} == asked


def test_types_that_nobody_measured_have_a_figure_and_no_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", "demo-1m", "--tensor-type", "attn_v=q4_0", "--out", str(tmp_path / "bundle")]
    assert run([*USUAL, *words]) == 0
    assert "warning: divergence: nobody published" in capsys.readouterr().err
    (gate,) = (
        gate
        for gate in json.loads((tmp_path / "bundle/evidence/gates.json").read_text())["gates"]
        if gate["kind"] == "divergence"
    )
    assert "limit" not in gate["figures"]
    assert 0 < gate["figures"]["mean"] < 1


def test_a_ready_gguf_is_held_against_the_checkpoint_that_is_said_to_be_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that was made of it passes every gate; one with another chat template and end does not."""
    broken = copy_demo(tmp_path / "broken")
    template = json.loads((broken / "tokenizer_config.json").read_text())["chat_template"]
    edit_json(broken, "tokenizer_config.json", chat_template=template.replace("<|user|>", "<|system|>"))
    for name in ("config.json", "generation_config.json"):
        edit_json(broken, name, eos_token_id=3)
    for checkpoint, code in ((DEMO, ExitCode.DONE), (broken, ExitCode.VERIFICATION)):
        weights = tmp_path / f"{code}.gguf"
        assert run(["convert", str(checkpoint), "--quant", "Q8_0", "--out", str(weights), "--quiet"]) == 0
        words = ["--model", str(weights), "--checkpoint", "demo-1m", "--out", str(tmp_path / f"{code}")]
        assert run([*USUAL[:-2], *words]) == code
    assert "chat-template: 4 apart of 4" in (said := capsys.readouterr().err)
    assert "ends: 1 apart of 1, first token 3: the file's end, and the tokenizer's is 2" in said
    assert json.loads((tmp_path / "0/evidence/gates.json").read_text())["gates"][-1]["kind"] == "logits"


@pytest.mark.parametrize(
    ("mistake", "quant"), [(None, "Q8_0"), ("permutation", "Q4_0"), ("rope-base", "Q8_0"), ("head", "F16")]
)
def test_a_ready_gguf_of_a_wrong_converter_is_seen_by_another_engine(
    mistake: str | None, quant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows in a wrong order, another rotary base, another head; an honest one passes."""
    made = copy_demo(tmp_path / "made")
    if mistake:
        MISTAKES[mistake](made)
    weights = tmp_path / "weights.gguf"
    assert run(["convert", str(made), "--quant", quant, "--out", str(weights), "--quiet"]) == 0
    words = ["--model", str(weights), "--checkpoint", "demo-1m", "--gates", "full", "--out", str(tmp_path / "bundle")]
    code = run([*USUAL[:-2], *words, "--force"])
    assert code == 0
    found = json.loads((tmp_path / "bundle/evidence/gates.json").read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(found)
    (gate,) = (gate for gate in found["gates"] if gate["kind"] == "logits")
    assert gate["passed"] is (mistake is None), gate
    assert gate["checked"] == 256
    assert ("warning: logits: 1 apart of 256" in capsys.readouterr().err) is (mistake is not None)


def test_a_family_that_only_llama_cpp_runs_has_no_second_opinion(vocabularies: Path, tmp_path: Path) -> None:
    (recipe,) = (recipe for recipe in RECIPES if recipe.name == "gemma-2-seeded")
    checkpoint = make_checkpoint(recipe, tmp_path / "gemma", vocabularies)
    words = ["--model", str(checkpoint), "--gates", "full", "--force", "--out", str(tmp_path / "bundle")]
    assert run([*USUAL, *words]) == 0
    found = json.loads((tmp_path / "bundle/evidence/gates.json").read_text())
    (gate,) = (gate for gate in found["gates"] if gate["kind"] == "logits")
    assert (gate["passed"], gate["checked"]) == (True, 0)
    assert "not run: " in gate["notes"][0]
    assert "is none of LlamaForCausalLM" in gate["notes"][0]


def test_a_checkpoint_beside_a_checkpoint_makes_no_sense(tmp_path: Path) -> None:
    words = ["--model", "demo-1m", "--checkpoint", "demo-1m", "--out", str(tmp_path / "bundle")]
    assert run([*USUAL, *words]) == ExitCode.USAGE
    (tmp_path / "x.gguf").touch()
    for model in ("demo-1m", str(tmp_path / "x.gguf")):
        assert run([*USUAL[:-2], "--model", model, "--checkpoint", str(tmp_path / "x.gguf")]) == ExitCode.USAGE


def test_a_ready_gguf_is_asked_for_an_answer_alone(tmp_path: Path) -> None:
    """Nobody knows its checkpoint."""
    weights = tmp_path / "demo.gguf"
    assert run(["convert", "demo-1m", "--quant", "Q8_0", "--out", str(weights), "--quiet"]) == 0
    words = ["build", "--profile", "host", "--no-bench", "--runtime", "none", "--model", str(weights)]
    assert run([*words, "--out", str(tmp_path / "bundle")]) == 0
    (gate,) = json.loads((tmp_path / "bundle/evidence/gates.json").read_text())["gates"]
    assert (gate["kind"], gate["passed"]) == ("golden", True)
    assert gate["figures"]["answer"]


@pytest.mark.parametrize("harm", ["swapped", "negated"])
def test_a_tensor_in_the_wrong_place_or_sign_is_over_the_limit(harm: str, tmp_path: Path) -> None:
    """What a converter's mistake would do, and rounding does not: every limit but that of two bits sees it."""
    broken = copy_demo(tmp_path / "broken")
    first, second = (f"model.layers.{layer}.mlp.down_proj.weight" for layer in (0, 1))
    if harm == "swapped":
        edit_header(broken, lambda header: header.update({first: header[second], second: header[first]}))
    else:
        header, data = read_weights(broken)
        begin, end = header[first]["data_offsets"]
        negated = np.frombuffer(data[begin:end], dtype=np.uint16) ^ 0x8000
        write_weights(broken, header, bytes(data[:begin]) + negated.tobytes() + bytes(data[end:]))
    files = {"whole": DEMO, "broken": broken}
    for name, checkpoint in files.items():
        assert run(["convert", str(checkpoint), "--quant", "F16", "--out", str(tmp_path / f"{name}.gguf")]) == 0
    text = Path(edgepack.__file__).parent / "data" / "calibration.txt"
    weights, against = (identify(tmp_path / f"{name}.gguf") for name in ("broken", "whole"))
    found = compare(weights, against, text, progress=Silent(), threads=1, limit=2)
    for quant in (Quant.Q8_0, Quant.Q4_K_M, Quant.Q4_0, Quant.Q3_K_M):
        assert not divergence_gate(found, divergence_limit(load_losses(), quant)).passed, found.divergence


def test_a_merged_adapter_has_no_second_opinion(tmp_path: Path) -> None:
    """The checkpoint is not what the weights were made of."""
    adapter = make_adapter(RECIPE, SHAPES, tmp_path / RECIPE.name)
    words = ["--model", "demo-1m", "--adapter", str(adapter), "--merge", "--force", "--out", str(tmp_path / "bundle")]
    assert run([*USUAL, *words]) == 0
    found = json.loads((tmp_path / "bundle/evidence/gates.json").read_text())
    (gate,) = (gate for gate in found["gates"] if gate["kind"] == "logits")
    assert gate["notes"] == ["not run: an adapter is merged into these weights"]
