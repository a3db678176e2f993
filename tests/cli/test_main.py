"""The command itself: help without imports, versions, and how foreign failures become two lines."""

import errno
import sys
from pathlib import Path
from subprocess import run as start

import click
import pytest

from edgepack import __version__
from edgepack.cli.main import VERBS, edgepack, run
from edgepack.domain.errors import ExitCode

HEAVY = (
    "numpy",
    "gguf",
    "llama_cpp",
    "huggingface_hub",
    "tokenizers",
    "sentencepiece",
    "tqdm",
    "yaml",
    "jinja2",
    "vl_convert",
)


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == ExitCode.DONE
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_its_file_and_its_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([verb, "--help"]) == ExitCode.DONE
    assert f"Usage: edgepack {verb}" in capsys.readouterr().out


def test_help_imports_nothing_heavy() -> None:
    """Start-up stays short because the libraries wait until they are used."""
    code = f"""
import sys
from edgepack.cli.main import run
run(["--help"])
run(["build", "--help"])
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    done = start([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == ExitCode.DONE
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["surprise"], ["--surprise"], ["cache", "surprise"]])
def test_unknown_words_end_with_2_and_two_lines(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == ExitCode.USAGE
    shown = capsys.readouterr()
    what, hint = shown.err.splitlines()
    assert shown.out == ""
    assert what.startswith("error: No such ")
    assert hint.endswith("--help shows what it takes")


def ends(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    """The exit code when a verb ends in this error."""

    @click.command()
    def failing() -> None:
        raise error

    monkeypatch.setattr(edgepack, "get_command", lambda _context, _name: failing)
    return run(["verb"])


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(errno.ENOSPC, "full", "/disk/file"), ExitCode.NO_SPACE, "no space left while writing /disk/file"),
        (OSError(errno.EDQUOT, "quota"), ExitCode.NO_SPACE, "no space left while writing a file"),
        (MemoryError(), ExitCode.NO_SPACE, "out of memory"),
        (PermissionError(errno.EACCES, "Permission denied", "/root/x"), ExitCode.USAGE, "/root/x: Permission denied"),
        (OSError(errno.EROFS, "Read-only file system", "/x"), ExitCode.USAGE, "/x: Read-only file system"),
    ],
)
def test_what_the_system_refuses_is_said_in_two_lines(
    error: Exception, code: ExitCode, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(monkeypatch, error) == code
    what, hint = capsys.readouterr().err.splitlines()
    assert what == f"error: {words}"
    assert hint.startswith("  next: ")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interruption_ends_with_130(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(monkeypatch, error) == ExitCode.INTERRUPTED
    assert capsys.readouterr().err.strip().startswith("interrupted;")


def test_a_reader_that_goes_away_is_no_failure() -> None:
    done = start(
        f"{sys.executable} -m edgepack profile list | head -n 1; exit ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (ExitCode.DONE, "")


@pytest.mark.parametrize("error", [OSError(errno.EIO, "broken"), ZeroDivisionError()])
def test_a_bug_shows_where_it_is(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing swallows what nobody expected."""
    with pytest.raises(type(error)):
        ends(monkeypatch, error)


def test_the_module_runs_as_the_command(tmp_path: Path) -> None:
    done = start([sys.executable, "-m", "edgepack", "--version"], capture_output=True, text=True, check=True)
    assert __version__ in done.stdout
