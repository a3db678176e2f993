"""`edgepack eval`: reads the words, calls the stage, shows how well weights do a task."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgepack.cli.options import complete_task, output_of, output_options
from edgepack.cli.output import Output
from edgepack.cli.records import identified, identified_gguf, refuse_unwritable, write_record
from edgepack.cli.routing import aim_of, routed, shown_routing
from edgepack.cli.tables import aligned
from edgepack.domain.errors import UsageError

if TYPE_CHECKING:
    from edgepack.domain.evaluation import Evaluation, Met
    from edgepack.domain.fidelity import Fidelity
    from edgepack.domain.metrics import Counts, Estimate
    from edgepack.domain.routing import Aim

_Result = tuple[str, dict[str, object], str]
"""The record's name, the record, and the same for people."""

_MIB = 1 << 20
_MOST_CLASSES = 12


@click.command("eval")
@click.argument("weights", type=click.Path(path_type=Path), required=False)
@click.option(
    "--task", metavar="T", shell_complete=complete_task,
    help="What to ask: a task's name, or its .toml file (docs/tasks.md).",
)  # fmt: skip
@click.option("--against", metavar="GGUF", type=click.Path(path_type=Path), help="Compare with these weights.")
@click.option("--text", metavar="FILE", type=click.Path(path_type=Path), help="What both read, with --against.")
@click.option(
    "--route", metavar="SMALL,LARGE", help="Find which requests go up from one GGUF to another, or an address."
)
@click.option(
    "--tolerance", type=click.FloatRange(0, 1), help="With --route: how far below LARGE is good enough; 0.005."
)
@click.option(
    "--max-cost", type=click.FloatRange(0, 1), help="With --route: the best for this share of LARGE's time instead."
)
@click.option("--limit", type=click.IntRange(min=1), help="The first so many examples, or chunks of text, only.")
@click.option("--threads", type=click.IntRange(1, 512), help="Default: one a big core.")
@click.option("--profile", metavar="P", help="This machine: its watts, where no counter tells joules.")
@click.option("--fresh", is_flag=True, help="Ask again what earlier runs have asked.")
@click.option("--force", is_flag=True, help="Ask a task of a level that is beyond such a model.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the evaluation, every answer in it, as JSON.")
@output_options
@click.pass_context
def command(
    context: click.Context,
    weights: Path | None,
    task: str | None,
    against: Path | None,
    text: Path | None,
    route: str | None,
    tolerance: float | None,
    max_cost: float | None,
    limit: int | None,
    threads: int | None,
    profile: str | None,
    fresh: bool,
    force: bool,
    out: Path | None,
) -> None:
    """Ask WEIGHTS, a GGUF or an ONNX encoder, a task's examples, and say how good and how quick the answers are.

    Every answer is kept at once: after ^C, or with a larger --limit, the same command asks what is missing.

    An encoder answers with the nearest label, or, made a classifier, with its best; one that tags words finds
    entities.

    With --against and --text it is compared with other weights of the same model instead: perplexity of both, and
    how far what they expect next is apart, as llama-perplexity has it.

    With --route, in place of WEIGHTS, two models do the task: which threshold of confidence sends which requests up,
    and what that gives and costs (docs/routing.md).
    """
    _check_subject(weights, route, against or profile)
    _check(task, against, text, out)
    aim = aim_of(route, tolerance, max_cost)
    output = output_of(context)
    if weights is None:
        assert route, "one of the two, as checked"
        kind, record, shown = _routed(
            route, task or "", aim=aim, limit=limit, threads=threads, fresh=fresh, force=force, output=output
        )
    elif against and text:
        kind, record, shown = _compared(weights, against, text, limit=limit, threads=threads, output=output)
    else:
        kind, record, shown = _evaluated(
            weights,
            task or "",
            limit=limit,
            threads=threads,
            profile=profile,
            fresh=fresh,
            force=force,
            output=output,
        )
    if out:
        write_record(out, record)
        shown += f"\n\nwritten to {out}"
    given = {"route": route} if route else {"weights": str(weights)}
    output.result("eval", {**given, "out": out and str(out), kind: record}, lambda: shown)


def _check_subject(weights: Path | None, route: str | None, of_one: Path | str | None) -> None:
    """One model or two; `of_one` is an option that makes sense for one only."""
    if (weights is None) == (route is None) or (route and of_one):
        raise UsageError(
            "eval: expected WEIGHTS, or --route SMALL,LARGE with --task, one of the two",
            hint="give one model, or two that a route shall lead between; --against and --profile are for one",
        )


