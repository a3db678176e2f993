"""The demo bundle, built here for a board of another architecture and deployed there, with a real llama.cpp."""

import os
import shutil
from pathlib import Path

import pytest

from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode, VerificationError
from tests.fakes.deployable import make_deployable
from tests.transports.labs import Lab
from tests.transports.test_deploy import current, deployed, releases

pytestmark = pytest.mark.slow

ANOTHER_MACHINE = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xf3\x00\x01" + bytes(4000)
"""The beginning of a program for riscv64."""


@pytest.fixture
def runtime() -> Path:
    said = os.environ.get("EDGEPACK_AARCH64_RUNTIME")
    if not said:
        pytest.skip("EDGEPACK_AARCH64_RUNTIME names no directory with a `llama` for the Cortex-A76")
    return Path(said)


@pytest.mark.parametrize("lab", ["ssh-aarch64", "adb-aarch64"], indirect=True)
def test_the_demo_is_tested_there_and_stays_when_the_next_one_fails(lab: Lab, runtime: Path, tmp_path: Path) -> None:
    shutil.rmtree(lab.home / "to", ignore_errors=True)
    words = ["--profile", "rpi5", "--model", "demo", "--runtime", str(runtime), "--no-bench", "--quiet"]
    assert run(["build", *words, "--out", str(tmp_path / "demo")]) == ExitCode.DONE
    first = deployed(lab, tmp_path / "demo")
    assert first.selftest == "selftest: all right"
    assert first.brought == first.size
    with pytest.raises(VerificationError, match="the old release still serves"):
        deployed(lab, make_deployable(tmp_path / "bad", runtime=ANOTHER_MACHINE))
    assert current(lab) == first.release
    assert releases(lab) == [first.release]
    with lab.open() as device:
        asked = [f"{lab.home}/to/current/run", "dim the kitchen lamp to 30"]
        assert '"set_brightness"' in device.run(asked, timeout=300).stdout
