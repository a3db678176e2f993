"""The examples of docs/examples: what they say, done by the real Make and Kconfig as far as these go."""

import os
import shutil
import sys
from pathlib import Path
from subprocess import run as start

import pytest

from edgepack.cli.main import run
from tests.conftest import ROOT

EXAMPLES = ROOT / "docs" / "examples"
pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="needs make")

# What Buildroot's own infrastructure sets before it includes a package, and the two steps of it that run commands.
BUILDROOT = """\
BR2_EXTERNAL_EDGEPACK_PATH := {external}
BR2_PACKAGE_EDGEPACK_MODEL_PROFILE := "rpi5"
BR2_PACKAGE_EDGEPACK_MODEL_MODEL := "demo-1m"
BR2_PACKAGE_EDGEPACK_MODEL_QUANT := ""
BR2_PACKAGE_EDGEPACK_MODEL_FLAGS := "--runtime none --gates none"
TARGET_DIR := {target}
export CC := /nonexistent/aarch64-gcc
generic-package :=
include $(BR2_EXTERNAL_EDGEPACK_PATH)/external.mk
{build}/built: ; $(EDGEPACK_MODEL_BUILD_CMDS)
{build}/installed: {build}/built ; $(EDGEPACK_MODEL_INSTALL_TARGET_CMDS)
"""


@pytest.fixture(autouse=True)
def edgepack_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`edgepack`, whatever environment the tests run in."""
    program = tmp_path / "bin" / "edgepack"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m edgepack "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


def test_the_firmware_example_fills_an_image(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "firmware", tmp_path / "firmware")
    done = start(["make", "-C", str(tmp_path / "firmware"), "-j2", "image"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    image = tmp_path / "firmware" / "build" / "rootfs" / "usr" / "lib" / "edgepack"
    assert {path.name for path in image.iterdir()} == {"commands", "chat"}
    assert run(["verify", str(image / "chat"), "--no-run", "--quiet"]) == 0


def test_the_buildroot_package_builds_and_installs_its_bundle(tmp_path: Path) -> None:
    build, target = tmp_path / "build", tmp_path / "target"
    shutil.copytree(EXAMPLES / "buildroot" / "package" / "edgepack-model", build)
    words = {"external": EXAMPLES / "buildroot", "build": build, "target": target}
    (tmp_path / "Makefile").write_text(BUILDROOT.format(**words))
    done = start(["make", "-C", str(tmp_path), f"{build}/installed"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert run(["verify", str(target / "usr" / "lib" / "edgepack" / "model"), "--quiet"]) == 0


@pytest.mark.skipif(not shutil.which("kconfig-conf"), reason="needs kconfig-conf (Debian: kconfig-frontends-nox)")
def test_kconfig_reads_the_buildroot_menus(tmp_path: Path) -> None:
    (tmp_path / "want").write_text("BR2_PACKAGE_EDGEPACK_MODEL=y\n")
    # What Buildroot writes before it sources an external tree's menu.
    (tmp_path / "Config.in").write_text(
        'config BR2_EXTERNAL_EDGEPACK_PATH\n\tstring\n\toption env="BR2_EXTERNAL_EDGEPACK_PATH"\n'
        f'source "{EXAMPLES / "buildroot" / "Config.in"}"\n'
    )
    environment = {
        **os.environ, "BR2_EXTERNAL_EDGEPACK_PATH": str(EXAMPLES / "buildroot"), "CONFIG_": "",
        "KCONFIG_CONFIG": str(tmp_path / "config"),
    }  # fmt: skip
    words = ["kconfig-conf", f"--defconfig={tmp_path / 'want'}", str(tmp_path / "Config.in")]
    done = start(words, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'BR2_PACKAGE_EDGEPACK_MODEL_PROFILE="rpi5"' in (tmp_path / "config").read_text()


def test_the_yocto_recipe_calls_options_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    (recipe,) = (EXAMPLES / "meta-edgepack").rglob("*.bb")
    assert run(["build", "--help"]) == 0
    known = capsys.readouterr().out
    called = recipe.read_text().split("edgepack build", 1)[1].split("}\n\ndo_install")[0]
    options = [word for word in called.split() if word.startswith("--")]
    assert options
    assert all(option in known for option in options)
