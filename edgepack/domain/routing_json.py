"""A route as JSON (edgepack.routing/1); files and terminals are not its business."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from edgepack.domain.address import Address
from edgepack.domain.confidence import Calibration, calibration_values, read_calibration
from edgepack.domain.evaluation import Evaluation, Judged, times_of
from edgepack.domain.measurement import MeasuredWeights, Runtime
from edgepack.domain.records import record_table
from edgepack.domain.routing import FOLDS, Crossed, Route
from edgepack.domain.task import Task

SCHEMA = "edgepack.routing/1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One of the two models, and its answers."""

    model: MeasuredWeights | Address
    judged: tuple[Judged, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Routing:
    """A route between two models for a task. Seen, not predicted."""

    date: datetime
    task: Task
    small: Side
    large: Side
    runtime: Runtime
    threads: int
    route: Route


def side_of(evaluation: Evaluation) -> Side:
    return Side(model=evaluation.weights, judged=evaluation.judged)


def routing_json(routing: Routing) -> dict[str, object]:
    """Plain values for `json.dumps`."""
    task, route = routing.task, routing.route
    return {
        "schema": SCHEMA,
        "date": routing.date.astimezone(UTC).isoformat(),
        "task": {
            "name": task.name, "title": task.title, "digest": task.digest, "metric": task.metric.value,
            "examples": len(routing.small.judged),
        },
        "small": {**_model(routing.small), "quality": route.small_quality, "cost": route.small_cost},
        "large": {**_model(routing.large), "quality": route.large_quality, "cost": 1.0},
        "runtime": asdict(routing.runtime),
        "threads": routing.threads,
        "tolerance": route.aim.tolerance if route.aim.cost is None else None,
        "max_cost": route.aim.cost,
        "calibration": calibration_values(route.calibration),
        "threshold": route.point.threshold,
        "curve": [asdict(point) for point in route.curve],
        "chosen": route.chosen,
        "cross_fitted": _crossed(route.crossed),
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundRoute:
    """What a bundle needs of a record."""

    calibration: Calibration
    threshold: float
    small: str
    """sha256 of the weights."""
    large: str | Address
    text: str
    """The record."""


def parse_routing(text: str, *, subject: str) -> FoundRoute:
    """Read a record of `edgepack eval --route --out`; BadInputError names what is not as it was written."""
    hint = "make it again with `edgepack eval --route SMALL,LARGE --task T --out FILE`"
    table = record_table(text, SCHEMA, subject=subject, hint=hint)
    large = table.table("large")
    address = large.text_or_none("address")
    return FoundRoute(
        calibration=read_calibration(table.table("calibration")),
        threshold=table.number("threshold"),
        small=table.table("small").table("weights").text("sha256"),
        large=Address(url=address, model=large.text_or_none("model"))
        if address
        else large.table("weights").text("sha256"),
        text=text,
    )


def _model(side: Side) -> dict[str, object]:
    times = asdict(times_of([one.answered.seconds for one in side.judged]))
    if isinstance(side.model, Address):
        return {"address": side.model.url, "model": side.model.model, "weights": None, "seconds": times}
    return {"address": None, "model": None, "weights": asdict(side.model), "seconds": times}


def _crossed(crossed: Crossed) -> dict[str, object]:
    """What was reported on examples that neither calibration nor threshold had seen."""
    return {
        "folds": [
            {
                "examples": fold.examples, "small_quality": fold.small_quality, "large_quality": fold.large_quality,
                **asdict(fold.point),
            }
            for fold in crossed.folds
        ],
        "of": FOLDS,
        "sent_up": crossed.sent_up, "quality": crossed.quality, "cost": crossed.cost,
        "auroc": dict(crossed.auroc), "calibration_error": crossed.calibration_error,
    }  # fmt: skip
