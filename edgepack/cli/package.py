"""`edgepack package`: a bundle wrapped for the system that brings it to devices; the stage does the work."""

from pathlib import Path

import click

from edgepack.cli.options import output_of, output_options
from edgepack.domain.packaging import NOBODY, SUFFIXES, PackageKind, Packaging, RaucFormat
from edgepack.stages.package import Package, package

_PEM = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command(name="package")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--as", "kind", type=click.Choice([kind.value for kind in PackageKind]), required=True)
@click.option("--out", type=click.Path(path_type=Path), help="Where it goes; default: the bundle's name, here.")
@click.option("--package-version", "version", default="1.0", show_default=True, help="Its version.")
@click.option("--maintainer", metavar="WHO", envvar="DEBEMAIL", help="deb: `NAME <ADDRESS>`.")
@click.option(
    "--compatible",
    metavar="WORD",
    help="rauc: the device it is for, else the profile's name; swu: the board's revision, else any.",
)
@click.option(
    "--rauc-format", "rauc", type=click.Choice([form.value for form in RaucFormat]), default=RaucFormat.VERITY.value,
    show_default=True, help="rauc: how its content is guarded; plain needs no dm-verity on the device.",
)  # fmt: skip
@click.option("--key", type=_PEM, metavar="PEM", help="rauc, swu: the private key of the signature.")
@click.option("--cert", "certificate", type=_PEM, metavar="PEM", help="rauc, swu: its X.509 certificate.")
@output_options
@click.pass_context
def command(
    context: click.Context, bundle: Path, kind: str, out: Path | None, version: str, maintainer: str | None,
    compatible: str | None, rauc: str, key: Path | None, certificate: Path | None,
) -> None:  # fmt: skip
    """Check every byte of BUNDLE, a directory or a .tar, and wrap it for the system that brings it to devices.

    A bundle that `edgepack sign` has signed keeps its signature inside.
    """
    output = output_of(context)
    wanted = PackageKind(kind)
    packaging = Packaging(
        kind=wanted, version=version, maintainer=maintainer or NOBODY, compatible=compatible,
        rauc=RaucFormat(rauc), key=key, certificate=certificate,
    )  # fmt: skip
    name = bundle.resolve().name.removesuffix(".tar")
    made = package(bundle, packaging, destination=out or Path(f"{name}{SUFFIXES[wanted]}"), progress=output)
    output.result("package", _values(made), lambda: _text(made))


def _values(made: Package) -> dict[str, object]:
    return {
        "package": str(made.path), "kind": made.kind, "size": made.size, "bundle": made.name,
        "payload_digest": made.payload_digest,
    }  # fmt: skip


def _text(made: Package) -> str:
    lines = [
        f"{made.path}: {made.name} as {made.kind}, {made.size / 1e6:,.1f} MB",
        f"  payload   sha256:{made.payload_digest}",
    ]
    return "\n".join(lines)
