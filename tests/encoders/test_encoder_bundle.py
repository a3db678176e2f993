"""A bundle that holds an encoder: built from a checkpoint or a ready file, verified, deployed, or refused."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from edgepack.cli.main import run
from edgepack.domain.bundle import Format
from edgepack.domain.device import LocalDevice
from edgepack.domain.engine import Engine
from edgepack.domain.errors import (
    BadInputError,
    DeviceError,
    NothingFitsError,
    UsageError,
    VerificationError,
)
from edgepack.domain.gates import GateDepth
from edgepack.domain.progress import Silent
from edgepack.domain.source import DirectorySource, OnnxSource
from edgepack.pipeline import Built, build, prepare
from edgepack.pipeline.encoder_gating import encoder_gates
from edgepack.stages.deploy import deploy
from edgepack.stages.fetch import find_source
from edgepack.stages.golden import golden_outputs
from tests.conftest import ROOT
from tests.fakes.encoder_bundles import order, with_wheels


def test_a_bundle_holds_model_tokenizer_program_texts_and_licence(built: Built) -> None:
    files = {
        path.relative_to(built.bundle.path).as_posix() for path in built.bundle.path.rglob("*") if path.is_file()
    }
    assert files == {
        "manifest.json", "SHA256SUMS", "bench", "run", "selftest", "encoder.py", "golden/texts.json", "sbom.cdx.json",
        f"model/{built.planned.name}.onnx", "model/tokenizer.json", "LICENSES/LICENSE", "evidence/SHA256SUMS",
        "evidence/gates.json", "evidence/golden.json", "evidence/provenance.intoto.json",
    }  # fmt: skip


def test_the_manifest_says_engine_versions_and_memory(built: Built) -> None:
    said = json.loads((built.bundle.path / "manifest.json").read_text())
    jsonschema.validate(said, json.loads((ROOT / "docs/schemas/manifest.schema.json").read_text()))
    assert said["runtime"] == "python"
    assert said["quantization"] == "q8"
    assert said["encoder"]["engine"] == "onnxruntime"
    assert set(said["encoder"]["packages"]) == {"numpy", "onnxruntime", "tokenizers"}
    assert said["plan"]["total_bytes"] > said["sizes"]["weights"]


def test_the_same_checkpoint_gives_the_same_payload(built: Built, checkpoint: Path, tmp_path: Path) -> None:
    """In another store, as a tar, whose encoder is asked too."""
    again = build(order(checkpoint, tmp_path / "out.tar", format=Format.TAR), Silent())
    assert again.bundle.payload_digest == built.bundle.payload_digest
    assert again.verdict.near
    assert again.verdict.near.texts == 10


def test_a_ready_file_is_planned_as_its_checkpoint(built: Built, tmp_path: Path) -> None:
    """Heads and the widest matrix are read off the graph."""
    ready = tmp_path / "ready.onnx"
    ready.write_bytes(built.weights.path.read_bytes())
    planned = prepare(order(ready, tmp_path / "out"), Silent()).plan.chosen.memory
    assert planned.total == pytest.approx(built.planned.plan.chosen.memory.total, rel=0.03)


def test_a_longer_context_is_asked_for_and_has_its_price(checkpoint: Path, tmp_path: Path) -> None:
    short, long = (prepare(order(checkpoint, tmp_path, context=tokens), Silent()).plan for tokens in (128, 512))
    assert (short.context, long.context) == (128, 512)
    assert short.chosen.memory.compute < long.chosen.memory.compute / 4
    with pytest.raises(UsageError, match="was made for 512 tokens"):
        prepare(order(checkpoint, tmp_path, context=513), Silent())


def test_a_ready_file_is_built_as_its_checkpoint(built: Built, checkpoint: Path, tmp_path: Path) -> None:
    """With --checkpoint name, provenance and licence are its; only memory is planned from the file's own size."""
    ready = tmp_path / "ready.onnx"
    ready.write_bytes(built.weights.path.read_bytes())
    again = build(order(ready, tmp_path / "out", checkpoint=DirectorySource(path=checkpoint)), Silent())
    first, second = (replace(one.verdict.manifest.facts, plan=None) for one in (built, again))
    assert first == second
    assert again.verdict.manifest.licences == ("LICENSES/LICENSE",)
    alone = prepare(order(ready, tmp_path / "other"), Silent())
    assert alone.material.origin == "file:ready.onnx"
    assert isinstance(find_source(str(ready)), OnnxSource)


