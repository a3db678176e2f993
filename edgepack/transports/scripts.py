"""The scripts that the device runs, filled in; every value becomes exactly one word of POSIX sh."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import BinaryIO

from edgepack.domain.errors import UsageError

BLOCK = 1 << 16
"""Bytes; guard.sh counts in them where an input goes on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Intake:
    """Input for the device: `size` bytes of `source`, which follow the `begin` bytes that are there already.

    `into` is a file on the device, "" for the command's stdin; `begin` is a multiple of BLOCK.
    """

    source: BinaryIO
    size: int
    into: str = ""
    begin: int = 0


def intake_of(stdin: bytes) -> Intake | None:
    """A command's stdin; None where it is nothing."""
    return Intake(source=BytesIO(stdin), size=len(stdin)) if stdin else None


def guarded(argv: Sequence[str], *, word: str, root: str, period: int, intake: Intake | None, merged: bool) -> str:
    """guard.sh around a command."""
    values = {
        "word": word,
        "root": root,
        "period": str(period),
        "bytes": str(intake.size if intake else 0),
        "into": intake.into if intake else "",
        "seek": str(intake.begin // BLOCK if intake else 0),
        "total": str(intake.begin + intake.size if intake else 0),
        "merged": "1" if merged else "",
    }
    return _called("guard", values, argv)


def hello(*, word: str, wanted: str) -> str:
    """hello.sh, looking at the place that is `wanted`, or at the usual ones where that is ""."""
    return _called("hello", {"word": word, "wanted": wanted}, ())


def settle(part: str, place: str, *, mode: str, sha256: str) -> list[str]:
    """The command that gives a file its name after comparing its digest, unless that is ""."""
    return ["sh", "-c", _text("settle"), "sh", part, place, mode, sha256]


def survey(place: str, part: str, directory: str) -> list[str]:
    """The command that prints two files' sizes and the free KiB of a directory's disk."""
    return ["sh", "-c", _text("survey"), "sh", place, part, directory]


def _called(name: str, values: dict[str, str], argv: Sequence[str]) -> str:
    settings = "".join(f"ep_{key}={_quoted(value)}\n" for key, value in values.items())
    call = " ".join([f"ep_{name}", *(_quoted(word) for word in argv)])
    return f"ep_all() {{\n{settings}{_text(name)}{call}\n}}\nep_all"


def _quoted(text: str) -> str:
    if "\0" in text:
        raise UsageError(f"{text!r}: no program can be given a NUL", hint="leave it away, or send it by stdin")
    return shlex.quote(text)


@cache
def _text(name: str) -> str:
    """The script without its comments and indents: the device reads it a byte at a time."""
    text = files("edgepack.transports").joinpath(f"{name}.sh").read_text(encoding="utf-8")
    lines = (line.lstrip() for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("#"))
