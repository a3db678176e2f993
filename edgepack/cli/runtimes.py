"""The runtime for a device that a verb measures on: the one that was given, or one built for what the device is."""

from collections.abc import Callable
from pathlib import Path

from edgepack.cli.output import Output
from edgepack.domain.device import Device
from edgepack.domain.errors import UsageError
from edgepack.domain.profile import Profile


def runtime_for(
    device: Device, given: Path | None, expected: Profile | None, output: Output, *, offline: bool = False
) -> Callable[[Profile | None], Path]:
    """A function of what the device says of itself, for when it is reached. `expected`, its profile, goes before."""
    from edgepack.infra.store import Store, home
    from edgepack.stages.runtime import build_runtime

    def chosen(found: Profile | None) -> Path:
        if given is not None:
            return given
        profile = expected or found
        if profile is None:
            raise UsageError(
                f"{device}: it does not say what processor it has",
                hint="give its --profile, or a --runtime DIR for it",
            )
        made = build_runtime(profile, store=Store(home()), offline=offline, progress=output)
        return made.files[0].path.parent

    return chosen
