"""What runs an encoder on a device, started as there: its answers, its self-test, and how it ends."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgepack.domain.encoder import Gives
from edgepack.domain.errors import (
    VerificationError,
)
from edgepack.domain.progress import Silent
from edgepack.domain.quant import OnnxQuant
from edgepack.pipeline import Built
from edgepack.stages.verify import verify
from tests.fakes.encoder_bundles import TEXTS, copied, started, turn_first
from tests.fakes.resummed import resum


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


def test_bench_tells_milliseconds_a_text(built: Built) -> None:
    seen = json.loads(started(built.bundle.path, "bench", "--json").stdout)
    assert seen["texts"] == 10
    assert len(seen["samples"]) == 5
    assert seen["ms_per_text"] > 0
    assert "ms a text" in started(built.bundle.path, "bench").stdout


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


@pytest.mark.parametrize("script", ["run", "bench", "selftest"])
def test_shellcheck_has_nothing_to_say(built: Built, script: str) -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("no shellcheck here")
    done = subprocess.run(["shellcheck", built.bundle.path / script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
