"""The device's scripts: sound by themselves, harmless in part, with every value one word."""

import io
import random
import shutil
from pathlib import Path
from subprocess import run

import pytest

import edgepack.transports
from edgepack.domain.device import LocalDevice
from edgepack.domain.errors import UsageError
from edgepack.transports import scripts
from edgepack.transports.failures import RefusedError
from edgepack.transports.opening import open_transport

SCRIPTS = sorted(Path(edgepack.transports.__path__[0]).glob("*.sh"))
SHELLS = [shell for shell in ("dash", "bash", "mksh", "busybox") if shutil.which(shell)]


def words(shell: str) -> list[str]:
    return [shell, "sh"] if shell == "busybox" else [shell]


def guarded(argv: list[str], root: Path) -> str:
    intake = scripts.Intake(source=io.BytesIO(), size=0)
    return scripts.guarded(argv, word="0123456789abcdef", root=str(root), period=9, intake=intake, merged=False)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    done = run(["shellcheck", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_there_are_scripts() -> None:
    assert {path.stem for path in SCRIPTS} == {"facts", "guard", "hello", "releases", "settle", "survey", "timed"}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_that_comes_in_part_does_nothing(shell: str, tmp_path: Path) -> None:
    """A cut connection leaves the device's shell with any beginning of it."""
    text = guarded(["touch", str(tmp_path / "ran")], tmp_path / "root")
    seeded = random.Random(3)
    ends = [*range(len(text) - 12, len(text)), *(seeded.randrange(len(text)) for _ in range(30))]
    for end in ends:
        run(
            [*words(shell), "-c", 'eval "$1"', "sh", text[:end]],
            input="",
            capture_output=True,
            text=True,
            check=False,
        )
        assert list(tmp_path.iterdir()) == [], text[:end][-40:]
    done = run([*words(shell), "-c", 'eval "$1"', "sh", text], input="", capture_output=True, text=True, check=False)
    assert "0123456789abcdef c " in done.stdout or not list((tmp_path / "root").glob("runs/*/*"))


def test_what_is_sent_has_no_comments() -> None:
    """The device reads it a byte at a time."""
    text = guarded(["true"], Path("/x"))
    assert not [line for line in text.splitlines() if line.startswith((" ", "#"))]


def test_a_nul_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(UsageError, match="NUL"):
        guarded(["a\0b"], Path("/x"))


def test_the_first_usable_place_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPACK_HOME", "/dev/null")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path / "a home"))
    with open_transport(LocalDevice()) as device:
        assert device.root == str(tmp_path / "a home" / ".cache" / "edgepack" / "device")
        assert device.run(["pwd"]).stdout.startswith(device.root)


def test_a_place_that_was_asked_for_is_taken_or_refused(tmp_path: Path) -> None:
    with open_transport(LocalDevice(), root=str(tmp_path / "it's here")) as device:
        assert device.root == str(tmp_path / "it's here")
        assert device.run(["echo", "ok"]).stdout == "ok\n"
    with pytest.raises(RefusedError, match="nowhere to put files that may also run: tried /dev/null/x"):
        open_transport(LocalDevice(), root="/dev/null/x")