def _check(task: str | None, against: Path | None, text: Path | None, out: Path | None) -> None:
    if (task is None) == (against is None):
        raise UsageError(
            "eval: expected --task, or --against with --text, one of the two",
            hint="give a task's name or file (docs/tasks.md), or weights of full precision and a text",
        )
    if (against is None) != (text is None):
        raise UsageError(
            "eval: --against and --text go together", hint="give both: weights, and what both shall read"
        )
    refuse_unwritable(out)


def _compared(
    weights: Path, against: Path, text: Path, *, limit: int | None, threads: int | None, output: Output
) -> _Result:
    from edgepack.domain.fidelity import fidelity_json
    from edgepack.stages.fidelity import compare

    found = compare(
        identified_gguf(weights, output),
        identified_gguf(against, output),
        text,
        progress=output,
        threads=threads,
        limit=limit,
    )
    return "fidelity", fidelity_json(found), shown_fidelity(found)


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
) -> _Result:
    from edgepack.domain.evaluation_json import evaluation_json
    from edgepack.infra.library import load_profile
    from edgepack.infra.store import home
    from edgepack.infra.tasks import load_task
    from edgepack.stages.eval import evaluate

    read = load_task(task)
    watts = load_profile(profile) if profile else None
    found = evaluate(
        identified(weights, output), read, home=home(), progress=output, limit=limit, threads=threads, profile=watts,
        fresh=fresh, force=force,
    )  # fmt: skip
    return "evaluation", evaluation_json(found), shown_evaluation(found)


def _routed(
    route: str,
    task: str,
    *,
    aim: "Aim",
    limit: int | None,
    threads: int | None,
    fresh: bool,
    force: bool,
    output: Output,
) -> _Result:
    from edgepack.domain.routing_json import routing_json
    from edgepack.infra.store import home
    from edgepack.pipeline.routing import Asking

    asking = Asking(home=home(), limit=limit, threads=threads, fresh=fresh, force=force)
    found = routed(route, task, asking=asking, aim=aim, output=output)
    return "routing", routing_json(found), shown_routing(found)


def shown_evaluation(evaluation: "Evaluation") -> str:
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
    ]
    return "\n\n".join(parts)


def shown_fidelity(fidelity: "Fidelity") -> str:
    """A comparison for people: perplexities, then divergence."""
    weights, against, apart = fidelity.weights, fidelity.against, fidelity.divergence
    ratio = fidelity.perplexity / fidelity.perplexity_against
    facts = [
        (
            "perplexity",
            f"{fidelity.perplexity:,.4f}, of the others {fidelity.perplexity_against:,.4f}: {ratio - 1:+.2%}",
        ),
        ("divergence", f"{apart.mean:.6f} ± {apart.error:.6f} nats mean, {apart.median:.6f} median"),
        ("", f"{apart.p90:.6f} p90, {apart.p99:.6f} p99, {apart.maximum:.6f} at the most"),
        ("same top", f"{fidelity.same_top:.2%} of the tokens that both expect next"),
    ]
    return "\n".join([
        f"{weights.name}, {weights.quant or 'unknown quantization'}, {weights.size / _MIB:,.1f} MiB, against "
        f"{against.quant or 'unknown quantization'}, {against.size / _MIB:,.1f} MiB",
        f"{fidelity.text.name}: {fidelity.chunks} chunks of {fidelity.chunk_tokens} tokens, "
        f"{len(fidelity.places):,} counted",
        "",
        *(f"  {name.ljust(11)} {text}" for name, text in facts),
    ])  # fmt: skip


def _metrics(evaluation: "Evaluation") -> str:
    rows = [_metric(metric.value, found) for metric, found in evaluation.metrics.items()]
    return aligned(("metric", "value", "95 % interval"), rows, right=frozenset({1}))


def _metric(name: str, found: "Estimate") -> tuple[str, str, str]:
    return name, f"{found.value:.1%}", f"{found.low:.1%} to {found.high:.1%}"


def _classes(evaluation: "Evaluation") -> str:
    labels, rows = evaluation.confusion
    classes = evaluation.classes
    if not labels:
        return _kinds(classes)
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


def _kinds(classes: "Mapping[str, Counts]") -> str:
    """Kinds of entities, and all of them together."""
    from edgepack.domain.metrics import together

    rows = {**classes, "all": together(list(classes.values()))}
    return aligned(
        ("kind", "precision", "recall", "F1", "entities"),
        [
            (kind, f"{counts.precision:.1%}", f"{counts.recall:.1%}", f"{counts.f1:.1%}", str(counts.support))
            for kind, counts in rows.items()
        ],
        right=frozenset({1, 2, 3, 4}),
    )


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
