"""A GGUF that answers a task: it writes or scores; one that gives vectors answers with the nearest label."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgepack.domain.answering import Answered
from edgepack.domain.task import Example, Labels, Task
from edgepack.engines.llamacpp import OpenModel, opened
from edgepack.engines.llamacpp_asking import answer_each, task_prompt
from edgepack.engines.llamacpp_embedding import embed_each, embeds
from edgepack.engines.nearest import nearest_each
from edgepack.engines.respondent import Respondent


@dataclass(frozen=True, kw_only=True, slots=True)
class _Writer:
    model: OpenModel
    task: Task
    threads: int
    cpus: tuple[int, ...] | None

    def prompt(self, example: Example) -> str:
        return task_prompt(self.model, self.task, example)

    def answer_each(self, prompts: Sequence[str]) -> Iterator[Answered]:
        return answer_each(self.model, self.task, prompts, threads=self.threads, cpus=self.cpus)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Encoder:
    model: OpenModel
    task: Task
    threads: int
    cpus: tuple[int, ...] | None

    def prompt(self, example: Example) -> str:
        return self.task.words(example)

    def answer_each(self, prompts: Sequence[str]) -> Iterator[Answered]:
        return nearest_each(partial(embed_each, self.model, threads=self.threads, cpus=self.cpus), self.task, prompts)


@contextmanager
def llamacpp_respondent(
    weights: Path, task: Task, *, threads: int, cpus: tuple[int, ...] | None
) -> Iterator[Respondent]:
    """Load a GGUF for a task; raises what `opened` raises."""
    with opened(weights) as model:
        kind = _Encoder if isinstance(task.form, Labels) and embeds(model) else _Writer
        yield kind(model=model, task=task, threads=threads, cpus=cpus)
