"""edgepack pick: which model, at which quantization, for a device and a kind of task, and why."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from edgepack.cli.options import output_of, output_options
from edgepack.cli.tables import aligned
from edgepack.domain.errors import NothingFitsError
from edgepack.domain.needs import TaskKind, limited, usual_needs
from edgepack.domain.quant import Quant

if TYPE_CHECKING:
    from edgepack.domain.choice import Broken, Contender, Excluded, Ranked
    from edgepack.domain.speed import SpeedPlan
    from edgepack.stages.pick import Picked

_MIB = 1 << 20
_HEADER = (
    "", "MODEL", "QUANT", "MIB", "MEMORY", "TOKENS/S", "FIRST TOKEN", "QUALITY", "LOSS", "J/TOKEN", "LICENCE",
)  # fmt: skip
_NUMBERS = frozenset(range(3, 10))


@click.command("pick")
@click.option("--profile", required=True, help="The device: a name (edgepack profile list), a file, or `host`.")
@click.option(
    "--task", type=click.Choice([kind.value for kind in TaskKind]), default=TaskKind.CHAT.value, show_default=True,
    help="What the model is for: decides limits, and which benchmarks count.",
)  # fmt: skip
@click.option("--ctx", "context_length", type=click.IntRange(min=16), help="Tokens of context; default: the task's.")
@click.option("--prompt-tokens", type=click.IntRange(min=1), help="Tokens that a request brings anew.")
@click.option("--min-tps", type=click.FloatRange(min=0), help="Tokens/s that an answer needs at least; 0: any.")
@click.option("--max-ttft", type=click.FloatRange(min=0), help="Seconds until an answer begins, at most; 0: any.")
@click.option("--max-size", type=click.FloatRange(min=0), metavar="MIB", help="Of the weights, at most.")
@click.option("--quant", type=click.Choice([quant.value for quant in Quant]), help="This quantization only.")
@click.option(
    "--licence-policy", "policy", default="any", show_default=True, metavar="permissive|any|FILE",
    help="Which terms are accepted (docs/licences.md).",
)  # fmt: skip
@click.option("--allow-over-3b", is_flag=True, help="Consider models of more than 3 billion parameters.")
@click.option("--force", is_flag=True, help="Rank models for a kind of task that is beyond them.")
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="Candidates to print.")
@output_options
@click.pass_context
def command(
    context: click.Context,
    profile: str,
    task: str,
    context_length: int | None,
    prompt_tokens: int | None,
    min_tps: float | None,
    max_ttft: float | None,
    max_size: float | None,
    quant: str | None,
    policy: str,
    allow_over_3b: bool,
    force: bool,
    top: int,
) -> None:
    """Rank the catalogue's models for a device and a kind of task, before anything is downloaded.

    Hard limits first: memory, size, tokens/s, time to first token, licence. Then published quality for the task,
    then speed. `*` marks the front: no other model is as good, as fast and as small, and better in one of these.
    """
    from edgepack.infra.library import load_policy, load_profile
    from edgepack.stages.pick import pick

    needs = limited(
        usual_needs(TaskKind(task)), context=context_length, prompt=prompt_tokens, first_token=max_ttft,
        decode=min_tps, size=None if max_size is None else math.floor(max_size * _MIB),
    )  # fmt: skip
    picked = pick(
        load_profile(profile), needs, policy=load_policy(policy), quant=Quant(quant) if quant else None,
        allow_over_3b=allow_over_3b, force=force,
    )  # fmt: skip
    output_of(context).result("pick", _data(picked), lambda: _text(picked, top))
    if not picked.choice.ranked:
        raise NothingFitsError(
            f"no model of the catalogue keeps the limits of {task} on {picked.profile.name}",
            hint="see what each breaks; relax --min-tps, --max-ttft, --ctx or --max-size, or take a larger device",
        )


def _text(picked: "Picked", top: int) -> str:
    ranked, excluded = picked.choice.ranked, picked.choice.excluded
    rows = [_row(one, picked) for one in ranked[:top]]
    parts = [_asked(picked), aligned(_HEADER, rows, right=_NUMBERS)] if rows else [_asked(picked)]
    parts += [f"… and {len(ranked) - top} more (--top)"] if len(ranked) > top else []
    if ranked:
        parts.append(_why(picked, ranked[0]))
    if excluded:
        parts.append("Ruled out, by what comes nearest:\n" + "\n".join(_ruled_out(one) for one in excluded))
    return "\n\n".join(parts)


def _asked(picked: "Picked") -> str:
    needs = picked.needs
    limits = [
        f"context {needs.context}",
        f"prompt {needs.prompt}",
        *([f"first token within {needs.first_token:g} s"] if needs.first_token else []),
        *([f"{needs.decode:g} tokens/s or more"] if needs.decode else []),
        *([f"weights up to {needs.size // _MIB} MiB"] if needs.size else []),
    ]
    level = "" if needs.level == 1 else f"; a level {needs.level} task: check it on your own examples"
    return f"{picked.profile.title}, {needs.kind}: {', '.join(limits)}{level}\n{_basis(picked)}"


def _basis(picked: "Picked") -> str:
    budget = f"memory for a model: {picked.profile.memory_budget // _MIB:,} MiB"
    if picked.speed is None:
        return f"{budget}; speed unknown: the profile has no bandwidth (edgepack profile probe measures it)"
    return f"{budget}; speed predicted, {picked.speed.basis.meaning}"


def _quality(score: float | None, *, independent: bool) -> str:
    if score is None:
        return "?"
    return f"{score:.0%}" if independent else f"({score:.0%})"


def _row(one: "Ranked", picked: "Picked") -> tuple[str, ...]:
    contender, speed = one.contender, one.contender.speed
    return (
        "*" if one.front else "",
        contender.model,
        contender.quant.value,
        f"{contender.size / _MIB:,.0f}",
        f"{contender.memory.total / _MIB:,.0f}",
        f"{speed.decode:.1f}" if speed else "?",
        f"{speed.first_token:.1f} s" if speed else "?",
        _quality(contender.quality, independent=picked.qualities[contender.model].independent),
        "?" if contender.loss is None else f"{contender.loss:.1%}",
        "?" if contender.joules is None else f"{contender.joules:.2f}",
        contender.licence,
    )


def _why(picked: "Picked", best: "Ranked") -> str:
    contender = best.contender
    quality = picked.qualities[contender.model]
    lines = [f"{contender.model} {contender.quant}: first because"]
    if quality.score is not None:
        tests = [*quality.benchmarks[:6], *(["…"] if len(quality.benchmarks) > 6 else [])]
        lines.append(f"  quality: expected ahead of {quality.score:.0%} of the rated models")
        if not quality.independent:
            lines.append("  only its makers measured it: what they claim counts half, and stands in brackets")
        lines.append(f"  measured beside {quality.rivals} of them: {', '.join(tests)}")
        lines += [f"  source: {source}" for source in quality.sources]
    lines += [f"  {reason}" for reason in best.reasons]
    lines.append(f"  next: edgepack build --profile {picked.profile.name} --model {contender.model}")
    return "\n".join(lines)


def _ruled_out(one: "Excluded") -> str:
    broken = "; ".join(f"{broken.limit}: {broken.text}" for broken in one.broken)
    return f"  {one.contender.model} {one.contender.quant}: {broken}"


def _data(picked: "Picked") -> Mapping[str, object]:
    needs = picked.needs
    return {
        "profile": picked.profile.name,
        "needs": {
            "task": needs.kind.value, "level": needs.level, "context": needs.context, "prompt_tokens": needs.prompt,
            "max_first_token_seconds": needs.first_token, "min_decode_tokens_per_second": needs.decode,
            "max_bytes": needs.size,
        },
        "memory_budget": picked.profile.memory_budget,
        "speed_basis": picked.speed.basis.value if picked.speed else None,
        "ranked": [
            {**_contender(one.contender, picked), "front": one.front, "reasons": list(one.reasons)}
            for one in picked.choice.ranked
        ],
        "excluded": [
            {
                **_contender(one.contender, picked),
                "broken": [_broken(broken) for broken in one.broken],
            }
            for one in picked.choice.excluded
        ],
    }  # fmt: skip


def _broken(broken: "Broken") -> dict[str, object]:
    """What a policy refuses is not a matter of more or less."""
    excess = broken.excess if math.isfinite(broken.excess) else None
    return {"limit": broken.limit.value, "text": broken.text, "excess": excess}


def _contender(contender: "Contender", picked: "Picked") -> dict[str, object]:
    quality = picked.qualities[contender.model]
    return {
        "model": contender.model,
        "quantization": contender.quant.value,
        "parameters": contender.parameters,
        "bytes": contender.size,
        "memory": {"total": contender.memory.total, **dict(contender.memory.parts)},
        "predicted": _speed(contender.speed),
        "quality": {
            "score": quality.score, "rivals": quality.rivals, "benchmarks": list(quality.benchmarks),
            "harnesses": list(quality.harnesses), "sources": list(quality.sources),
            "independent": quality.independent,
        },
        "perplexity_rise": contender.loss,
        "joules_per_token": contender.joules,
        "licence": contender.licence,
    }  # fmt: skip


def _speed(speed: "SpeedPlan | None") -> dict[str, object] | None:
    if speed is None:
        return None
    return {
        "prefill_tokens_per_second": speed.prefill,
        "decode_tokens_per_second": speed.decode,
        "first_token_seconds": speed.first_token,
    }
