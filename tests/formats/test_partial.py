"""Directories beside a destination: the living are left alone, the dead are cleared away."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgepack.formats.partial import partial_directory, remove_stale

HOLD = """
import sys
from pathlib import Path
from edgepack.formats.partial import partial_directory
with partial_directory(Path(sys.argv[1])) as path:
    (path / "new").write_text("half")
    print(path, flush=True)
    sys.stdin.readline()
"""


def holder(destination: Path) -> tuple["subprocess.Popen[str]", Path]:
    """A process that holds a partial directory until its stdin ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(destination)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_it_is_gone_afterwards_also_after_an_error(tmp_path: Path) -> None:
    def fails() -> None:
        with partial_directory(tmp_path / "x") as path:
            (path / "new").mkdir()
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert not list(tmp_path.iterdir())


def test_a_living_makers_directory_is_left_alone(tmp_path: Path) -> None:
    process, path = holder(tmp_path / "x")
    try:
        remove_stale(tmp_path / "x")
        assert (path / "new").read_text() == "half"
    finally:
        process.communicate("\n", timeout=60)
    assert not list(tmp_path.iterdir())


def test_a_killed_makers_directory_is_cleared_by_the_next(tmp_path: Path) -> None:
    process, path = holder(tmp_path / "x")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert path.exists()
    with partial_directory(tmp_path / "x") as mine:
        assert [mine] == list(tmp_path.iterdir())


def test_nothing_but_our_own_directories_is_removed(tmp_path: Path) -> None:
    others = [".x.edgepack-partial-1", ".x.edgepack-partial-0123456789abcdeg", ".y.edgepack-partial-0123456789abcdef"]
    for name in others:
        (tmp_path / name).mkdir()
    (tmp_path / ".x.edgepack-partial-0123456789abcdef").write_text("a file")
    (tmp_path / ".x.edgepack-partial-0123456789abcdee").symlink_to(tmp_path / others[0])
    (tmp_path / ".x.edgepack-partial-0123456789abcded").mkdir()
    remove_stale(tmp_path / "x")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*others, ".x.edgepack-partial-0123456789abcdef", ".x.edgepack-partial-0123456789abcdee"}
