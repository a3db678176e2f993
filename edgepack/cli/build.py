"""edgepack build: everything, in order, from a profile and a model to a verified bundle."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from edgepack.cli.adapters import adapter_of, adapter_options
from edgepack.cli.choosing import (
    Choosing,
    Chosen,
    candidates,
    candidates_data,
    choose,
    choosing_options,
    searched,
    shown_candidates,
    shown_trials,
)
from edgepack.cli.near import near_data, near_text
from edgepack.cli.options import output_of, output_options
from edgepack.cli.output import Output
from edgepack.cli.routing import route_of
from edgepack.cli.stamping import stamp_option, write_stamp
from edgepack.cli.tuning import tuning_of, tuning_options, types_data
from edgepack.domain.app import RELEASE_PASSWORD, SigningKey
from edgepack.domain.bundle import Format
from edgepack.domain.converter import Converter
from edgepack.domain.device import parse_device
from edgepack.domain.engine import Engine
from edgepack.domain.errors import UsageError
from edgepack.domain.gates import GateDepth
from edgepack.domain.native import RuntimeChoice
from edgepack.domain.tuned import ChosenFlags, parse_chosen

if TYPE_CHECKING:
    from edgepack.domain.measurement import Measurement
    from edgepack.domain.trials import Trials
    from edgepack.pipeline import Built, Order, Planned
    from edgepack.pipeline.order import LargePlanned
    from edgepack.stages.adapter import OpenedAdapter

_MIB = 1 << 20


@click.command("build")
@click.option("--profile", required=True, help="The device: a name (edgepack profile list), a file, or `host`.")
@choosing_options
@tuning_options
@adapter_options
@click.option(
    "--ctx", "context_length", type=click.IntRange(min=16), help="Tokens of context; default 4096, or less."
)
@click.option(
    "--system-prompt", type=click.Path(path_type=Path), help="A text; `run` begins with the state after it."
)
@click.option("--format", "form", type=click.Choice([form.value for form in Format]), default=Format.DIR.value)
@click.option(
    "--release-key", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="P12",
    help="With --format apk: sign with it, by the password in EDGEPACK_KEY_PASSWORD; default: a debug key.",
)  # fmt: skip
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
@click.option(
    "--gates", type=click.Choice([depth.value for depth in GateDepth]),
    help="How the weights are held against their checkpoint; default: full up to 100 M parameters, else quick.",
)  # fmt: skip
@click.option(
    "--checkpoint", metavar="M", help="With --model FILE.gguf: what it was made of; it is held against that."
)
@click.option(
    "--route", "routing", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
    help="Send up what the model is unsure of, as `edgepack eval --route … --out FILE` found.",
)  # fmt: skip
@click.option(
    "--large", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="GGUF",
    help="With --route: the larger model, unless the record names an address.",
)  # fmt: skip
@click.option(
    "--engine", type=click.Choice([engine.value for engine in Engine]),
    help="What shall run the model; default: onnx for encoders (docs/onnx.md), llamacpp for what writes text.",
)  # fmt: skip
@click.option(
    "--with-wheels", is_flag=True, help="Of an encoder: the Python packages that run it ride in the bundle."
)
@click.option("--python", metavar="VERSION", help="The device's Python, as 3.11; default: the profile's.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads that convert; default: all.")
@click.option("--offline", is_flag=True, help="Touch no network.")
@click.option("--dry-run", is_flag=True, help="Plan only: fetch what the plan needs, make nothing.")
@click.option("--no-bench", is_flag=True, help="Do not measure.")
@click.option("--measure-again", is_flag=True, help="Measure even if these weights were measured here before.")
@click.option("--allow-over-3b", is_flag=True, help="Take a model of more than 3 billion parameters.")
@click.option("--force", is_flag=True, help="Build even what does not fit the memory, or fails a gate.")
@stamp_option
@output_options
@click.pass_context
def command(
    context: click.Context,
    profile: str,
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
    release_key: Path | None,
    out: Path | None,
    device: str,
    runtime: str,
    record: Path | None,
    gates: str | None,
    checkpoint: str | None,
    routing: Path | None,
    large: Path | None,
    engine: str | None,
    with_wheels: bool,
    python: str | None,
    threads: int | None,
    offline: bool,
    dry_run: bool,
    no_bench: bool,
    measure_again: bool,
    allow_over_3b: bool,
    force: bool,
    stamp: Path | None,
    **said: Unpack[Choosing],
) -> None:
    """Make a verified bundle: profile, model, quantization, weights, measurement.

    Every step is kept in the store: a second run of the same build makes nothing, and a run after ^C goes on.
    """
    from edgepack.domain.trials import trials_json
    from edgepack.infra.library import load_policy
    from edgepack.pipeline import Order, build
    from edgepack.stages.fetch import find_source

    output = output_of(context)
    chosen = choose(profile, said, context_length, allow_over_3b=allow_over_3b, force=force, output=output)
    order = Order(
        profile=profile, source=chosen.source, quant=chosen.quant, precision=chosen.precision,
        engine=Engine(engine) if engine else None, wheels=with_wheels, python=python,
        tuning=tuning_of(imatrix, calibration, tensor_types),
        adapter=adapter_of(adapter, merge, adapter_type, Converter(converter)), converter=Converter(converter),
        context=chosen.context, system_prompt=system_prompt, format=Format(form), out=out,
        release_key=_release_key_of(release_key, Format(form)),
        offline=offline, allow_over_3b=allow_over_3b,
        runtime=_runtime_of(runtime), flags=_flags_of(record), force=force, threads=threads,
        device=parse_device(device), measure=not no_bench, measure_again=measure_again,
        gates=GateDepth(gates) if gates else None, checkpoint=find_source(checkpoint) if checkpoint else None,
        route=route_of(routing, large), policy=load_policy(said["policy"]),
    )  # fmt: skip
    if dry_run:
        _show_plan(order, chosen, output)
        return
    trials = None
    if chosen.search:
        order, trials = searched(order, chosen.search, output)
    built = build(order, output)
    if stamp:
        write_stamp(stamp, context.params, built.bundle.payload_digest)
    data = {
        "planned": _planned_data(built.planned),
        "built": _built_data(built),
        "trials": trials and trials_json(trials),
    }
    output.result("build", data, lambda: _built_text(built, trials))


def _show_plan(order: "Order", chosen: Chosen, output: Output) -> None:
    """What would be made, or the candidates that would be asked."""
    from edgepack.pipeline import prepare

    if chosen.search:
        found = candidates(order, chosen.search, output)
        data = {"planned": None, "built": None, "candidates": candidates_data(found)}
        output.result("build", data, lambda: shown_candidates(found))
        return
    planned = prepare(order, output)
    output.result("build", {"planned": _planned_data(planned), "built": None}, lambda: _planned_text(planned))


def _runtime_of(word: str) -> RuntimeChoice | Path:
    """One of the choices, or a directory."""
    return RuntimeChoice(word) if word in tuple(RuntimeChoice) else Path(word)


def _release_key_of(store: Path | None, form: Format) -> SigningKey | None:
    """A team's own key, by the name in EDGEPACK_KEY_ALIAS where its store holds several."""
    if store is None:
        return None
    if form is not Format.APK:
        raise UsageError("--release-key is for --format apk", hint="leave one of them away")
    return SigningKey(store=store, alias=os.environ.get("EDGEPACK_KEY_ALIAS"), password_variable=RELEASE_PASSWORD)


