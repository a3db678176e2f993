"""Without the onnx extra other verbs work, and what needs it says how to get it: in an environment without it."""

import os
import shutil
import site
import subprocess
import sys
from pathlib import Path

import pytest

from edgepack.domain.errors import ExitCode
from edgepack.pipeline import Built
from tests.conftest import ROOT

HINT = "next: install it with: pip install 'edgepack[onnx]'"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All packages that this Python has, but for those of the extra."""
    place = tmp_path_factory.mktemp("packages")
    for directory in site.getsitepackages():
        for entry in Path(directory).iterdir():
            if not entry.name.startswith(("onnx", "__editable__")) and not (place / entry.name).exists():
                (place / entry.name).symlink_to(entry)
    return place


def edgepack(packages: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """The command in that environment; -S keeps out the one that runs the tests."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{packages}"}
    return subprocess.run(
        [sys.executable, "-S", "-m", "edgepack", *words], capture_output=True, text=True, env=environment, timeout=300
    )


def test_the_environment_has_no_onnx(packages: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    for name in ("onnx", "onnxruntime"):
        done = subprocess.run([sys.executable, "-S", "-c", f"import {name}"], capture_output=True, env=environment)
        assert b"ModuleNotFoundError" in done.stderr
    assert not subprocess.run([sys.executable, "-S", "-c", "import numpy, tokenizers"], env=environment).returncode


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["profile", "show", "rpi5"],
        ["model", "list"],
        ["task", "list"],
        ["pick", "--profile", "rpi5"],
        ["cache", "list"],
        ["convert", "demo-1m", "--quant", "Q8_0", "--out", "demo.gguf"],
        ["build", "--profile", "rpi5", "--model", "demo-1m", "--no-bench", "--gates", "none", "--out", "demo"],
    ],
    ids=lambda words: words[0],
)
def test_other_verbs_work(packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    done = edgepack(packages, *words)
    assert done.returncode == 0, done.stderr


def test_every_byte_of_an_encoder_is_checked_without_it(packages: Path, built: Built) -> None:
    """And weights that lie elsewhere are found: nothing is asked of the engine."""
    assert edgepack(packages, "verify", built.bundle.path, "--no-run").returncode == 0


@pytest.mark.parametrize("verb", ["convert", "eval", "build", "build-ready", "verify"])
def test_what_needs_it_says_how_to_get_it(
    packages: Path, built: Built, checkpoint: Path, tmp_path: Path, verb: str
) -> None:
    """In two lines, with the code of usage, and nothing half-made stays."""
    ready = Path(shutil.copy(next((built.bundle.path / "model").glob("*.onnx")), tmp_path / "ready.onnx"))
    out = tmp_path / "out"
    words: dict[str, list[str | Path]] = {
        "convert": ["convert", checkpoint, "--to", "onnx", "--out", out],
        "eval": ["eval", ready, "--task", "sentiment"],
        "build": ["build", "--profile", "rpi5", "--model", checkpoint, "--out", out],
        "build-ready": ["build", "--profile", "rpi5", "--model", ready, "--out", out],
        "verify": ["verify", built.bundle.path],
    }
    done = edgepack(packages, *words[verb])
    assert done.returncode == ExitCode.USAGE, done.stderr
    what, hint = done.stderr.splitlines()[-2:]
    assert what.startswith("error: ONNX: onnx")
    assert hint.strip() == HINT
    assert not out.exists()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "home") == ["ready.onnx"]
