"""A small and a larger model asked the same task, and the route between them found."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edgepack.domain.address import Address
from edgepack.domain.errors import BadInputError, UsageError
from edgepack.domain.measurement import measured_weights
from edgepack.domain.progress import Progress
from edgepack.domain.routing import NEAR, Aim, find_route
from edgepack.domain.routing_json import Routing, Side, side_of
from edgepack.domain.task import Task
from edgepack.domain.weights import Weights
from edgepack.stages.address import ask_address
from edgepack.stages.eval import evaluate

_LEAST = 20
"""Examples below which five folds say nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asking:
    """How both are asked."""

    home: Path
    limit: int | None = None
    threads: int | None = None
    fresh: bool = False
    force: bool = False


def find_routing(
    small: Weights,
    large: Weights | Address,
    task: Task,
    *,
    asking: Asking,
    progress: Progress,
    aim: Aim = NEAR,
) -> Routing:
    """Ask both the task's held-out examples, as a server is asked; what was asked before is not asked again.

    Raises UsageError for one model twice, BadInputError for too few examples, and what `evaluate` and `ask_address`
    raise.
    """
    _check(small, large, task, asking)
    served = task.as_served
    found = evaluate(
        small, served, home=asking.home, progress=progress, limit=asking.limit, threads=asking.threads,
        fresh=asking.fresh, force=asking.force, noted=True,
    )  # fmt: skip
    other = _large(large, served, asking, progress)
    return Routing(
        date=datetime.now(UTC).replace(microsecond=0), task=task, small=side_of(found), large=other,
        runtime=found.runtime, threads=found.threads,
        route=find_route(task.metric, found.judged, other.judged, aim=aim),
    )  # fmt: skip


def _large(large: Weights | Address, task: Task, asking: Asking, progress: Progress) -> Side:
    if isinstance(large, Address):
        judged = ask_address(large, task, home=asking.home, progress=progress, limit=asking.limit, fresh=asking.fresh)
        return Side(model=large, judged=judged)
    # The larger one may be of any level.
    found = evaluate(
        large, task, home=asking.home, progress=progress, limit=asking.limit, threads=asking.threads,
        fresh=asking.fresh, force=True,
    )  # fmt: skip
    return Side(model=measured_weights(large), judged=found.judged)


def _check(small: Weights, large: Weights | Address, task: Task, asking: Asking) -> None:
    if isinstance(large, Weights) and large.sha256 == small.sha256:
        raise UsageError(f"--route: {small.name} and the larger model are one file", hint="give two models")
    if len(task.held_out[: asking.limit]) < _LEAST:
        raise BadInputError(
            f"{task.name}: {len(task.held_out[: asking.limit])} examples; a threshold wants {_LEAST} or more",
            hint="give the task more examples, or raise --limit",
        )
