"""Mutants of a decoder's files never end the process or keep it: each is refused, or gives logits."""

import subprocess
import sys
from pathlib import Path

import pytest

from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.stages.decoder import decoder_to
from tests.conftest import ROOT
from tests.fakes.decoders import decoder_checkpoint, decoder_gguf

_HANGS = 600
"""Seconds; a hundred take a few."""


@pytest.fixture(scope="module", params=["llama", "qwen3"])
def decoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, vocabularies: Path) -> Path:
    directory = tmp_path_factory.mktemp("decoder")
    checkpoint = decoder_checkpoint(request.param, directory / "checkpoint", vocabularies)
    gguf = decoder_gguf(checkpoint, Quant.Q4_0, directory / "decoder.gguf")
    decoder_to(directory / "decoder.onnx", gguf, allow_over_3b=False, progress=Silent())
    return directory / "decoder.onnx"


def endings(decoder: Path, first: int, count: int) -> list[str]:
    command = [sys.executable, "-m", "tests.engines.onnx_decoder_mutants", decoder, str(first), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=_HANGS)
    ended = done.stdout.split()
    assert set(ended) <= {"error", "logits"}, done.stdout[-2000:]
    assert done.returncode == 0, f"mutant {first + len(ended)}: {done.stderr[-2000:]}"
    return ended


def test_fifty_mutants_end_as_errors_or_logits(decoder: Path) -> None:
    ended = endings(decoder, 0, 50)
    assert len(ended) == 50
    assert set(ended) == {"error", "logits"}


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1500, 100))
def test_a_thousand_mutants_end_as_errors_or_logits(decoder: Path, first: int) -> None:
    """Five hundred of each of two files."""
    assert len(endings(decoder, first, 100)) == 100
