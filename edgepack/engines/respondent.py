"""The seam between an evaluation and the engines: open weights that answer a task's examples."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from edgepack.domain.answering import Answered
from edgepack.domain.task import Example


class Respondent(Protocol):
    """Weights opened for one task."""

    def prompt(self, example: Example) -> str:
        """What the weights read of an example; with the same prompt they give the same answer."""

    def answer_each(self, prompts: Sequence[str]) -> Iterator[Answered]:
        """The answer to each, in the form that the task asks for; raises BadInputError for what they cannot read."""
