"""The one voice of the command line: results to stdout, progress and complaints to stderr."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from typing import TYPE_CHECKING, Any

import click

from edgepack.domain.errors import EdgepackError
from edgepack.domain.progress import Bar

if TYPE_CHECKING:
    from tqdm import tqdm


class Mode(StrEnum):
    """How results are shown."""

    HUMAN = "human"
    JSON = "json"
    QUIET = "quiet"


class _TqdmBar:
    def __init__(self, bar: "tqdm[Any]") -> None:
        self._bar = bar
        self._lock = Lock()

    def advance(self, amount: int) -> None:
        with self._lock:
            self._bar.update(amount)


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """Shows results, and listens to long work as its `Progress`."""

    mode: Mode = Mode.HUMAN

    def result(self, verb: str, data: Mapping[str, object], show: Callable[[], str]) -> None:
        """Print `data` as one JSON object that names its schema, or what `show` makes for people."""
        if self.mode is Mode.JSON:
            click.echo(json.dumps({"schema": f"edgepack.{verb}/1", **data}, indent=2, ensure_ascii=False))
        elif self.mode is Mode.HUMAN:
            click.echo(show())

    def step(self, text: str) -> None:
        if self.mode is not Mode.QUIET:
            click.echo(f"{click.style('==>', fg='cyan')} {text}", err=True)

    def warn(self, text: str) -> None:
        click.echo(f"{click.style('warning:', fg='yellow')} {text}", err=True)

    @contextmanager
    def bar(self, label: str, total: int | None, unit: str) -> Iterator[Bar]:
        from tqdm import tqdm

        # A log file or a Make pipeline gets the steps, not a thousand redrawn bars.
        hidden = self.mode is Mode.QUIET or not sys.stderr.isatty()
        with tqdm(
            total=total, desc=f"    {label}", unit=unit, unit_scale=unit == "B", leave=False,
            disable=hidden, file=sys.stderr, dynamic_ncols=True,
        ) as drawn:  # fmt: skip
            yield _TqdmBar(drawn)


def show_error(error: EdgepackError) -> None:
    """Two lines on stderr: what and where, then what to do next."""
    click.echo(f"{click.style('error:', fg='red')} {_one_line(error.what)}", err=True)
    click.echo(f"  {click.style('next:', fg='green')} {_one_line(error.hint)}", err=True)


def _one_line(text: str) -> str:
    return " ".join(text.split())