def test_it_is_deployed_with_what_its_self_test_compares(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEPACK_PYTHON", sys.executable)
    monkeypatch.setenv("EDGEPACK_CACHE", str(tmp_path / "cache"))
    there = tmp_path / "there"
    done = deploy(built.bundle.path, LocalDevice(), place=str(there), selftest=True, keep=1, progress=Silent())
    assert done.selftest
    assert "10 texts, cosine 1.00000 at least" in done.selftest
    assert "ms a text" in done.selftest
    monkeypatch.setenv("EDGEPACK_PYTHON", "no-python-of-this-name")
    with pytest.raises(DeviceError, match="no no-python-of-this-name") as failure:
        deploy(
            built.bundle.path, LocalDevice(), place=str(tmp_path / "other"), selftest=True, keep=1, progress=Silent()
        )
    assert "--with-wheels" in failure.value.hint


def test_eight_bits_are_held_against_full_precision(built: Built) -> None:
    record = json.loads((built.bundle.path / "evidence" / "gates.json").read_text())
    jsonschema.validate(record, json.loads((ROOT / "docs/schemas/gates.schema.json").read_text()))
    (gate,) = record["gates"]
    assert (gate["kind"], gate["passed"], gate["checked"]) == ("encoder", True, 10)
    assert 0.98 < gate["figures"]["least_cosine"] < 1


def test_what_is_far_from_full_precision_gets_no_bundle(built: Built) -> None:
    """As where a matrix was written in the wrong place; forced, it is said."""
    seen = golden_outputs(built.weights, threads=1, progress=Silent())
    rows = tuple(tuple(tuple(-value for value in row) for row in rows) for rows in seen.outputs.outputs)
    wrong = replace(seen, outputs=replace(seen.outputs, outputs=rows))
    wanted = order(built.weights.path, built.bundle.path)
    with pytest.raises(VerificationError, match=r"encoder: 1 apart of 10, first cosine -1\.0"):
        encoder_gates(built.planned, built.weights, wrong, wanted, Silent())
    forced = encoder_gates(built.planned, built.weights, wrong, replace(wanted, force=True), Silent())
    assert not json.loads(forced["gates.json"])["passed"]
    assert encoder_gates(built.planned, built.weights, wrong, replace(wanted, gates=GateDepth.QUICK), Silent()) == {}


def test_its_sbom_is_valid_and_names_the_packages_that_it_brings(built: Built, tmp_path: Path) -> None:
    text = (with_wheels(built, tmp_path, {}) / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    assert [one["name"] for one in document["components"][1:]] == ["numpy", "onnxruntime", "tokenizers"]
    assert [one["name"] for one in document["metadata"]["tools"]["components"]] == ["edgepack"]


def test_a_report_of_it_names_its_runtime(built: Built, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert run(["report", str(built.bundle.path), "--out", str(page), "--quiet"]) == 0
    assert "Python with numpy" in page.read_text()
    assert "llama.cpp" not in page.read_text().split("Provenance and licences")[1].split("Licence texts")[0]


def test_a_debian_package_of_it_is_refused(built: Built, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its service would serve nothing; an image that is mounted holds it as it is."""
    words = ["package", str(built.bundle.path), "--quiet", "--out", str(tmp_path / "out")]
    assert run([*words, "--as", "deb"]) == 2
    assert "an encoder's bundle, and the package's service a server's" in capsys.readouterr().err
    assert run([*words, "--as", "oci"]) == 0


def test_build_and_verify_say_how_near_and_how_quick(
    built: Built, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", str(built.bundle.path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    jsonschema.validate(said, json.loads((ROOT / "docs/schemas/verify.schema.json").read_text()))
    assert said["near"]["texts"] == 10
    words = ["build", "--profile", "rpi5", "--model", str(checkpoint), "--out", str(tmp_path / "out")]
    assert run([*words, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    jsonschema.validate(said, json.loads((ROOT / "docs/schemas/build.schema.json").read_text()))
    assert said["built"]["verified"]["near"]["cosine"] > 0.99999
    assert run(words) == 0
    assert "10 known texts, cosine 1.00000 at least;" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("profile", "why"),
    [
        ("rpi4", "no dotprod"),
        ("rpi3-32bit", "no build for arm"),
        ("visionfive2", "no build for riscv64"),
        ("pixel-8", "Android"),
        ("macbook-m1", "not on macos"),
    ],
)
def test_profiles_rule_onnxruntime_out_with_the_reason(
    checkpoint: Path, tmp_path: Path, profile: str, why: str
) -> None:
    with pytest.raises(NothingFitsError, match=why):
        prepare(order(checkpoint, tmp_path, profile=profile), Silent())


def test_what_only_llama_cpp_has_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("Be brief.")
    with pytest.raises(UsageError, match="--system-prompt: not for an encoder"):
        prepare(order(checkpoint, tmp_path, system_prompt=prompt), Silent())
    with pytest.raises(BadInputError, match="gives vectors of texts"):
        prepare(order(checkpoint, tmp_path, engine=Engine.LLAMA_CPP), Silent())


def test_llama_cpp_is_not_asked_to_load_it(built: Built, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", str(built.weights.path)]) == 4
    what, hint = capsys.readouterr().err.splitlines()[-2:]
    assert "an ONNX file, which llama.cpp does not load" in what
    assert "./bench" in hint
