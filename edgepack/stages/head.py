"""An encoder of vectors and a task of labels become one classifier: a head is fitted, or made of where labels lie."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.convert.onnx.attaching import with_head
from edgepack.convert.onnx.fitting import INVERSE_STRENGTH, LinearHead, fit_head, head_of, library
from edgepack.domain.encoder import HEAD_KEY, EncoderDescription, Gives
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Progress
from edgepack.domain.step import Step
from edgepack.domain.task import Example, Labels, Task
from edgepack.domain.weights import Weights
from edgepack.engines.embedding import stacked
from edgepack.engines.nearest import label_matrix
from edgepack.engines.onnxruntime_embedding import embed_each
from edgepack.engines.onnxruntime_library import OpenEncoder, identify, open_encoder
from edgepack.formats.partial import partial_directory
from edgepack.infra.kept import keep_file
from edgepack.infra.store import Store

if TYPE_CHECKING:
    from edgepack.engines.embedding import Embedded, EmbedEach

_TOOL = "edgepack-head/1"
"""Raised whenever the same examples give another head."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Lesson:
    """What is learnt from."""

    task: Task
    labels: tuple[str, ...]
    examples: tuple[Example, ...]

    @property
    def whole(self) -> bool:
        """Whether every label has an example."""
        return {example.answer for example in self.examples} == set(self.labels)

    @property
    def digest(self) -> str:
        rows = [[self.task.words(example), example.answer] for example in self.examples]
        return sha256(json.dumps([self.labels, rows]).encode()).hexdigest()

    @property
    def way(self) -> str:
        """How the head is made."""
        return f"{library()}, logistic regression, C {INVERSE_STRENGTH:g}" if self.whole else "nearest label"


def head_to(
    path: Path, encoder: Path, task: Task, *, shots: int | None = None, threads: int, progress: Progress
) -> Weights:
    """The classifier, written to `path`; an error leaves what stood there.

    Fitted on what the task teaches, of each label the first `shots`, where every label has an example; else labels
    score by nearness, as `nearest_each` has it. It is fitted on the vectors that `encoder` itself gives here: to what
    its quantization moves, and to how this CPU rounds. Raises BadInputError for an encoder that gives no vectors,
    and for a task without labels.
    """
    data = _made(encoder, _lesson(task, shots), threads, progress)
    with partial_directory(path) as partial:
        new = partial / "weights.onnx"
        new.write_bytes(data)
        new.replace(path)
    return identify(path)


def head_for(encoder: Weights, task: Task, *, store: Store, threads: int, progress: Progress) -> Weights:
    """The same, out of the store or made now."""
    lesson = _lesson(task, None)

    def make(path: Path) -> str:
        data = _made(encoder.path, lesson, threads, progress)
        path.write_bytes(data)
        return sha256(data).hexdigest()

    step = Step(
        name="head", inputs={"encoder": encoder.sha256, "examples": lesson.digest},
        parameters={"name": task.name, "way": lesson.way}, tool=_TOOL,
    )  # fmt: skip
    kept, _ = keep_file(store, step, "weights.onnx", make)
    return identify(kept.path)


def _lesson(task: Task, shots: int | None) -> _Lesson:
    if not isinstance(task.form, Labels):
        raise BadInputError(
            f"task {task.name}: its answers are no labels, and a head tells labels apart",
            hint="give a task with [answer] labels (docs/tasks.md)",
        )
    seen = Counter[str]()
    taken = []
    for example in task.taught:
        seen[example.answer] += 1
        if shots is None or seen[example.answer] <= shots:
            taken.append(example)
    return _Lesson(task=task, labels=task.form.labels, examples=tuple(taken))


def _made(encoder: Path, lesson: _Lesson, threads: int, progress: Progress) -> bytes:
    opened = open_encoder(encoder, threads=threads)
    if opened.said.gives is not Gives.VECTOR:
        raise BadInputError(
            f"{encoder}: gives {opened.said.gives}, and a head is fitted on vectors",
            hint="take an encoder that gives vectors, as all-MiniLM-L6-v2 does",
        )
    examples, labels = len(lesson.examples), len(lesson.labels)
    progress.step(f"a head for {lesson.task.name} by {lesson.way}: {labels} labels, {examples} examples")
    with progress.bar("vectors", examples, "text") as bar:
        head = _head(_counted(opened, bar.advance), lesson)
    description = _described(opened, lesson, head.matrix.size + head.bias.size)
    note = {"task": lesson.task.name, "examples": examples, "sha256": lesson.digest, "made": lesson.way}
    return with_head(encoder.read_bytes(), head, description, {HEAD_KEY: json.dumps(note, sort_keys=True)})


def _head(embed: "EmbedEach", lesson: _Lesson) -> LinearHead:
    if not lesson.whole:
        return head_of(label_matrix(embed, replace(lesson.task, train=lesson.examples, shown=())))
    vectors = stacked(embed, [lesson.task.words(example) for example in lesson.examples])
    return fit_head(vectors, [example.answer for example in lesson.examples], lesson.labels)


def _counted(encoder: OpenEncoder, advance: Callable[[int], None]) -> "EmbedEach":
    def embed(texts: Sequence[str]) -> "Iterator[Embedded]":
        for embedded in embed_each(encoder, texts):
            advance(1)
            yield embedded

    return embed


def _described(encoder: OpenEncoder, lesson: _Lesson, parameters: int) -> EncoderDescription:
    said = encoder.said
    return replace(
        said, name=f"{said.name}-{lesson.task.name}", parameters=said.parameters + parameters, gives=Gives.CLASSES,
        width=len(lesson.labels), labels=lesson.labels,
    )  # fmt: skip
