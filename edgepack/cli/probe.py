"""`edgepack profile probe`: reads the words, has a device measured, shows and writes its profile."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgepack.cli.options import output_of, output_options
from edgepack.cli.output import Output
from edgepack.cli.runtimes import runtime_for
from edgepack.domain.bandwidth import Reading
from edgepack.domain.device import Device, LocalDevice, parse_device
from edgepack.domain.errors import UsageError
from edgepack.domain.measurement import Measurement, Workload
from edgepack.domain.measurement_json import measurement_json
from edgepack.domain.probed import Probed
from edgepack.domain.profile import Profile, Runtime, profile_table, profile_toml
from edgepack.domain.quant import Quant
from edgepack.domain.weights import Weights

if TYPE_CHECKING:
    from edgepack.infra.kept import KeptFile
    from edgepack.stages.probe import Measuring

_QUANTS = (Quant.Q4_0, Quant.Q4_K_M, Quant.Q6_K, Quant.Q8_0)


@click.command("probe")
@click.option("--device", default="local", show_default=True, help="What to probe: local, ssh://HOST, adb://SERIAL.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the profile to this file.")
@click.option("--base", metavar="P", help="A known profile: its figures stay where the device tells none.")
@click.option("--quick", is_flag=True, help="One quantization, fewer rounds and samples.")
@click.option("--no-bench", is_flag=True, help="Only read what the device says of itself; measure nothing.")
@click.option("--model", metavar="M", help="Calibrate with this catalogue model's shape.  [default: one that fits]")
@click.option(
    "--quant", "quants", multiple=True, type=click.Choice(list(Quant), case_sensitive=False),
    help=f"Calibrate with this quantization. Repeatable.  [default: {', '.join(_QUANTS)}]",
)  # fmt: skip
@click.option(
    "--runtime", type=click.Path(path_type=Path), metavar="DIR",
    help="Directory with llama or llama-bench for the device.  [default: built for it; the bindings for local]",
)  # fmt: skip
@click.option("--offline", is_flag=True, help="Touch no network.")
@output_options
@click.pass_context
def probe_profile(
    context: click.Context,
    device: str,
    out: Path | None,
    base: str | None,
    quick: bool,
    no_bench: bool,
    model: str | None,
    quants: tuple[str, ...],
    runtime: Path | None,
    offline: bool,
) -> None:
    """Measure a device and write its profile, to edit and to name.

    Asks the device what it is; reads its memory with one to all big cores; then runs weights that are made up, of a
    small model's shape, which tell how fast any model will be. Takes minutes. Nothing is downloaded for the device,
    and nothing is left there.
    """
    from edgepack.infra.library import load_catalogue, load_profile, refuse_existing, write_profile
    from edgepack.stages.probe import probe

    output = output_of(context)
    where = parse_device(device)
    if model and load_catalogue().find(model) is None:
        raise UsageError(f"--model {model}: no id of the catalogue", hint="`edgepack model list` shows all")
    if out:
        refuse_existing(out)
    wanted = tuple(map(Quant, quants)) or (_QUANTS[:1] if quick else _QUANTS)
    probed = probe(
        where, base=load_profile(base) if base else None, quick=quick, progress=output,
        measuring=None if no_bench else _measuring(where, model, wanted, runtime, offline, output),
    )  # fmt: skip
    if out:
        write_profile(probed.profile, out, probed.comments)
    output.result(
        "profile",
        {"profile": profile_data(probed.profile), "probe": _data(probed)},
        lambda: f"wrote {out}" if out else profile_toml(probed.profile, probed.comments).rstrip(),
    )


def _measuring(
    device: Device, model: str | None, quants: tuple[Quant, ...], runtime: Path | None, offline: bool, output: Output
) -> "Measuring":
    """The program that reads memory, synthetic weights, a runtime and a bench, each of its own stage."""
    from edgepack.infra.pins import llama_cpp_pin
    from edgepack.infra.store import Store, home
    from edgepack.stages.probe import Measuring, bandwidth_program
    from edgepack.stages.synthetic import synthetic

    store = Store(home())
    bindings = runtime is None and isinstance(device, LocalDevice)

    def weights(name: str, quant: Quant) -> Weights:
        return synthetic(f"{name}:{quant}", llama_cpp=llama_cpp_pin().version, store=store, progress=output)

    def programs(profile: Profile) -> Path | None:
        return None if bindings else runtime_for(device, runtime, profile, output, offline=offline)(None)

    def bench(made: Weights, workload: Workload, directory: Path | None) -> Measurement:
        return _bench(device, made, workload, directory, output)

    def program(target: Runtime) -> "KeptFile":
        return bandwidth_program(target, store=store, offline=offline, progress=output)

    return Measuring(
        program=program, model=model, quants=quants, weights=weights, runtime=programs, bench=bench
    )  # fmt: skip


def _bench(device: Device, weights: Weights, workload: Workload, runtime: Path | None, output: Output) -> Measurement:
    """By the bindings here, by llama-bench where there is a runtime."""
    if runtime is None:
        from edgepack.stages.bench import bench

        return bench(weights, workload=workload, threads=None, progress=output)
    from edgepack.stages.device_bench import bench_device

    return bench_device(
        device, weights, runtime=lambda _: runtime, workload=workload, threads=None, progress=output
    )  # fmt: skip


def profile_data(profile: Profile) -> dict[str, object]:
    """A profile as --json shows it."""
    return {
        "name": profile.name,
        "memory_budget_bytes": profile.memory_budget,
        "runtime_target": profile.runtime_target,
        **profile_table(profile),
    }


def _data(probed: Probed) -> dict[str, object]:
    """What the profile was made of, every sample in it."""
    seen = probed.seen
    return {
        "date": probed.day.isoformat(),
        "device": seen.way,
        "system": seen.system,
        "governor": seen.governor,
        "celsius": seen.celsius,
        "memory_free_bytes": seen.free,
        "differences": list(probed.differences),
        "bandwidth": [_reading(reading) for reading in probed.readings],
        "measurements": [measurement_json(one.measurement) for one in probed.calibrated],
    }


def _reading(reading: Reading) -> dict[str, object]:
    return {
        "threads": reading.threads,
        "buffer_bytes": reading.buffer,
        "gbs": list(reading.rounds),
        "median_gbs": reading.median,
        "spread": reading.spread,
        "busy": reading.busy,
    }
