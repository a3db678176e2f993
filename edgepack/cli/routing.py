"""`edgepack eval --route`: both models found, the route between them shown."""

from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.cli.output import Output
from edgepack.cli.records import identified_gguf
from edgepack.cli.tables import aligned
from edgepack.domain.address import Address, is_address, parse_address
from edgepack.domain.errors import UsageError

if TYPE_CHECKING:
    from edgepack.domain.routing import Aim, Point
    from edgepack.domain.routing_json import Routing, Side
    from edgepack.domain.weights import Weights
    from edgepack.pipeline.order import RouteOrder
    from edgepack.pipeline.routing import Asking

_ROWS = 21
"""Of the curve; --json and --out have all of it."""


def parse_pair(text: str) -> tuple[Path, Path | Address]:
    """`SMALL.gguf,LARGE.gguf`, or an address in the second place."""
    small, comma, large = text.partition(",")
    if not comma or not small or not large or is_address(small):
        raise UsageError(
            f"--route {text}: expected SMALL.gguf,LARGE",
            hint="give two GGUFs, or one and an address that ends in /v1",
        )
    return Path(small), parse_address(large) if is_address(large) else Path(large)


def aim_of(route: str | None, tolerance: float | None, max_cost: float | None) -> "Aim":
    """How near, or how dear; UsageError where both are said, or nothing is routed."""
    from edgepack.domain.routing import NEAR, Aim

    if route is None and (tolerance is not None or max_cost is not None):
        option = "--max-cost" if tolerance is None else "--tolerance"
        raise UsageError(f"{option}: nothing is routed", hint="give --route SMALL,LARGE, or leave it away")
    if tolerance is not None and max_cost is not None:
        raise UsageError("--tolerance and --max-cost: two aims", hint="give one: how near, or how dear")
    if max_cost is not None:
        return Aim(cost=max_cost)
    return NEAR if tolerance is None else Aim(tolerance=tolerance)


def route_of(record: Path | None, large: Path | None) -> "RouteOrder | None":
    """What `build` is told of a route."""
    from edgepack.domain.routing_json import parse_routing
    from edgepack.pipeline.order import RouteOrder

    if record is None:
        if large:
            raise UsageError("--large: nothing is routed", hint="give --route FILE too, or leave --large away")
        return None
    text = record.read_text(encoding="utf-8", errors="replace")
    return RouteOrder(found=parse_routing(text, subject=str(record)), large=large)


def routed(pair: str, task: str, *, asking: "Asking", aim: "Aim", output: Output) -> "Routing":
    from edgepack.infra.tasks import load_task
    from edgepack.pipeline.routing import find_routing

    small, large = parse_pair(pair)
    read = load_task(task)
    other: Weights | Address = large if isinstance(large, Address) else identified_gguf(large, output)
    return find_routing(
        identified_gguf(small, output), other, read, asking=asking, progress=output,
        aim=aim,
    )  # fmt: skip


def shown_routing(routing: "Routing") -> str:
    """A route for people: the two models, the curve, what was chosen, and what to expect of it."""
    route, crossed = routing.route, routing.route.crossed
    point = route.point
    weights = " + ".join(f"{weight:.3g} · {signal.value}" for signal, weight in route.calibration.weights.items())
    facts = [
        ("threshold", f"{point.threshold:.4f}, {_aim(route.aim)}"),
        ("on these", _point(point)),
        (
            "on others",
            f"{crossed.quality:.1%} at {crossed.cost:.1%} of the cost, {crossed.sent_up:.1%} sent up "
            f"({len(crossed.folds)} folds, each seen by none of its own calibration and threshold)",
        ),
        ("AUROC", ", ".join(f"{name} {value:.3f}" for name, value in crossed.auroc.items())),
        ("calibration", f"logit = {route.calibration.intercept:.3g} + {weights or 'nothing'}"),
        ("", f"off by {crossed.calibration_error:.1%} on the mean"),
    ]
    return "\n\n".join([
        f"{routing.task.title}: {len(routing.small.judged)} examples, {routing.task.metric}, "
        f"{routing.threads} thread(s)",
        _sides(routing),
        _curve(routing),
        _folds(routing),
        "\n".join(f"  {name.ljust(11)} {text}" for name, text in facts),
    ])  # fmt: skip


def _aim(aim: "Aim") -> str:
    if aim.cost is not None:
        return f"the best for {aim.cost:.0%} of the large model's cost"
    return f"the cheapest within {aim.tolerance:.1%} of the large model's quality"


def _sides(routing: "Routing") -> str:
    route = routing.route
    rows = [
        _side("small", routing.small, route.small_quality, route.small_cost),
        _side("large", routing.large, route.large_quality, 1.0),
    ]
    return aligned(("", "model", "quality", "cost"), rows, right=frozenset({2, 3}))


def _side(name: str, side: "Side", quality: float, cost: float) -> tuple[str, str, str, str]:
    model = side.model
    shown = str(model) if isinstance(model, Address) else f"{model.name}, {model.quant or 'unknown quantization'}"
    return name, shown, f"{quality:.1%}", f"{cost:.1%}"


def _curve(routing: "Routing") -> str:
    curve, chosen = routing.route.curve, routing.route.chosen
    step = max(1, round((len(curve) - 1) / (_ROWS - 1)))
    places = sorted({*range(0, len(curve), step), chosen, len(curve) - 1})
    rows = [(*_row(curve[place]), "← chosen" if place == chosen else "") for place in places]
    return aligned(("threshold", "sent up", "quality", "cost", ""), rows, right=frozenset(range(4)))


def _folds(routing: "Routing") -> str:
    rows = [
        (
            str(number), str(fold.examples), *_row(fold.point), f"{fold.small_quality:.1%}",
            f"{fold.large_quality:.1%}",
        )
        for number, fold in enumerate(routing.route.crossed.folds, 1)
    ]  # fmt: skip
    header = ("fold", "examples", "threshold", "sent up", "quality", "cost", "small alone", "large alone")
    return aligned(header, rows, right=frozenset(range(8)))


def _row(point: "Point") -> tuple[str, str, str, str]:
    return f"{point.threshold:.4f}", f"{point.sent_up:.1%}", f"{point.quality:.1%}", f"{point.cost:.1%}"


def _point(point: "Point") -> str:
    return f"{point.quality:.1%} at {point.cost:.1%} of the cost, {point.sent_up:.1%} sent up"
