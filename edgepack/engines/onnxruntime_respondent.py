"""An ONNX encoder that answers a task of labels: by its own classes, or with the nearest label."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np

from edgepack.domain.answering import Answered
from edgepack.domain.encoder import Gives
from edgepack.domain.errors import BadInputError
from edgepack.domain.task import Example, Labels, Task
from edgepack.engines.nearest import nearest_each
from edgepack.engines.onnxruntime_embedding import embed_each
from edgepack.engines.onnxruntime_library import OpenEncoder, encoded, open_encoder, run
from edgepack.engines.respondent import Respondent
from edgepack.infra.load import on_cpus


@dataclass(frozen=True, kw_only=True, slots=True)
class _Nearest:
    encoder: OpenEncoder
    task: Task

    def prompt(self, example: Example) -> str:
        return self.task.words(example)

    def answer_each(self, prompts: Sequence[str]) -> Iterator[Answered]:
        return nearest_each(partial(embed_each, self.encoder), self.task, prompts)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Classifier:
    encoder: OpenEncoder
    task: Task

    def prompt(self, example: Example) -> str:
        return self.task.words(example)

    def answer_each(self, prompts: Sequence[str]) -> Iterator[Answered]:
        labels = self.encoder.said.labels
        for number, prompt in enumerate(prompts, 1):
            encoding = encoded(self.encoder, prompt, number)
            began = perf_counter()
            scores = run(self.encoder, encoding)
            best = int(scores.argmax())
            seconds = perf_counter() - began
            yield Answered(
                text=labels[best], whole=True, confidence=1 / float(np.exp(scores - scores[best]).sum()),
                prompt_tokens=len(encoding.ids), tokens=0, first_token=seconds, seconds=seconds,
            )  # fmt: skip


def _no_answer(encoder: OpenEncoder, what: str) -> BadInputError:
    return BadInputError(
        f"{encoder.path}: {what}",
        hint="an encoder of vectors answers any labels; one of classes, the labels that it was trained for",
    )


@contextmanager
def onnxruntime_respondent(
    weights: Path, task: Task, *, threads: int, cpus: tuple[int, ...] | None
) -> Iterator[Respondent]:
    """Load an encoder for a task of labels; raises BadInputError for other tasks and for other classes."""
    with on_cpus(cpus):
        encoder = open_encoder(weights, threads=threads)
        if not isinstance(task.form, Labels):
            raise _no_answer(encoder, "an encoder, which writes no text")
        match encoder.said.gives:
            case Gives.VECTOR:
                yield _Nearest(encoder=encoder, task=task)
            case Gives.CLASSES if set(encoder.said.labels) == set(task.form.labels):
                yield _Classifier(encoder=encoder, task=task)
            case _:
                classes = ", ".join(encoder.said.labels[:8])
                raise _no_answer(encoder, f"gives {encoder.said.gives} ({classes}), not the task's labels")
