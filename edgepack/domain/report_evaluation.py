"""An evaluation's record as a report needs it: read back from its JSON; it asks nothing and draws nothing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from edgepack.domain import metrics
from edgepack.domain.answering import Answered, parse_answered
from edgepack.domain.evaluation import SCHEMA, Energy, Met, Times
from edgepack.domain.measurement import MeasuredWeights, Runtime
from edgepack.domain.measurement_json import read_date, read_runtime, read_weights
from edgepack.domain.metrics import Estimate
from edgepack.domain.reading import Table
from edgepack.domain.records import record_table
from edgepack.domain.task import Metric

_HINT = "make it again with `edgepack eval --out`"
_MOST_VALUES = 24
"""Values of a field beyond which no matrix of them can be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRef:
    """Which task was asked."""

    name: str
    title: str
    digest: str
    metric: Metric


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenAnswer:
    """One example with what was wanted and what was said."""

    fields: Mapping[str, str]
    wanted: str
    score: float
    answered: Answered


@dataclass(frozen=True, kw_only=True, slots=True)
class Confusion:
    """How often which was said where which was wanted: a row for each that was wanted."""

    of: str | None
    """The field of a JSON answer; None: the answers are labels."""
    labels: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenEvaluation:
    """A record of `edgepack eval`."""

    date: datetime
    weights: MeasuredWeights
    task: TaskRef
    runtime: Runtime
    threads: int
    metrics: Mapping[Metric, Estimate]
    first_token: Times
    seconds: Times
    decode: float | None
    memory: int | None
    energy: Energy | None
    targets: tuple[Met, ...]
    labelled: bool
    """Whether answers are labels of a closed set."""
    answers: tuple[SeenAnswer, ...]

    @property
    def title(self) -> str:
        return weights_title(self.weights.name, self.weights.quant)

    @property
    def quality(self) -> Estimate:
        return self.metrics[self.task.metric]

    @property
    def passed(self) -> bool | None:
        """Whether every target is met; None where the task sets none."""
        return all(target.met for target in self.targets) if self.targets else None

    @property
    def joules_per_answer(self) -> float | None:
        return self.energy.joules / len(self.answers) if self.energy and self.answers else None

    @property
    def confusion(self) -> Confusion | None:
        """Of the labels; or, where answers are JSON, of the first field that all right answers have."""
        pairs = [(one.wanted, one.answered.text) for one in self.answers]
        if self.labelled:
            return _confusion(None, pairs) if pairs else None
        wanted = [_object(one) for one, _ in pairs]
        for field in wanted[0] if wanted else ():
            values = [one.get(field) for one in wanted]
            if all(isinstance(value, str) for value in values) and 2 <= len(set(map(str, values))) <= _MOST_VALUES:
                said = [_said(text, field) for _, text in pairs]
                return _confusion(field, list(zip(map(str, values), said, strict=True)))
        return None

    @property
    def worst(self) -> tuple[SeenAnswer, ...]:
        """The answers that are not right, the most confident first."""
        wrong = [one for one in self.answers if one.score < 1]
        return tuple(sorted(wrong, key=lambda one: (one.score, -one.answered.confidence)))


def parse_evaluation(text: str, *, subject: str) -> SeenEvaluation:
    """Read a record strictly where it counts. Raises BadInputError that names the place."""
    top = record_table(text, SCHEMA, subject=subject, hint=_HINT)
    task = _task(top.table("task"))
    found = _estimates(top.table("metrics"))
    if task.metric not in found:
        top.fail("metrics", f"{task.metric}, the task's own, is missing")
    energy = top.table_or_none("energy")
    return SeenEvaluation(
        date=read_date(top),
        weights=read_weights(top.table("weights")),
        task=task,
        runtime=read_runtime(top.table("runtime")),
        threads=top.whole("threads", least=1),
        metrics=found,
        first_token=read_times(top.table("first_token_seconds")),
        seconds=read_times(top.table("seconds")),
        decode=top.number_or_none("tokens_per_second"),
        memory=top.whole_or_none("memory"),
        energy=Energy(joules=energy.number("joules"), source=energy.text("source")) if energy else None,
        targets=tuple(read_target(one) for one in top.tables("targets")),
        labelled=bool(top.table("confusion").texts("labels")),
        answers=tuple(_answer(one) for one in top.tables("answers")),
    )


def weights_title(name: str, quant: str | None) -> str:
    """The weights' name, and their quantization where the name does not say it."""
    stem = name.removesuffix(".gguf")
    return stem if quant is None or quant.lower() in stem.lower() else f"{stem} {quant}"


def read_times(table: Table) -> Times:
    return Times(median=table.number("median"), p95=table.number("p95"))


def read_target(table: Table) -> Met:
    return Met(
        target=table.text("target"), wanted=table.number("wanted"), reached=table.number_or_none("reached"),
        met=table.flag("met"),
    )  # fmt: skip


def read_estimate(table: Table) -> Estimate:
    return Estimate(value=table.number("value"), low=table.number("low"), high=table.number("high"))


def _task(table: Table) -> TaskRef:
    return TaskRef(
        name=table.text("name"), title=table.text("title"), digest=table.text("digest"),
        metric=table.choice("metric", Metric),
    )  # fmt: skip


def _estimates(table: Table) -> dict[Metric, Estimate]:
    return {metric: read_estimate(table.table(metric)) for metric in Metric if table.has(metric)}


def _answer(table: Table) -> SeenAnswer:
    fields = table.table("fields").rest()
    return SeenAnswer(
        fields={str(name): str(value) for name, value in fields.items()},
        wanted=table.free_text("wanted"), score=table.number("score"), answered=parse_answered(table),
    )  # fmt: skip


def _confusion(of: str | None, pairs: list[tuple[str, str]]) -> Confusion:
    labels, rows = metrics.confusion([wanted for wanted, _ in pairs], [said for _, said in pairs])
    return Confusion(of=of, labels=labels, rows=rows)


def _said(text: str, field: str) -> str:
    value = _object(text).get(field)
    return value if isinstance(value, str) else "nothing"


def _object(text: str) -> dict[str, object]:
    """The JSON object that a text is; an empty one where it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
