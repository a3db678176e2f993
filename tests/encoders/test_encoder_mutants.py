"""Spoilt bundles of encoders never end the process or keep it: each is refused with its code, or does as before."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgepack.pipeline import Built
from tests.conftest import ROOT

_HANGS = 1200
"""Seconds; a hundred take half a minute."""
_TOLD = {"done", "4", "7"}
"""It is done, bad input, or not what it says."""


def endings(built: Built, checkpoint: Path, first: int, count: int) -> list[str]:
    command = [
        sys.executable, "-m", "tests.encoders.encoder_bundle_mutants",
        built.bundle.path, checkpoint, str(first), str(count),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=_HANGS)
    ended = done.stdout.split()
    assert done.returncode == 0, f"mutant {first + len(ended)}: {done.stderr[-2000:]}"
    assert set(ended) <= _TOLD, done.stdout[-2000:]
    return ended


def test_forty_two_spoilt_bundles_end_with_a_code(built: Built, checkpoint: Path) -> None:
    ended = endings(built, checkpoint, 0, 42)
    assert len(ended) == 42
    assert {"4", "7"} <= set(ended)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(10_000, 11_000, 100))
def test_a_thousand_spoilt_bundles_end_with_a_code(built: Built, checkpoint: Path, first: int) -> None:
    assert len(endings(built, checkpoint, first, 100)) == 100
