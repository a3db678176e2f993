"""What a long step may say while it works; who listens (a terminal, a log, nobody) is not its business."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Bar(Protocol):
    """One piece of long work with a known or unknown end."""

    def advance(self, amount: int) -> None:
        """Say that `amount` more units are done; safe to call from worker threads."""


class Progress(Protocol):
    """The listener that stages and converters are given."""

    def step(self, text: str) -> None:
        """Say what begins now, in one line."""

    def warn(self, text: str) -> None:
        """Say what the user should know although the work goes on, in one line."""

    def bar(self, label: str, total: int | None, unit: str) -> AbstractContextManager[Bar]:
        """Open a bar; `unit` is "B" for bytes, which are shown scaled, or a plain noun."""


class _SilentBar:
    def advance(self, amount: int) -> None:
        """Nobody listens."""


class Silent:
    """A listener for library use and tests: hears everything, says nothing."""

    def step(self, text: str) -> None:
        """Nobody listens."""

    def warn(self, text: str) -> None:
        """Nobody listens."""

    @contextmanager
    def bar(self, label: str, total: int | None, unit: str) -> Iterator[Bar]:
        yield _SilentBar()
