"""edgepack build: everything, in order, from a profile and a model to a verified bundle."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgepack.cli.adapters import adapter_of, adapter_options
from edgepack.cli.options import output_of, output_options
from edgepack.cli.output import Output
from edgepack.cli.tuning import tuning_of, tuning_options, types_data
from edgepack.domain.bundle import Format
from edgepack.domain.converter import Converter
from edgepack.domain.device import parse_device
from edgepack.domain.native import RuntimeChoice
from edgepack.domain.needs import TaskKind
from edgepack.domain.quant import Quant
from edgepack.domain.tuned import ChosenFlags, parse_chosen

if TYPE_CHECKING:
    from edgepack.domain.measurement import Measurement
    from edgepack.pipeline import Built, Planned
    from edgepack.pipeline.picking import PickedModel
    from edgepack.stages.adapter import OpenedAdapter

_MIB = 1 << 20


@click.command("build")
@click.option("--profile", required=True, help="The device: a name (edgepack profile list), a file, or `host`.")
@click.option(
    "--model",
    help="A catalogue id, ORGANIZATION/NAME[@REVISION], a directory, a .gguf, or `demo`; default: pick's first.",
)
@click.option(
    "--task", type=click.Choice([kind.value for kind in TaskKind]), default=TaskKind.CHAT.value, show_default=True,
    help="Without --model: what the model is for.",
)  # fmt: skip
@click.option(
    "--licence-policy", "policy", default="any", show_default=True, metavar="permissive|any|FILE",
    help="Without --model: which terms are accepted.",
)  # fmt: skip
@click.option("--quant", type=click.Choice([quant.value for quant in Quant]), help="Default: the first that fits.")
@tuning_options
@adapter_options
@click.option(
    "--ctx", "context_length", type=click.IntRange(min=16), help="Tokens of context; default 4096, or less."
)
@click.option(
    "--system-prompt", type=click.Path(path_type=Path), help="A text; `run` begins with the state after it."
)
@click.option("--format", "form", type=click.Choice([form.value for form in Format]), default=Format.DIR.value)
@click.option("--out", type=click.Path(path_type=Path), help="Where the bundle goes; default: its name, here.")
@click.option("--device", default="local", help="Where to measure: local, ssh://HOST, adb://SERIAL.")
@click.option(
    "--runtime",
    metavar="build|none|DIR",
    default=RuntimeChoice.BUILT.value,
    show_default=True,
    envvar="EDGEPACK_BUILD_RUNTIME",
    help="llama.cpp's programs for the device: built from the pinned source, none, or those in DIR.",
)
@click.option(
    "--flags", "record", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
    help="Start the model with what `edgepack tune --out FILE` found.",
)  # fmt: skip
@click.option("--threads", type=click.IntRange(min=1), help="Threads that convert; default: all.")
@click.option("--offline", is_flag=True, help="Touch no network.")
@click.option("--dry-run", is_flag=True, help="Plan only: fetch what the plan needs, make nothing.")
@click.option("--no-bench", is_flag=True, help="Do not measure.")
@click.option("--measure-again", is_flag=True, help="Measure even if these weights were measured here before.")
@click.option("--allow-over-3b", is_flag=True, help="Take a model of more than 3 billion parameters.")
@click.option("--force", is_flag=True, help="Build even what does not fit the profile's memory.")
@output_options
@click.pass_context
def command(
    context: click.Context,
    profile: str,
    model: str | None,
    task: str,
    policy: str,
    quant: str | None,
    imatrix: str | None,
    calibration: Path | None,
    tensor_types: tuple[str, ...],
    adapter: Path | None,
    merge: bool,
    adapter_type: str | None,
    converter: str,
    context_length: int | None,
    system_prompt: Path | None,
    form: str,
    out: Path | None,
    device: str,
    runtime: str,
    record: Path | None,
    threads: int | None,
    offline: bool,
    dry_run: bool,
    no_bench: bool,
    measure_again: bool,
    allow_over_3b: bool,
    force: bool,
) -> None:
    """Make a verified bundle: profile, model, quantization, weights, measurement.

    Every step is kept in the store: a second run of the same build makes nothing, and a run after ^C goes on.
    """
    from edgepack.pipeline import Order, build, prepare
    from edgepack.stages.fetch import find_source

    output = output_of(context)
    wanted = Quant(quant) if quant else None
    if model is None:
        picked = _picked(
            profile, TaskKind(task), policy, wanted, context_length, allow_over_3b=allow_over_3b, force=force,
            output=output,
        )  # fmt: skip
        source, wanted, context_length = picked.source, picked.quant, picked.context
    else:
        source = find_source(model)
    order = Order(
        profile=profile, source=source, quant=wanted,
        tuning=tuning_of(imatrix, calibration, tensor_types),
        adapter=adapter_of(adapter, merge, adapter_type, Converter(converter)), converter=Converter(converter),
        context=context_length, system_prompt=system_prompt, format=Format(form), out=out,
        offline=offline, allow_over_3b=allow_over_3b,
        runtime=_runtime_of(runtime), flags=_flags_of(record), force=force, threads=threads,
        device=parse_device(device), measure=not no_bench, measure_again=measure_again,
    )  # fmt: skip
    if dry_run:
        planned = prepare(order, output)
        output.result("build", {"planned": _planned_data(planned), "built": None}, lambda: _planned_text(planned))
        return
    built = build(order, output)
    data = {"planned": _planned_data(built.planned), "built": _built_data(built)}
    output.result("build", data, lambda: _built_text(built))


def _runtime_of(word: str) -> RuntimeChoice | Path:
    """One of the choices, or a directory."""
    return RuntimeChoice(word) if word in tuple(RuntimeChoice) else Path(word)


def _flags_of(record: Path | None) -> ChosenFlags | None:
    if record is None:
        return None
    return parse_chosen(record.read_text(encoding="utf-8", errors="replace"), subject=str(record))


def _picked(
    profile: str,
    task: TaskKind,
    policy: str,
    quant: Quant | None,
    context: int | None,
    *,
    allow_over_3b: bool,
    force: bool,
    output: Output,
) -> "PickedModel":
    from edgepack.infra.library import load_policy
    from edgepack.pipeline.picking import pick_model

    return pick_model(
        profile, task, policy=load_policy(policy), quant=quant, context=context, allow_over_3b=allow_over_3b,
        force=force, progress=output,
    )  # fmt: skip


def _planned_data(planned: "Planned") -> dict[str, object]:
    chosen = planned.plan.chosen
    types = types_data(planned.tuning, chosen.fallen, weights=chosen.size)
    return {
        "name": planned.name,
        "profile": planned.profile.name,
        "model": planned.material.name,
        "origin": planned.material.origin,
        "revision": planned.material.revision,
        "parameters": planned.material.parameters,
        "quant": chosen.quant,
        "context": planned.plan.context,
        "memory": {
            **dict(chosen.memory.parts),
            "total": chosen.memory.total,
            "evictable": chosen.memory.evictable,
            "budget": planned.plan.budget,
        },
        "converter": planned.converter,
        "adapter": _adapter_data(planned),
        "fallback_tensors": chosen.fallbacks,
        **types,
        "reason": planned.plan.reason,
    }


def _adapter_data(planned: "Planned") -> dict[str, object] | None:
    adapter = planned.adapter
    if adapter is None:
        return None
    return {
        "name": adapter.name,
        "origin": adapter.checkpoint.origin,
        "checkpoint": adapter.checkpoint.digest,
        "merged": adapter.choice.merge,
    }


def _built_data(built: "Built") -> dict[str, object]:
    answer = built.verdict.answer
    return {
        "bundle": str(built.bundle.path),
        "format": built.bundle.format,
        "payload_digest": built.bundle.payload_digest,
        "size": built.bundle.size,
        "weights": {"sha256": built.weights.sha256, "size": built.weights.size},
        "adapter": {"sha256": built.adapter.sha256, "size": built.adapter.size} if built.adapter else None,
        "measured": _measured_data(built.measurement) if built.measurement else None,
        "verified": {"files": built.verdict.files, "answer": answer.text if answer else None},
    }


def _measured_data(measurement: "Measurement") -> dict[str, object]:
    return {
        "date": measurement.date.isoformat(),
        "machine": measurement.conditions.machine,
        "cpu": measurement.conditions.cpu,
        "threads": measurement.threads,
        "stable": measurement.stable,
        "tokens_per_second": {series.name: series.median for series in measurement.series},
    }


def _planned_text(planned: "Planned") -> str:
    chosen, material = planned.plan.chosen, planned.material
    lines = [
        f"{material.name} ({material.parameters / 1e6:,.1f} M parameters) for {planned.profile.title}",
        f"  quantization  {chosen.title} ({planned.plan.reason})",
        *([f"  adapter       {_adapter_text(planned.adapter)}"] if planned.adapter else []),
        f"  context       {planned.plan.context} tokens",
        *(f"  {name:<13} {size / _MIB:,.0f} MiB (predicted)" for name, size in chosen.memory.parts if size),
        *_evictable(chosen.memory.evictable),
    ]
    return "\n".join(lines)


def _evictable(size: int) -> list[str]:
    what = "of the mapped file beside it, as long as nobody else wants the memory"
    return [f"  and up to     {size / _MIB:,.0f} MiB {what} (predicted)"] if size else []


def _adapter_text(adapter: "OpenedAdapter") -> str:
    return f"{adapter.name}, {'merged' if adapter.choice.merge else f'{adapter.choice.type} beside the weights'}"


def _built_text(built: "Built") -> str:
    lines = [
        _planned_text(built.planned),
        *(_measured_lines(built.measurement) if built.measurement else ["  not measured"]),
        f"  bundle        {built.bundle.path} ({built.bundle.size / _MIB:,.1f} MiB)",
        f"  payload       sha256 {built.bundle.payload_digest}",
        f"  verified      {built.verdict.files} files, every byte",
    ]
    if built.verdict.answer:
        lines.append(f"  it answers    {built.verdict.answer.text.strip()!r} to {built.verdict.answer.prompt!r}")
    return "\n".join(lines)


def _measured_lines(measurement: "Measurement") -> list[str]:
    machine = measurement.conditions.machine
    where = f"measured on {machine}, {measurement.threads} threads, {measurement.date:%Y-%m-%d}"
    unstable = "" if measurement.stable else " — unstable"
    return [f"  {series.name:<13} {series.median:,.1f} tokens/s ({where}{unstable})" for series in measurement.series]
