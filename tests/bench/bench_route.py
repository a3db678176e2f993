"""Routes between the two demo models on their own task: how sure the small one is, and quality against cost.

    python -m tests.bench.bench_route [--limit N] [--rounds N]

Each pair is asked the first N held-out commands by one thread, --rounds times over; shown is the round whose cost of
the small model is the median. Seconds are the processor's, which one thread spends on a busy machine as on a quiet
one. Rows are what was seen on folds that neither calibration nor threshold had seen: for quality
within half a point of the large model's, and for the best at 40 % of its cost.
"""

import argparse
import os
import tempfile
from pathlib import Path
from time import process_time

from edgepack.cli.main import run as edgepack
from edgepack.cli.tables import aligned
from edgepack.domain.confidence import Signal
from edgepack.domain.progress import Silent
from edgepack.domain.routing import NEAR, Aim, Route, find_route
from edgepack.domain.routing_json import Routing
from edgepack.engines import llamacpp_asking
from edgepack.engines.llamacpp import identify
from edgepack.infra.tasks import load_task
from edgepack.pipeline.routing import Asking, find_routing

PAIRS = (("Q4_0", "Q8_0"), ("Q4_0", "F16"), ("Q8_0", "Q8_0"), ("F16", "F16"))
"""Quantizations of demo-1m and demo-5m."""
AIMS = (("within 0.5 points", NEAR), ("at 40 % of the cost", Aim(cost=0.4)))
TASK = "smart-home-intents"


def main() -> int:
    arguments = parse()
    vars(llamacpp_asking)["perf_counter"] = process_time
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["EDGEPACK_HOME"] = f"{scratch}/home"
        found = {pair: routed(Path(scratch), pair, arguments) for pair in PAIRS}
    report(found)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=1)
    return parser.parse_args()


def routed(scratch: Path, pair: tuple[str, str], arguments: argparse.Namespace) -> Routing:
    paths = [scratch / f"{model}-{quant}.gguf" for model, quant in zip(("demo-1m", "demo-5m"), pair, strict=True)]
    for path in paths:
        model, _, quant = path.stem.rpartition("-")
        assert edgepack(["convert", model, "--quant", quant, "--out", str(path), "--quiet"]) == 0
    small, large = map(identify, paths)
    rounds = [
        find_routing(
            small, large, load_task(TASK), progress=Silent(),
            asking=Asking(home=scratch / f"round{number}", limit=arguments.limit, threads=1),
        )
        for number in range(arguments.rounds)
    ]  # fmt: skip
    return sorted(rounds, key=lambda one: one.route.small_cost)[len(rounds) // 2]


def report(found: dict[tuple[str, str], Routing]) -> None:
    first = next(iter(found.values()))
    print(f"{TASK}, {len(first.small.judged)} held-out commands, {first.threads} thread(s), {first.runtime.build}\n")
    header = ("demo-1m", "demo-5m", "aim", "sent up", "quality", "large", "cost", "small alone", "its cost")
    rows = [row(pair, name, aim, one) for pair, one in found.items() for name, aim in AIMS]
    print(aligned(header, rows, right=frozenset(range(3, 9))))
    for (small, large), one in found.items():
        crossed = one.route.crossed
        ranks = ", ".join(f"{name} {crossed.auroc[name]:.3f}" for name in (*Signal, "confidence"))
        print(f"\n{small} → {large}: AUROC {ranks}; calibration off by {crossed.calibration_error:.1%}")
        for name, aim in AIMS:
            for number, fold in enumerate(again(one, aim).crossed.folds, 1):
                point = fold.point
                print(
                    f"  {name}, fold {number}: threshold {point.threshold:.3f}, {point.sent_up:.0%} up, "
                    f"{point.quality:.1%} of {fold.large_quality:.1%}, cost {point.cost:.1%}"
                )


def again(one: Routing, aim: Aim) -> Route:
    """The same answers, another aim."""
    return find_route(one.task.metric, one.small.judged, one.large.judged, aim=aim)


def row(pair: tuple[str, str], name: str, aim: Aim, one: Routing) -> tuple[str, ...]:
    route = again(one, aim)
    crossed = route.crossed
    return (
        *pair, name, f"{crossed.sent_up:.1%}", f"{crossed.quality:.1%}", f"{route.large_quality:.1%}",
        f"{crossed.cost:.1%}", f"{route.small_quality:.1%}", f"{route.small_cost:.1%}",
    )  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
