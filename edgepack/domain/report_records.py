"""What a report reads beside evaluations: trials, routing, gates and tuning of a bundle's evidence. It judges none.

Keys that nobody here needs are left alone: whoever writes the records may say more.
"""

from dataclasses import dataclass

from edgepack.domain.engine import Engine
from edgepack.domain.evaluation import Met, Times
from edgepack.domain.gates import SCHEMA as GATES
from edgepack.domain.metrics import Estimate
from edgepack.domain.reading import Table
from edgepack.domain.records import record_table
from edgepack.domain.report_evaluation import read_estimate, read_target, read_times, weights_title
from edgepack.domain.routing_json import SCHEMA as ROUTING
from edgepack.domain.speed import Basis, SpeedPlan
from edgepack.domain.trials import SCHEMA as TRIALS
from edgepack.domain.trials import Role
from edgepack.domain.tuned import SCHEMA as TUNING

_HINT = "make the bundle again with `edgepack build`"


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenTrial:
    """One candidate of a search, and what it gave on the machine that built. None: nobody saw it."""

    model: str
    origin: str
    engine: Engine | None
    """None in records of before there were two."""
    quant: str | None
    size: int
    """Bytes of the weights."""
    role: Role
    quality: Estimate | None
    examples: int | None
    """That were asked."""
    first_token: Times | None
    decode: float | None
    answer: Times | None
    memory: int | None
    predicted_memory: int | None
    """On the device."""
    expected: SpeedPlan | None
    """On the device; None where it is this machine, or nobody knows."""
    joules_per_answer: float | None
    targets: tuple[Met, ...]
    passed: bool
    skipped: str | None
    """Why nothing, or not everything, was asked."""

    @property
    def title(self) -> str:
        return f"{self.model} {self.quant}" if self.quant else self.model


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenTrials:
    """A search for the smallest candidate that does a task well enough."""

    task: str
    """The task's title."""
    digest: str | None
    """Of the task, as evaluations name it."""
    metric: str
    stopped: str
    """Why the search ended."""
    tried: tuple[SeenTrial, ...]

    def of(self, role: Role) -> SeenTrial | None:
        """The first with that role, if there is one."""
        return next((trial for trial in self.tried if trial.role is role), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class RoutePoint:
    """What one threshold gives."""

    threshold: float
    sent_up: float
    """Share of the requests that the larger model answers."""
    quality: float
    cost: float
    """As a share of what the larger model alone costs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RouteCurve:
    """Quality against cost, threshold by threshold."""

    task: str
    metric: str
    small: str
    large: str
    points: tuple[RoutePoint, ...]
    chosen: int
    """Which of the points was taken."""
    expected: RoutePoint | None
    """What to expect of it on examples that it was not chosen on; its threshold is the chosen one's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenGate:
    """One comparison of weights with their checkpoint."""

    kind: str
    checked: int
    different: tuple[str, ...]
    passed: bool
    notes: tuple[str, ...]
    """What contradicts itself and does no harm."""
    figures: tuple[tuple[str, str | float], ...]
    """What else was seen, by name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenTuning:
    """What a search for flags found, in the words of its record."""

    summary: str
    machine: str


def parse_trials(text: str, *, subject: str) -> SeenTrials:
    """Raises BadInputError that names the place."""
    top = record_table(text, TRIALS, subject=subject, hint=_HINT)
    task = top.table("task")
    return SeenTrials(
        task=task.text_or_none("title") or task.text("name"), digest=task.text_or_none("digest"),
        metric=task.text("metric"), stopped=top.text("stopped"),
        tried=tuple(_trial(one) for one in top.tables("tried", least=1)),
    )  # fmt: skip


def parse_routing(text: str, *, subject: str) -> RouteCurve:
    """Raises BadInputError that names the place."""
    top = record_table(text, ROUTING, subject=subject, hint=_HINT)
    task = top.table("task")
    points = tuple(_point(one) for one in top.tables("curve", least=1))
    chosen = top.whole("chosen")
    if chosen >= len(points):
        top.fail("chosen", f"expected less than {len(points)}, got {chosen}")
    return RouteCurve(
        task=task.text_or_none("title") or task.text("name"), metric=task.text("metric"),
        small=_named(top.table("small")), large=_named(top.table("large")), points=points, chosen=chosen,
        expected=_expected(top.table_or_none("cross_fitted"), points[chosen]),
    )  # fmt: skip


def parse_gates(text: str, *, subject: str) -> tuple[SeenGate, ...]:
    """Raises BadInputError that names the place."""
    return tuple(_gate(one) for one in record_table(text, GATES, subject=subject, hint=_HINT).tables("gates"))


def parse_tuning(text: str, *, subject: str) -> SeenTuning:
    """Raises BadInputError that names the place."""
    top = record_table(text, TUNING, subject=subject, hint="make it again with `edgepack tune --out`")
    return SeenTuning(summary=top.text("summary"), machine=top.table("on").text_or_none("machine") or "a device")


def _trial(table: Table) -> SeenTrial:
    quality, first, answer = (table.table_or_none(key) for key in ("quality", "first_token", "answer"))
    expected = table.table_or_none("expected")
    return SeenTrial(
        model=table.text("model"),
        origin=table.text("origin"),
        engine=table.choice_or_none("engine", Engine),
        quant=table.text_or_none("quant"),
        size=table.whole("size"),
        role=table.choice("role", Role),
        quality=read_estimate(quality) if quality else None,
        examples=table.whole_or_none("examples"),
        first_token=read_times(first) if first else None,
        decode=table.number_or_none("decode"),
        answer=read_times(answer) if answer else None,
        memory=table.whole_or_none("memory"),
        predicted_memory=table.whole_or_none("predicted_memory"),
        expected=_speed(expected) if expected else None,
        joules_per_answer=table.number_or_none("joules_per_answer"),
        targets=tuple(read_target(one) for one in table.tables("targets")),
        passed=table.flag("passed", default=False),
        skipped=table.text_or_none("skipped"),
    )


def _speed(table: Table) -> SpeedPlan:
    return SpeedPlan(
        prefill=table.number("prefill"), decode=table.number("decode", above=0),
        first_token=table.number("first_token"), basis=table.choice("basis", Basis),
    )  # fmt: skip


def _point(table: Table) -> RoutePoint:
    return RoutePoint(
        threshold=table.number("threshold"), sent_up=table.number("sent_up"), quality=table.number("quality"),
        cost=table.number("cost"),
    )  # fmt: skip


def _expected(table: Table | None, chosen: RoutePoint) -> RoutePoint | None:
    if table is None:
        return None
    return RoutePoint(
        threshold=chosen.threshold, sent_up=table.number("sent_up"), quality=table.number("quality"),
        cost=table.number("cost"),
    )  # fmt: skip


def _named(table: Table) -> str:
    """Weights by their name and quantization; a model at an address by its name there."""
    weights = table.table_or_none("weights")
    if weights is None:
        return table.text_or_none("model") or table.text_or_none("address") or "a model"
    return weights_title(weights.text("name"), weights.text_or_none("quant"))


def _gate(table: Table) -> SeenGate:
    return SeenGate(
        kind=table.text("kind"), checked=table.whole("checked"), different=table.texts("different"),
        passed=table.flag("passed"), notes=table.texts_or_none("notes") or (),
        figures=_figures(table.table_or_none("figures")),
    )  # fmt: skip


def _figures(table: Table | None) -> tuple[tuple[str, str | float], ...]:
    """Numbers and texts; anything else is none of either."""
    found = table.rest().items() if table else ()
    return tuple((name, value) for name, value in found if isinstance(value, str | int | float))
