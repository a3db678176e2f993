"""`edgepack runtime`: builds llama.cpp's programs for a profile's processor, and puts them where they are wanted."""

import shutil
from pathlib import Path

import click

from edgepack.cli.options import output_of, output_options
from edgepack.domain.native import NativeRuntime


@click.command("runtime")
@click.option("--profile", required=True, help="The device: a name (edgepack profile list), a file, or `host`.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Copy the programs into this directory."
)
@click.option("--offline", is_flag=True, help="Touch no network.")
@output_options
@click.pass_context
def command(context: click.Context, profile: str, out: Path | None, offline: bool) -> None:
    """Build llama.cpp's programs for a profile's processor, as `build` puts them into bundles.

    They come from the pinned source by a pinned compiler that is fetched from the package index: nothing needs to be
    installed. Built once, about five minutes on two cores; then kept in the store.
    """
    from edgepack.infra.library import load_profile
    from edgepack.infra.store import Store, home
    from edgepack.stages.runtime import build_runtime

    output = output_of(context)
    runtime = build_runtime(load_profile(profile), store=Store(home()), offline=offline, progress=output)
    places = _copied(runtime, out) if out else [file.path for file in runtime.files]
    data = {
        "target": runtime.target,
        "origin": runtime.origin,
        "digest": runtime.digest,
        "programs": [
            {"name": file.name, "path": str(place), "size": file.size, "sha256": file.sha256}
            for file, place in zip(runtime.files, places, strict=True)
        ],
    }
    output.result("runtime", data, lambda: _text(runtime, places))


def _copied(runtime: NativeRuntime, out: Path) -> list[Path]:
    out.mkdir(parents=True, exist_ok=True)
    places = []
    for file in runtime.files:
        partial = out / f".{file.name}.part"
        shutil.copy(file.path, partial)
        places.append(partial.replace(out / file.name))
    return places


def _text(runtime: NativeRuntime, places: list[Path]) -> str:
    lines = [f"{runtime.origin} for {runtime.target}"]
    lines += [
        f"  {place}  {file.size / 1e6:,.1f} MB, sha256 {file.sha256}"
        for file, place in zip(runtime.files, places, strict=True)
    ]
    return "\n".join(lines)
