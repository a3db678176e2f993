"""A bundle that holds an encoder: built from a checkpoint or a ready file, verified, and run as on a device."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from edgepack.cli.main import run
from edgepack.domain.bundle import TOKENIZER, Format, WheelPlatform
from edgepack.domain.device import LocalDevice
from edgepack.domain.encoder import Gives
from edgepack.domain.engine import Engine
from edgepack.domain.errors import (
    BadInputError,
    DeviceError,
    EdgepackError,
    NetworkError,
    NothingFitsError,
    UsageError,
    VerificationError,
)
from edgepack.domain.gates import GateDepth
from edgepack.domain.golden import GOLDEN_TEXTS, parse_texts
from edgepack.domain.progress import Silent
from edgepack.domain.quant import OnnxQuant
from edgepack.domain.source import DirectorySource, OnnxSource
from edgepack.infra.digests import sha256_of
from edgepack.infra.wheels import Wheel, package_versions, pinned_wheels
from edgepack.pipeline import Built, Order, build, prepare
from edgepack.pipeline.encoder_gating import encoder_gates
from edgepack.stages.bundle import BundleContents, EncoderContents, write_bundle
from edgepack.stages.deploy import deploy
from edgepack.stages.fetch import find_source
from edgepack.stages.golden import golden_outputs
from edgepack.stages.verify import verify
from tests.conftest import ROOT
from tests.fakes.checkpoints import make_checkpoint
from tests.fakes.encoders import write_encoder
from tests.fakes.resummed import resum
from tests.oracle.recipes.encoders import RECIPES

TEXTS = ["dim the kitchen lamp", "déjà vu"]


def recipe(name: str) -> Path:
    (found,) = (one for one in RECIPES if one.name == name)
    return found


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, vocabularies: Path) -> Path:
    place = tmp_path_factory.mktemp("checkpoint") / "MiniLM-seeded"
    made = make_checkpoint(recipe("MiniLM-seeded"), place, vocabularies)
    (made / "LICENSE").write_text("Do as you like.\n")
    return made


def order(model: Path, out: Path, **changes: object) -> Order:
    source = find_source(str(model))
    return replace(Order(profile="rpi5", source=source, out=out, measure=False), **changes)


@pytest.fixture(scope="module")
def built(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    directory = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEPACK_HOME", str(directory / "home"))
        return build(order(checkpoint, directory / "out"), Silent())


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory, vocabularies: Path) -> Built:
    """A classifier's, from a ready file."""
    directory = tmp_path_factory.mktemp("classes")
    found = recipe("xlm-roberta-classes-bf16")
    weights = write_encoder(found, OnnxQuant.Q8, directory / "classes.onnx", vocabularies)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEPACK_HOME", str(directory / "home"))
        return build(order(weights, directory / "out"), Silent())


