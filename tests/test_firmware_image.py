"""The image of docs/examples/image, booted: a kernel, busybox, and a bundle that tests itself and answers."""

import os
import shutil
import sys
from pathlib import Path
from subprocess import DEVNULL
from subprocess import run as start

import pytest

from tests.conftest import ROOT, USERS_STORE

_NEEDED = ("make", "apt-get", "dpkg-deb", "cpio", "qemu-system-aarch64")
_SECONDS = 900


@pytest.mark.slow
@pytest.mark.skipif(not all(map(shutil.which, _NEEDED)), reason=f"needs {', '.join(_NEEDED)}")
def test_an_image_boots_to_a_passed_self_test_and_an_answer(tmp_path: Path) -> None:
    """The runtime is the user's store's, or is built into it: minutes, once."""
    image, programs = tmp_path / "image", tmp_path / "bin"
    shutil.copytree(ROOT / "docs" / "examples" / "image", image)
    programs.mkdir()
    (programs / "edgepack").write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m edgepack "$@"\n')
    (programs / "edgepack").chmod(0o755)
    environment = {
        **os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "EDGEPACK_HOME": str(USERS_STORE),
        "EDGEPACK_BUILD_RUNTIME": "build",
    }  # fmt: skip
    built = start(["make", "-C", str(image), "image"], env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    booted = start(
        ["make", "-C", str(image), "boot"],
        env=environment,
        capture_output=True,
        text=True,
        stdin=DEVNULL,
        timeout=_SECONDS,
    )
    print(booted.stdout)
    assert "self-test passed" in booted.stdout
    assert '"intent":"set_brightness"' in booted.stdout.split("answer: ", 1)[1]
    assert "Power down" in booted.stdout
