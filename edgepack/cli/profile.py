"""edgepack profile: lists, shows, checks and probes device profiles."""

from collections.abc import Iterator
from pathlib import Path

import click

from edgepack.cli.options import output_of, output_options
from edgepack.cli.probe import probe_profile, profile_data
from edgepack.cli.tables import aligned, footnoted
from edgepack.domain.onnx_devices import why_no_onnx
from edgepack.domain.profile import CpuCluster, Isa, Profile
from edgepack.domain.settling import counted
from edgepack.infra.library import load_profile, profile_aliases, profile_names, read_profile


@click.group("profile")
def command() -> None:
    """List, show, check or probe device profiles."""


@command.command("list")
@output_options
@click.pass_context
def list_profiles(context: click.Context) -> None:
    """List the profiles that come with edgepack."""
    profiles = [load_profile(name) for name in profile_names()]
    output_of(context).result(
        "profile",
        {"profiles": [profile_data(profile) for profile in profiles], "aliases": profile_aliases()},
        lambda: _listing(profiles),
    )


@command.command("show")
@click.argument("profile")
@output_options
@click.pass_context
def show_profile(context: click.Context, profile: str) -> None:
    """Show a profile, each figure with its source: a name, a file, or `host`."""
    found = load_profile(profile)
    output_of(context).result("profile", {"profile": profile_data(found)}, lambda: _sheet(found))


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@output_options
@click.pass_context
def check_profile(context: click.Context, file: Path) -> None:
    """Check a profile's file; exit code 4 and the place of the first mistake if it is not one."""
    profile = read_profile(file)
    output_of(context).result(
        "profile", {"profile": profile_data(profile)}, lambda: f"{file}: a profile of {profile.title}"
    )


command.add_command(probe_profile)


def _listing(profiles: list[Profile]) -> str:
    header = ("NAME", "DEVICE", "CLASS", "BIG CORES", "RAM GiB", "FOR A MODEL", "BANDWIDTH GB/s", "")
    rows = [
        (
            profile.name,
            profile.title,
            profile.device_class.value,
            str(profile.big_cores),
            f"{profile.ram.gib.value:g}",
            f"{profile.ram.usable_gib.value:g}",
            f"{found.gbs:.1f}" if (found := profile.bandwidth) else "",
            f"{found.kind}" if found else "unknown",
        )
        for profile in profiles
    ]
    aliases = ", ".join(f"{alias} = {name}" for alias, name in profile_aliases().items())
    table = aligned(header, rows, right=frozenset({3, 4, 5, 6}))
    return f"{table}\n\nShort names: {aliases}; host is this machine, probed."


def _sheet(profile: Profile) -> str:
    return f"{profile.name}: {profile.title}\n\n{footnoted(list(_rows(profile)))}"


def _rows(profile: Profile) -> Iterator[tuple[str, str, str | None]]:
    """What a person reads, line by line: label, text, source."""
    yield "class", profile.device_class, None
    yield "SoC", profile.soc.text, profile.soc.source
    for cluster in profile.clusters:
        yield "CPU", _cluster(cluster), cluster.source
    yield "ISA", " ".join(feature for feature in Isa if feature in profile.isa) or "none", profile.isa_source
    yield "RAM", f"{profile.ram.gib.value:g} GiB", profile.ram.gib.source
    yield "for a model", f"{profile.ram.usable_gib.value:g} GiB", profile.ram.usable_gib.source
    if kind := profile.memory.kind:
        yield "memory", kind.text, kind.source
    for found in profile.memory.bandwidths:
        yield "bandwidth", f"{found.gbs:g} GB/s {found.kind} ({found.how})", found.source
    if profile.storage:
        yield "storage", profile.storage.text, profile.storage.source
    python = f", Python {profile.runtime.python}" if profile.runtime.python else ""
    yield "system", f"{profile.runtime.os}, {profile.runtime.abi}{python}", None
    yield "runtime", profile.runtime_target, None
    why = why_no_onnx(profile)
    yield "encoders", f"not by onnxruntime: {why}" if why else "by onnxruntime", None
    for label, watts in (("idle power", profile.power.idle), ("load power", profile.power.load)):
        if watts:
            yield label, f"{watts.value:g} W", watts.source
    if profile.sustained:
        yield "sustained", f"{profile.sustained.value:.0%} of the first speed", profile.sustained.source
    for row in profile.calibrations:
        speeds = f"decode {row.decode:,.1f}, prefill {row.prefill:,.1f} tokens/s"
        yield "calibration", f"{row.model} {row.quant}: {speeds}, {counted(row.threads)}", row.source


def _cluster(cluster: CpuCluster) -> str:
    clock = f" at {cluster.mhz} MHz" if cluster.mhz else ""
    return f"{cluster.count} x {cluster.microarchitecture}{clock}{'' if cluster.big else ', little'}"
