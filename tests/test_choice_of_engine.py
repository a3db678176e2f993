"""`edgepack build --task T` with candidates of both engines: the same questions, and evidence that says who ran."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edgepack.cli.main import run
from edgepack.domain.engine import Engine
from edgepack.domain.errors import ExitCode
from edgepack.domain.progress import Silent
from edgepack.domain.quant import OnnxQuant, Quant
from edgepack.domain.source import Demo, DemoSource, DirectorySource
from edgepack.infra.tasks import load_task
from edgepack.pipeline import Order
from edgepack.pipeline.attempts import Attempt
from edgepack.pipeline.trying import try_each
from tests.engines.test_onnxruntime_tagging import tags_of
from tests.fakes.checkpoints import make_checkpoint
from tests.fakes.tagger import TAGS, sentences, trained_tagger
from tests.oracle.onnx_encoders import RECIPES
from tests.stages.test_fitted_head import WORDS, rows

SCHEMA = json.loads((Path(__file__).parents[1] / "docs" / "schemas" / "build.schema.json").read_text())
USUAL = ("build", "--profile", "host", "--no-bench", "--runtime", "none", "--json")
TASK = """
title = "Which part of the home"
kind = "classify"
metric = "accuracy"
[prompt]
user = "{text}"
[answer]
labels = %s
[examples]
file = "asked.jsonl"
train = "train.jsonl"
"""
NAMES = """
title = "Names"
kind = "extract"
metric = "entity-f1"
[prompt]
user = "{text}"
[answer]
entities = ["PER", "LOC"]
max_tokens = 16
[examples]
file = "asked.jsonl"
"""


@pytest.fixture
def task(tmp_path: Path) -> str:
    for seed, name in ((1, "train"), (2, "asked")):
        lines = [json.dumps({**row.fields, "answer": row.answer}) for row in rows(seed, 16)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    (tmp_path / "home.toml").write_text(TASK % json.dumps(list(WORDS)))
    return str(tmp_path / "home.toml")


@pytest.fixture
def encoder(tmp_path: Path, vocabularies: Path) -> Path:
    (recipe,) = (recipe for recipe in RECIPES if recipe.name == "MiniLM-seeded")
    return make_checkpoint(recipe, tmp_path / "encoder", vocabularies)


@pytest.fixture
def decoder(tmp_path: Path) -> Path:
    out = tmp_path / "demo.gguf"
    assert run(["convert", "demo-5m", "--quant", "Q8_0", "--out", str(out), "--quiet"]) == ExitCode.DONE
    return out


def built(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run([*USUAL, *words]) == ExitCode.DONE
    values: dict[str, Any] = json.loads(capsys.readouterr().out)
    jsonschema.validate(values, SCHEMA)
    return values


def test_an_encoder_and_a_decoder_are_asked_the_same_and_the_better_is_built(
    task: str, encoder: Path, decoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each at its engine's quantization; quality, time, size and memory of both; the encoder gets a head for it."""
    models = ["--model", str(decoder), "--model", str(encoder), "--task", task, "--min-quality", "0.6"]
    planned = built([*models, "--dry-run"], capsys)
    assert [(one["engine"], one["quant"]) for one in planned["candidates"]] == [("llamacpp", None), ("onnx", "q8")]
    found = built([*models, "--out", str(tmp_path / "bundle")], capsys)
    other, chosen = found["trials"]["tried"]
    roles = (other["engine"], other["role"], chosen["engine"], chosen["role"])
    assert roles == ("llamacpp", "smaller", "onnx", "chosen")
    assert chosen["quality"]["value"] > 0.6 > other["quality"]["value"]
    assert chosen["examples"] == other["examples"] == 48
    for one in (chosen, other):
        assert one["first_token"]["p95"] > 0
        assert one["size"] > 0
        assert one["predicted_memory"] > one["size"]
    manifest = json.loads((tmp_path / "bundle/manifest.json").read_text())
    assert manifest["encoder"]["labels"] == list(WORDS)
    evaluation = json.loads((tmp_path / "bundle/evidence/evaluation.json").read_text())
    assert evaluation["weights"]["sha256"] == found["built"]["weights"]["sha256"]
    assert json.loads((tmp_path / "bundle/evidence/trials.json").read_text()) == found["trials"]
    assert manifest["checkpoint"]
    (gate,) = json.loads((tmp_path / "bundle/evidence/gates.json").read_text())["gates"]
    assert (gate["kind"], gate["passed"]) == ("encoder", True)
    out = tmp_path / "report.html"
    assert run(["report", str(tmp_path / "bundle"), "--out", str(out)]) == ExitCode.DONE
    assert "ONNX Runtime" in out.read_text()
    assert "llama.cpp" in out.read_text()
    assert run(["verify", str(tmp_path / "bundle")]) == ExitCode.DONE


