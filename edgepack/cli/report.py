"""`edgepack report`: one page about a bundle or evaluations; it names the file, and says what is on it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgepack.cli.options import output_of, output_options
from edgepack.cli.records import refuse_unwritable

if TYPE_CHECKING:
    from edgepack.stages.report import Written


@click.command("report")
@click.argument(
    "sources", metavar="BUNDLE|EVALUATION.json...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--out", type=click.Path(path_type=Path), help="Default: BUNDLE.report.html, here.")
@output_options
@click.pass_context
def command(context: click.Context, sources: tuple[Path, ...], out: Path | None) -> None:
    """Write one HTML page about a bundle, whose every byte is checked first, or about evaluations of one task.

    It shows what was chosen and what else was tried, quality, latency, speed, memory, gates, provenance and licences;
    it needs no network, no script and no file beside it. Evaluations that `eval --out` wrote stand beside a bundle,
    or, without one, beside each other: the first is shown in full.
    """
    from edgepack.pipeline.reporting import write_report

    out = out or Path(f"{_stem(sources[0])}.report.html")
    refuse_unwritable(out)
    output = output_of(context)
    written = write_report(sources, out, output)
    output.result("report", _values(written), lambda: _text(written))


def _stem(source: Path) -> str:
    name = source.resolve().name
    return name.removesuffix(".tar").removesuffix(".json") or "edgepack"


def _values(written: "Written") -> dict[str, object]:
    report = written.report
    return {
        "out": str(written.path),
        "bytes": written.size,
        "sha256": written.sha256,
        "bundle": report.bundle and report.bundle.manifest.facts.name,
        "records": list(report.records),
    }


def _text(written: "Written") -> str:
    return f"{written.path}: {written.size / 1024:,.0f} KiB, of {', '.join(dict.fromkeys(written.report.records))}"