def started(
    bundle: Path, script: str, *words: str, text_in: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A script of the bundle, as a device starts it."""
    surroundings = {
        "PATH": os.environ["PATH"], "EDGEPACK_PYTHON": sys.executable, "EDGEPACK_CACHE": str(bundle.parent / "cache"),
        **environment,
    }  # fmt: skip
    return subprocess.run(
        [bundle / script, *words], input=text_in, capture_output=True, text=True, env=surroundings, timeout=120
    )


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


def test_run_gives_a_vector_of_each_text(built: Built) -> None:
    """Of arguments or of lines, the same that the engine gives."""
    from edgepack.engines.onnxruntime_embedding import embed

    done = started(built.bundle.path, "run", *TEXTS)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["text"] for line in lines] == TEXTS
    vectors = embed(built.weights.path, TEXTS, threads=1)
    assert [line["vector"] for line in lines] == [pytest.approx(vector.tolist(), abs=2e-6) for vector in vectors]
    assert started(built.bundle.path, "run", text_in="\n".join([*TEXTS, "", ""])).stdout == done.stdout


def test_run_gives_a_label_of_each_text(classes: Built) -> None:
    assert classes.planned.material.described(OnnxQuant.Q8).gives is Gives.CLASSES
    (line,) = started(classes.bundle.path, "run", TEXTS[0]).stdout.splitlines()
    said = json.loads(line)
    assert said["label"] == max(said["scores"], key=said["scores"].get)
    assert sum(said["scores"].values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", ["built", "classes"])
def test_the_self_test_compares_with_what_was_built(name: str, request: pytest.FixtureRequest) -> None:
    done = started(request.getfixturevalue(name).bundle.path, "selftest")
    assert done.returncode == 0, done.stderr
    assert "selftest: all right: 10 texts, cosine 1.00000 at least" in done.stderr


def test_the_longest_text_takes_the_memory_that_was_planned(built: Built) -> None:
    """Python, packages, weights and activations; fitted to within 4 %."""
    program = f"""
import runpy, sys
sys.argv[1:] = ["run", "word " * 500]
runpy.run_path({str(built.bundle.path / "encoder.py")!r}, run_name="__main__")
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))
"""
    surroundings = {**os.environ, "EDGEPACK_THREADS": "1", "EDGEPACK_CACHE": str(built.bundle.path.parent / "cache")}
    done = subprocess.run([sys.executable, "-B", "-c", program], capture_output=True, text=True, env=surroundings)
    peak = int(done.stdout.splitlines()[-1]) << 10
    assert peak == pytest.approx(built.planned.plan.chosen.memory.total, rel=0.15)


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


def test_bench_tells_milliseconds_a_text(built: Built) -> None:
    seen = json.loads(started(built.bundle.path, "bench", "--json").stdout)
    assert seen["texts"] == 10
    assert len(seen["samples"]) == 5
    assert seen["ms_per_text"] > 0
    assert "ms a text" in started(built.bundle.path, "bench").stdout


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


def copied(built: Built, to: Path) -> Path:
    subprocess.run(["cp", "-a", built.bundle.path, to], check=True)
    return to


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


def test_a_changed_file_is_refused_before_anything_runs(built: Built, tmp_path: Path) -> None:
    bundle = copied(built, tmp_path / "bundle")
    assert started(bundle, "run", "hello").returncode == 0
    tokenizer = bundle / "model" / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace('"hello"', '"hallo"'))
    for script in ("run", "selftest", "bench"):
        done = started(bundle, script)
        assert done.returncode == 7
        assert "model/tokenizer.json: not the bytes that SHA256SUMS names" in done.stderr


def test_other_numbers_than_where_it_was_built_fail(built: Built, tmp_path: Path) -> None:
    """On the device and here: as with a kernel that is broken."""
    bundle = copied(built, tmp_path / "bundle")
    turn_first(bundle)
    done = started(bundle, "selftest")
    assert done.returncode == 7
    assert "gives other numbers here than where it was built: cosine -1.0" in done.stderr
    with pytest.raises(VerificationError, match="gives something else here than where it was built"):
        verify(bundle, run_model=True, progress=Silent())


def test_another_label_than_where_it_was_built_fails(classes: Built, tmp_path: Path) -> None:
    bundle = copied(classes, tmp_path / "bundle")
    turn_first(bundle)
    assert started(bundle, "selftest").returncode == 7
    with pytest.raises(VerificationError, match="texts with other labels"):
        verify(bundle, run_model=True, progress=Silent())


def turn_first(bundle: Path) -> None:
    """What was seen of the first text becomes its opposite."""
    seen = json.loads((bundle / "evidence" / "golden.json").read_text())
    seen["outputs"][0] = [[-10 * value for value in row] for row in seen["outputs"][0]]
    resum(bundle, {"evidence/golden.json": f"{json.dumps(seen, sort_keys=True)}\n".encode()})


def test_the_self_test_asks_for_the_signature_first(built: Built, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("no key")
    done = started(built.bundle.path, "selftest", EDGEPACK_KEY=str(key))
    assert done.returncode == 7
    assert "the bundle is not signed" in done.stderr


@pytest.mark.parametrize("sums", [None, b"", b"no sums\n", b"\xff" * 80 + b"\n", b"a" * 64 + b"  missing\n"])
def test_sums_that_are_none_end_in_two_lines(built: Built, tmp_path: Path, sums: bytes | None) -> None:
    bundle = copied(built, tmp_path / "bundle")
    (bundle / "SHA256SUMS").unlink()
    if sums is not None:
        (bundle / "SHA256SUMS").write_bytes(sums)
    (bundle / "manifest.json").write_text("{}")
    done = started(bundle, "run", "hello")
    assert done.returncode == 7
    assert len(done.stderr.splitlines()) == 2


def test_a_model_that_onnxruntime_does_not_run_ends_in_two_lines(built: Built, tmp_path: Path) -> None:
    """With right sums, so that nothing stops it before."""
    bundle = copied(built, tmp_path / "bundle")
    resum(bundle, {built.verdict.manifest.weights.path: b"\x08\x07"})
    done = started(bundle, "run", "hello")
    assert done.returncode == 7
    assert "onnxruntime does not run the model" in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_whoever_stops_reading_hears_no_complaint(built: Built) -> None:
    command = f"yes 'dim the lamp' | '{built.bundle.path}/run' | head -n 1"
    surroundings = {
        "PATH": os.environ["PATH"], "EDGEPACK_PYTHON": sys.executable, "EDGEPACK_CACHE": str(built.bundle.path.parent)
    }  # fmt: skip
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=surroundings, timeout=60)
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_bytes_that_are_no_text_are_read_all_the_same(built: Built) -> None:
    """In a locale that knows ASCII alone."""
    surroundings = {
        "PATH": os.environ["PATH"], "EDGEPACK_PYTHON": sys.executable, "LC_ALL": "C", "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
    }  # fmt: skip
    command = [built.bundle.path / "run", b"caf\xc3\xa9 \xff"]
    done = subprocess.run(command, capture_output=True, env=surroundings, timeout=60)
    assert done.returncode == 0, done.stderr
    line = subprocess.run(command[:1], input=b"\xff\xfe\n", capture_output=True, env=surroundings, timeout=60)
    assert json.loads(line.stdout)["text"] == "\ufffd\ufffd"


def test_a_python_without_the_packages_is_told_what_to_install(built: Built, tmp_path: Path) -> None:
    """-S and -E: a Python that has nothing but itself."""
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    bare.chmod(0o755)
    done = started(built.bundle.path, "run", "hello", EDGEPACK_PYTHON=str(bare))
    assert done.returncode == 6
    assert "install: numpy==" in done.stderr
    missing = started(built.bundle.path, "run", "hello", EDGEPACK_PYTHON="no-python-of-this-name")
    assert missing.returncode == 6
    assert len(missing.stderr.splitlines()) == 2


@pytest.mark.parametrize("words", [["--loud"], ["a", "b"]])
def test_what_makes_no_sense_is_a_usage_error(built: Built, words: list[str]) -> None:
    assert started(built.bundle.path, "bench", *words).returncode == 2
    assert started(built.bundle.path, "selftest", *words).returncode == 2
    assert started(built.bundle.path, "run", "hello", EDGEPACK_THREADS="many").returncode == 2


def test_a_text_that_is_too_long_is_named(built: Built) -> None:
    done = started(built.bundle.path, "run", "lamp " * 600)
    assert done.returncode == 4
    assert "tokens, and the model takes 1 to 512" in done.stderr


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


@pytest.mark.parametrize("script", ["run", "bench", "selftest"])
def test_shellcheck_has_nothing_to_say(built: Built, script: str) -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("no shellcheck here")
    done = subprocess.run(["shellcheck", built.bundle.path / script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def fake_wheel(directory: Path, name: str, files: dict[str, str]) -> Wheel:
    """A zip of that name; the Python that runs the tests has the package itself."""
    path = directory / f"{name}-{dict(package_versions())[name]}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as made:
        for file, text in files.items():
            made.writestr(file, text)
    return Wheel(path=path, sha256=sha256_of(path), licences={f"wheel-{name}-LICENSE": b"Do as you like.\n"})


def with_wheels(built: Built, directory: Path, files: dict[str, str], python: str = "") -> Path:
    """The same bundle with wheels for this Python, or for another."""
    facts = built.verdict.manifest.facts
    assert facts.encoder
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    platform = WheelPlatform(python=python or here, architecture=os.uname().machine)
    bundle = built.bundle.path
    contents = BundleContents(
        facts=replace(facts, encoder=replace(facts.encoder, wheels=platform)), weights=built.weights.path,
        encoder=EncoderContents(
            tokenizer=(bundle / TOKENIZER).read_text(),
            golden=parse_texts((bundle / GOLDEN_TEXTS).read_text(), subject=GOLDEN_TEXTS),
            wheels=tuple(
                fake_wheel(directory, name, files if name == "numpy" else {}) for name, _ in package_versions()
            ),
        ),
        evidence={"golden.json": (bundle / "evidence" / "golden.json").read_bytes()},
    )  # fmt: skip
    return write_bundle(contents, destination=directory / "out", format=Format.DIR, progress=Silent()).path


def test_wheels_are_unpacked_once_and_found_first(built: Built, tmp_path: Path) -> None:
    bundle = with_wheels(built, tmp_path, {"tokenizers/__init__.py": "raise SystemExit('the unpacked one')"})
    assert "wheels/numpy-" in (bundle / "SHA256SUMS").read_text()
    found = verify(bundle, run_model=True, progress=Silent())
    assert len([path for path in found.manifest.licences if "wheel-" in path]) == 3
    first, second = (started(bundle, "run", "hello") for _ in range(2))
    assert "unpacking 3 wheels" in first.stderr
    assert "unpacking" not in second.stderr
    assert "the unpacked one" in first.stderr
    assert "the unpacked one" in second.stderr


def test_what_a_killed_one_left_is_cleared_away(built: Built, tmp_path: Path) -> None:
    """A half that nobody finished never gets the name, and is gone when the next has the lock."""
    bundle = with_wheels(built, tmp_path, {"probe.txt": "hello"})
    assert started(bundle, "run", "hello").returncode == 0
    cache = tmp_path / "cache"
    (place,) = (path for path in cache.glob("packages-*") if path.is_dir())
    assert (place / "probe.txt").read_text() == "hello"
    half = place.with_name(f"{place.name}-half-abcdefgh")
    place.rename(half)
    (half / "probe.txt").unlink()
    assert started(bundle, "run", "hello").returncode == 0
    assert (place / "probe.txt").is_file()
    assert not half.exists()


def test_eight_starts_at_once_unpack_once(built: Built, tmp_path: Path) -> None:
    bundle = with_wheels(built, tmp_path, {"probe.txt": "hello"})
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: started(bundle, "run", "hello"), range(8)))
    assert {one.returncode for one in done} == {0}
    assert sum("unpacking" in one.stderr for one in done) == 1


@pytest.mark.parametrize("name", ["../stray.txt", "/tmp/stray.txt", "a/../../stray.txt"])
def test_a_wheel_that_leads_out_is_refused(built: Built, tmp_path: Path, name: str) -> None:
    bundle = with_wheels(built, tmp_path, {name: "out"})
    done = started(bundle, "run", "hello")
    assert done.returncode == 7
    assert "leads out of it" in done.stderr
    assert not list(tmp_path.rglob("stray.txt"))


def test_wheels_for_another_python_are_left_packed(built: Built, tmp_path: Path) -> None:
    """This Python has the packages itself; one that has none is told what the wheels are for."""
    bundle = with_wheels(built, tmp_path, {}, python="3.99")
    done = started(bundle, "run", "hello")
    assert done.returncode == 0
    assert "unpacking" not in done.stderr
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    bare.chmod(0o755)
    done = started(bundle, "run", "hello", EDGEPACK_PYTHON=str(bare))
    assert done.returncode == 6
    assert "its wheels are for Python 3.99" in done.stderr


def test_wheels_that_cannot_be_had_are_a_network_error(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="not here, and --offline"):
        build(order(checkpoint, tmp_path / "out", wheels=True, python="3.12", offline=True), Silent())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"wheels": True, "python": "3.9"}, NothingFitsError, "none for Python 3.9 on aarch64"),
        ({"wheels": True, "python": "three"}, UsageError, "'three' is not the version of a Python"),
        ({"wheels": True, "profile": "orange-pi-5"}, UsageError, "the profile does not say"),
        ({"python": "3.11"}, UsageError, "no wheels are asked for"),
    ],
)
def test_a_python_that_makes_no_sense_is_refused_before_any_work(
    checkpoint: Path, tmp_path: Path, changes: dict[str, object], error: type[EdgepackError], said: str
) -> None:
    with pytest.raises(error, match=said):
        prepare(order(checkpoint, tmp_path, **changes), Silent())


def test_every_pinned_wheel_has_a_digest_and_a_safe_name() -> None:
    for python in ("3.11", "3.12", "3.13", "3.14"):
        for architecture in ("aarch64", "x86_64"):
            wheels = pinned_wheels(WheelPlatform(python=python, architecture=architecture))
            assert [wheel.name for wheel in wheels] == ["numpy", "onnxruntime", "tokenizers"]
            assert all(architecture in wheel.file for wheel in wheels)


def test_llama_cpp_is_not_asked_to_load_it(built: Built, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", str(built.weights.path)]) == 4
    what, hint = capsys.readouterr().err.splitlines()[-2:]
    assert "an ONNX file, which llama.cpp does not load" in what
    assert "./bench" in hint