def test_a_ready_encoder_is_a_candidate_too(
    task: str, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With precisions asked for beside a decoder's quantizations, each engine has its own."""
    onnx = tmp_path / "e.onnx"
    assert run(["convert", str(encoder), "--to", "onnx", "--out", str(onnx), "--quiet"]) == ExitCode.DONE
    words = ["--model", str(onnx), "--model", "demo-1m", "--model", str(encoder), "--task", task, "--dry-run"]
    quants = ["--quant", "f32", "--quant", "Q8_0", "--quant", "q8"]
    found = built([*words, *quants], capsys)["candidates"]
    assert sorted((one["engine"], one["quant"] or "ready") for one in found) == [
        ("llamacpp", "Q8_0"), ("onnx", "f32"), ("onnx", "q8"), ("onnx", "ready"),
    ]  # fmt: skip


def test_entities_are_found_by_a_tagger_or_by_a_model_that_writes(
    decoder: Path, vocabularies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tagger's own head answers: what is built is its checkpoint's."""
    taught = [tags_of(one) for one in sentences(1, 100)]
    tagger = trained_tagger(tmp_path / "tagger", vocabularies, taught)
    lines = [json.dumps({"text": one.text, "answer": one.entities}) for one in sentences(2, 20)]
    (tmp_path / "asked.jsonl").write_text("\n".join(lines))
    (tmp_path / "names.toml").write_text(NAMES)
    words = ["--task", str(tmp_path / "names.toml"), "--model", str(tagger), "--model", str(decoder)]
    out = tmp_path / "bundle"
    # A head on random states knows its own few words: of the gate's texts 8 bits say something else now and then.
    words += ["--gates", "quick"]
    trials = built([*words, "--min-quality", "0.7", "--out", str(out)], capsys)["trials"]["tried"]
    roles = {(one["engine"], one["role"]) for one in trials}
    assert ("onnx", "chosen") in roles
    assert all(one["quality"]["metric"] == "entity-f1" for one in trials)
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["encoder"]["gives"], manifest["encoder"]["labels"]) == ("token-classes", list(TAGS))
    assert run(["verify", str(out)]) == ExitCode.DONE


def test_the_catalogue_s_encoders_are_candidates_for_labels(task: str, capsys: pytest.CaptureFixture[str]) -> None:
    """From the smallest up, none fetched; not where onnxruntime does not run, nor for what the policy refuses."""
    words = ["--task", task, "--dry-run", "--offline", "--tries", "5"]
    found = built([*words, "--profile", "rpi5"], capsys)["candidates"]
    assert found[0] == {"model": "all-minilm-l6-v2", "engine": "onnx", "quant": "q8", "size": 25386048}
    assert {one["engine"] for one in found} == {"onnx", "llamacpp"}
    assert [one["size"] for one in found] == sorted(one["size"] for one in found)
    old = built([*words, "--profile", "rpi4"], capsys)["candidates"]
    assert {one["engine"] for one in old} == {"llamacpp"}
    named = built([*words, "--profile", "rpi5", "--model", "all-MiniLM-L6-v2", "--model", "gte-small"], capsys)
    assert [(one["engine"], one["quant"]) for one in named["candidates"]] == [("onnx", "q8")] * 2


def test_an_option_that_an_engine_does_not_have_passes_its_candidates_over(
    task: str, encoder: Path, tmp_path: Path
) -> None:
    """Where nobody named the encoder, it is no reason to end."""
    order = Order(profile="host", source=DemoSource(name=Demo.SMALL), runtime=tmp_path)
    tries = (
        Attempt(
            source=DirectorySource(path=encoder), title="e", engine=Engine.ONNX, quant=OnnxQuant.Q8, parameters=1,
            size=1,
        ),
        Attempt(
            source=order.source, title="demo-1m", engine=Engine.LLAMA_CPP, quant=Quant.Q8_0, parameters=2, size=2
        ),
    )  # fmt: skip
    first, second = try_each(order, tries, load_task(task), Silent()).trials.tried
    assert (first.evaluation, first.skipped) == (None, "--runtime: not for an encoder, which onnxruntime runs")
    assert second.evaluation


def test_a_device_that_onnxruntime_does_not_run_on_gets_the_decoder(
    task: str, encoder: Path, decoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reason is in the evidence. Where it runs, its times there are predicted."""
    models = ["--model", str(decoder), "--model", str(encoder), "--task", task, "--min-quality"]
    old, new = ["0.2", "--profile", "rpi4", "--out"], ["0.6", "--profile", "rpi5", "--out"]
    ours, theirs = built([*models, *old, str(tmp_path / "4")], capsys)["trials"]["tried"]
    assert (ours["engine"], ours["role"]) == ("llamacpp", "chosen")
    assert "no dotprod" in theirs["skipped"]
    ours, theirs = built([*models, *new, str(tmp_path / "5")], capsys)["trials"]["tried"]
    assert (theirs["engine"], theirs["role"], theirs["expected"]["basis"]) == ("onnx", "chosen", "bandwidth")
    assert 0 < theirs["expected"]["first_token"] < 0.1
