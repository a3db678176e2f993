"""`edgepack deploy`: a bundle becomes what a device serves, or the one before does again; the stage does the work."""

from pathlib import Path

import click

from edgepack.cli.options import output_of, output_options
from edgepack.domain.deployment import Deployment, RolledBack
from edgepack.domain.device import AdbDevice, Device, parse_device
from edgepack.domain.errors import UsageError
from edgepack.domain.installing import Installed
from edgepack.domain.measurement import Workload
from edgepack.formats.apk_reader import SUFFIX
from edgepack.stages.deploy import deploy, roll_back
from edgepack.stages.install import install


def _device(_context: click.Context, _parameter: click.Parameter, text: str) -> Device:
    return parse_device(text)


@click.command(name="deploy")
@click.argument("bundle", required=False, type=click.Path(path_type=Path))
@click.option("--device", required=True, callback=_device, help="local, ssh://[user@]host[:port] or adb://[serial].")
@click.option("--to", "place", metavar="DIR", help="The directory on the device. Default: edgepack's own there.")
@click.option("--selftest/--no-selftest", default=True, help="Switch only when the self-test has passed there.")
@click.option("--rollback", is_flag=True, help="Go back to the release before the current one; takes no BUNDLE.")
@click.option("--keep", type=click.IntRange(min=1), default=1, show_default=True, help="Older releases to keep.")
@click.option(
    "--measurement", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Of an app: where the measurement goes that its self-test made.",
)  # fmt: skip
@output_options
@click.pass_context
def command(
    context: click.Context, bundle: Path | None, device: Device, place: str | None, selftest: bool, rollback: bool,
    keep: int, measurement: Path | None,
) -> None:  # fmt: skip
    """Bring BUNDLE, a directory or a .tar, to a device, test it there, and switch to it; or install an .apk.

    The switch is one rename: DIR/current is the old release or the new one, whole. Only what the device has not is
    sent. Exits with 7 where the self-test fails, with 8 where the device's disk is full.
    """
    output = output_of(context)
    if rollback:
        if bundle:
            raise UsageError("--rollback takes no BUNDLE", hint="leave one of them away")
        back = roll_back(device, place=place, progress=output)
        output.result("deploy", _back_values(back), lambda: _back_text(back))
        return
    if not bundle:
        raise UsageError("no BUNDLE", hint="name a bundle's directory or its .tar, or --rollback")
    if bundle.suffix == SUFFIX:
        if not isinstance(device, AdbDevice) or place:
            raise UsageError(
                "an app is installed over adb, where Android puts it", hint="--device adb://, without --to"
            )
        there = install(
            bundle, device, selftest=selftest, workload=Workload(), measurement=measurement, progress=output
        )
        output.result("install", _installed_values(there), lambda: _installed_text(there))
        return
    done = deploy(bundle, device, place=place, selftest=selftest, keep=keep, progress=output)
    output.result("deploy", _values(done), lambda: _text(done))


def _values(done: Deployment) -> dict[str, object]:
    return {
        "device": done.device, "place": done.place, "release": done.release, "previous": done.previous or None,
        "rolled_back": False, "switched": done.switched, "payload_digest": done.payload_digest, "files": done.files,
        "bytes": done.size, "bytes_brought": done.brought, "linked": done.linked, "selftest": done.selftest,
    }  # fmt: skip


def _back_values(back: RolledBack) -> dict[str, object]:
    return {
        "device": back.device, "place": back.place, "release": back.release, "previous": back.left,
        "rolled_back": True, "switched": True,
    }  # fmt: skip


def _text(done: Deployment) -> str:
    lines = [
        f"{done.device}: {done.place}/current is {done.release}",
        f"  brought   {done.brought / 1e6:,.1f} of {done.size / 1e6:,.1f} MB, {done.files} files"
        + ("" if done.linked else "; copied, as links do not lead there"),
        f"  self-test {done.selftest or 'left out (--no-selftest)'}",
        f"  before    {_before(done)}",
        f"  next      {done.place}/current/run there serves it",
    ]
    return "\n".join(lines)


def _before(done: Deployment) -> str:
    if not done.switched:
        return "the same bundle"
    return f"{done.previous}; edgepack deploy --rollback goes back to it" if done.previous else "nothing"


def _installed_values(there: Installed) -> dict[str, object]:
    test = there.selftest
    return {
        "device": there.device, "package": there.package, "payload_digest": there.payload_digest,
        "bytes": there.size, "bytes_beside": there.beside,
        "selftest": test and {
            "answer": test.answer, "milliseconds_to_first_token": test.milliseconds_to_first_token,
            "tokens_per_second": {series.name: series.median for series in test.measurement.series},
        },
    }  # fmt: skip


def _installed_text(there: Installed) -> str:
    lines = [f"{there.device}: {there.package} is installed ({there.size / 1e6:,.1f} MB)"]
    if there.beside:
        lines.append(f"  beside it {there.beside / 1e6:,.1f} MB")
    if test := there.selftest:
        lines.append(f"  answers   {test.answer.strip()!r}, first token after {test.milliseconds_to_first_token} ms")
        lines += [f"  {series.name:<9} {series.median:,.1f} tokens/s" for series in test.measurement.series]
    else:
        lines.append("  self-test left out (--no-selftest)")
    return "\n".join(lines)


def _back_text(back: RolledBack) -> str:
    return f"{back.device}: {back.place}/current is {back.release} again, no longer {back.left}"
