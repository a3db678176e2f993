"""`edgepack eval`: reads the words, calls the stage, shows how well weights do a task."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgepack.cli.options import output_of, output_options
from edgepack.cli.output import Output
from edgepack.cli.records import identified, refuse_unwritable, write_record
from edgepack.cli.tables import aligned
from edgepack.domain.errors import UsageError

if TYPE_CHECKING:
    from edgepack.domain.evaluation import Evaluation, Met
    from edgepack.domain.metrics import Estimate

_MIB = 1 << 20
_MOST_CLASSES = 12


@click.command("eval")
@click.argument("weights", type=click.Path(path_type=Path))
@click.option("--task", metavar="T", help="What to ask: a task's name, or its .toml file (docs/tasks.md).")
@click.option("--limit", type=click.IntRange(min=1), help="Ask the first so many examples only.")
@click.option("--threads", type=click.IntRange(1, 512), help="Default: one a big core.")
@click.option("--profile", metavar="P", help="This machine: its watts, where no counter tells joules.")
@click.option("--fresh", is_flag=True, help="Ask again what earlier runs have asked.")
@click.option("--force", is_flag=True, help="Ask a task of a level that is beyond such a model.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the evaluation, every answer in it, as JSON.")
@output_options
@click.pass_context
def command(
    context: click.Context,
    weights: Path,
    task: str | None,
    limit: int | None,
    threads: int | None,
    profile: str | None,
    fresh: bool,
    force: bool,
    out: Path | None,
) -> None:
    """Ask the GGUF WEIGHTS a task's examples, and say how good and how quick the answers are.

    Every answer is kept at once: after ^C, or with a larger --limit, the same command asks what is missing.
    """
    if task is None:
        raise UsageError("eval: expected --task", hint="give a task's name or file (docs/tasks.md)")
    refuse_unwritable(out)
    output = output_of(context)
    evaluation = _evaluated(
        weights, task, limit=limit, threads=threads, profile=profile, fresh=fresh, force=force, output=output
    )
    from edgepack.domain.evaluation_json import evaluation_json

    record = evaluation_json(evaluation)
    if out:
        write_record(out, record)
    output.result(
        "eval", {"weights": str(weights), "out": out and str(out), "evaluation": record},
        lambda: shown(evaluation, out),
    )  # fmt: skip


def _evaluated(
    weights: Path,
    task: str,
    *,
    limit: int | None,
    threads: int | None,
    profile: str | None,
    fresh: bool,
    force: bool,
    output: Output,
) -> "Evaluation":
    from edgepack.infra.library import load_profile
    from edgepack.infra.store import home
    from edgepack.infra.tasks import load_task
    from edgepack.stages.eval import evaluate

    read = load_task(task)
    return evaluate(
        identified(weights, output), read, home=home(), progress=output, limit=limit, threads=threads,
        profile=load_profile(profile) if profile else None, fresh=fresh, force=force,
    )  # fmt: skip


def shown(evaluation: "Evaluation", out: Path | None = None) -> str:
    """An evaluation for people: quality, the labels, times, targets."""
    weights, task = evaluation.weights, evaluation.task
    kept = f", {evaluation.kept} answered earlier" if evaluation.kept else ""
    parts = [
        f"{weights.name}, {weights.quant or 'unknown quantization'}, {weights.size / _MIB:,.1f} MiB\n"
        f"{task.title}: {len(evaluation.judged)} examples{kept}",
        _metrics(evaluation),
        *([_classes(evaluation)] if evaluation.classes else []),
        _costs(evaluation),
        *([_targets(evaluation.targets)] if evaluation.targets else []),
        *([f"written to {out}"] if out else []),
    ]
    return "\n\n".join(parts)


def _metrics(evaluation: "Evaluation") -> str:
    rows = [_metric(metric.value, found) for metric, found in evaluation.metrics.items()]
    return aligned(("metric", "value", "95 % interval"), rows, right=frozenset({1}))


def _metric(name: str, found: "Estimate") -> tuple[str, str, str]:
    return name, f"{found.value:.1%}", f"{found.low:.1%} to {found.high:.1%}"


def _classes(evaluation: "Evaluation") -> str:
    labels, rows = evaluation.confusion
    classes = evaluation.classes
    few = labels[:_MOST_CLASSES]
    table = aligned(
        ("label", "precision", "recall", "F1", "examples", *(f"→{label}" for label in few)),
        [
            (
                label, f"{classes[label].precision:.1%}", f"{classes[label].recall:.1%}", f"{classes[label].f1:.1%}",
                str(classes[label].support), *map(str, row[: len(few)]),
            )
            for label, row in zip(few, rows, strict=False)
        ],
        right=frozenset(range(1, 5 + len(few))),
    )  # fmt: skip
    return table if len(few) == len(labels) else f"{table}\n… and {len(labels) - len(few)} more labels (--json)"


def _costs(evaluation: "Evaluation") -> str:
    first, whole = evaluation.first_token, evaluation.seconds
    facts = [
        ("first token", f"{first.median * 1e3:,.0f} ms median, {first.p95 * 1e3:,.0f} ms p95"),
        ("answer", f"{whole.median * 1e3:,.0f} ms median, {whole.p95 * 1e3:,.0f} ms p95"),
        ("speed", evaluation.decode and f"{evaluation.decode:,.1f} tokens/s median while answers are written"),
        ("tokens", f"{evaluation.prompt_tokens:,} in, {evaluation.tokens:,} out"),
        ("memory", evaluation.memory and f"{evaluation.memory / _MIB:,.0f} MiB more than before"),
        ("energy", evaluation.energy and f"{evaluation.energy.joules:,.1f} J ({evaluation.energy.source})"),
        ("threads", str(evaluation.threads)),
        ("runtime", f"{evaluation.runtime.name} {evaluation.runtime.version}, {evaluation.runtime.build}"),
    ]
    return "\n".join(f"  {name.ljust(11)} {text}" for name, text in facts if text)


def _targets(targets: "tuple[Met, ...]") -> str:
    return "\n".join(
        f"  {'met    ' if one.met else 'NOT MET'} {one.target}: wanted {_number(one.wanted)}, "
        f"reached {'nothing' if one.reached is None else _number(one.reached)}"
        for one in targets
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
