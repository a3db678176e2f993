"""Both demo models on their own task at five quantizations: accuracy with intervals, tokens/s, size, and the choice.

    python -m tests.bench.bench_eval [--limit N] [--threads N] [--home DIR]

Each answers the first N held-out commands under the task's schema. Quality is exact match. Below the table stands
which one a bar of so much would choose: the smallest file that reaches it.
"""

import argparse
import os
import tempfile
from pathlib import Path

from edgepack.cli.main import run as edgepack
from edgepack.cli.tables import aligned
from edgepack.domain.evaluation import Evaluation
from edgepack.domain.metrics import LEVEL
from edgepack.domain.progress import Silent
from edgepack.engines.llamacpp import identify
from edgepack.infra.tasks import load_task
from edgepack.stages.eval import evaluate

MODELS = ("demo-1m", "demo-5m")
QUANTS = ("F16", "Q8_0", "Q4_K_M", "Q4_0", "Q2_K")
BARS = (0.95, 0.9, 0.85, 0.8)
TASK = "smart-home-intents"


def main() -> int:
    arguments = parse()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["EDGEPACK_HOME"] = arguments.home or f"{scratch}/home"
        found = {
            f"{model} {quant}": evaluated(Path(scratch), model, quant, arguments)
            for model in MODELS
            for quant in QUANTS
        }
    report(found)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=500)
    parser.add_argument("--threads", type=int, default=1, help="so small models gain nothing from more")
    parser.add_argument("--home", help="a store that keeps the answers, to go on later")
    return parser.parse_args()


def evaluated(scratch: Path, model: str, quant: str, arguments: argparse.Namespace) -> Evaluation:
    path = scratch / f"{model}-{quant}.gguf"
    assert edgepack(["convert", model, "--quant", quant, "--out", str(path), "--quiet"]) == 0
    return evaluate(
        identify(path), load_task(TASK), home=Path(os.environ["EDGEPACK_HOME"]), progress=Silent(),
        limit=arguments.limit, threads=arguments.threads,
    )  # fmt: skip


def report(found: dict[str, Evaluation]) -> None:
    first = next(iter(found.values()))
    print(f"{TASK}, {len(first.judged)} held-out commands, {first.threads} thread(s), {first.runtime.build}\n")
    header = ("weights", "exact match", f"{LEVEL:.0%} interval", "field F1", "tokens/s", "first token", "KiB", "kept")
    print(aligned(header, [row(name, one) for name, one in found.items()], right=frozenset(range(1, 8))))
    print()
    for bar in BARS:
        fit = [(one.weights.size, name) for name, one in found.items() if one.quality.value >= bar]
        print(f"quality {bar:.0%} or more: {min(fit)[1] if fit else 'none'}")


def row(name: str, one: Evaluation) -> tuple[str, ...]:
    fields = next(estimate for metric, estimate in one.metrics.items() if metric.value == "field-f1")
    return (
        name, f"{one.quality.value:.1%}", f"{one.quality.low:.1%} to {one.quality.high:.1%}", f"{fields.value:.1%}",
        f"{one.decode or 0:,.0f}", f"{one.first_token.median * 1e3:.1f} ms", f"{one.weights.size / 1024:,.0f}",
        str(one.kept),
    )  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