def _flags_of(record: Path | None) -> ChosenFlags | None:
    if record is None:
        return None
    return parse_chosen(record.read_text(encoding="utf-8", errors="replace"), subject=str(record))


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
        "large": {"name": planned.large.adopted.name, "memory": planned.large.memory} if planned.large else None,
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
        "verified": {
            "files": built.verdict.files,
            "answer": answer.text if answer else None,
            "near": built.verdict.near and near_data(built.verdict.near),
        },
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
        *(_large_lines(planned.large) if planned.large else []),
        *_evictable(chosen.memory.evictable),
    ]
    return "\n".join(lines)


def _evictable(size: int) -> list[str]:
    what = "of the mapped file beside it, as long as nobody else wants the memory"
    return [f"  and up to     {size / _MIB:,.0f} MiB {what} (predicted)"] if size else []


def _large_lines(large: "LargePlanned") -> list[str]:
    return [f"  larger model  {large.memory / _MIB:,.0f} MiB beside it, for {large.adopted.name} (predicted)"]


def _adapter_text(adapter: "OpenedAdapter") -> str:
    return f"{adapter.name}, {'merged' if adapter.choice.merge else f'{adapter.choice.type} beside the weights'}"


def _built_text(built: "Built", trials: "Trials | None") -> str:
    lines = [
        *([shown_trials(trials), ""] if trials else []),
        _planned_text(built.planned),
        *(_measured_lines(built.measurement) if built.measurement else ["  not measured"]),
        f"  bundle        {built.bundle.path} ({built.bundle.size / _MIB:,.1f} MiB)",
        f"  payload       sha256 {built.bundle.payload_digest}",
        f"  verified      {built.verdict.files} files, every byte",
    ]
    if built.verdict.answer:
        lines.append(f"  it answers    {built.verdict.answer.text.strip()!r} to {built.verdict.answer.prompt!r}")
    if near := built.verdict.near:
        lines.append(f"  it gives      {near_text(near)}")
    return "\n".join(lines)


def _measured_lines(measurement: "Measurement") -> list[str]:
    machine = measurement.conditions.machine
    where = f"measured on {machine}, {measurement.threads} threads, {measurement.date:%Y-%m-%d}"
    unstable = "" if measurement.stable else " — unstable"
    return [f"  {series.name:<13} {series.median:,.1f} tokens/s ({where}{unstable})" for series in measurement.series]
