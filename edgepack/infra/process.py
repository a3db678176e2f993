"""The one place that starts programs: argument lists only, no shell, foreign failures translated."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Completed:
    """What a finished program left: exit status (negative: the signal that ended it) and its text."""

    status: int
    stdout: str
    stderr: str


class ProgramMissing(Exception):
    """The program is not installed here."""


class ProgramTimeout(Exception):
    """The program did not end in time and was killed."""


def find_program(name: str) -> Path | None:
    """Where PATH has `name`, if it does."""
    found = shutil.which(name)
    return Path(found) if found else None


def run(
    arguments: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    text_in: str | None = None,
    timeout: float | None = None,
) -> Completed:
    """Run a program to its end and return what it left.

    `timeout` is in seconds. Raises ProgramMissing and ProgramTimeout; a non-zero status is not an exception.
    """
    try:
        done = subprocess.run(
            [str(argument) for argument in arguments],
            cwd=cwd, env=environment, input=text_in, timeout=timeout,
            stdin=subprocess.DEVNULL if text_in is None else None,
            capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise ProgramMissing(str(arguments[0])) from error
    except subprocess.TimeoutExpired as error:
        raise ProgramTimeout(f"{arguments[0]}: no end after {timeout} s") from error
    return Completed(status=done.returncode, stdout=done.stdout, stderr=done.stderr)
