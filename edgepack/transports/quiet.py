"""A device before something is measured on it: whether others leave it alone, and how long to wait for that."""

import time
from collections.abc import Sequence

from edgepack.domain.measurement import BUSY_LIMIT
from edgepack.domain.progress import Progress
from edgepack.domain.settling import Patience
from edgepack.transports.protocol import Transport
from edgepack.transports.timed import run_timed


def wait_for_quiet(
    transport: Transport, cpus: Sequence[int], *, patience: Patience, progress: Progress
) -> float | None:
    """Return once others leave these CPUs alone, or patience ends; cores' worth of their work then."""
    until = time.monotonic() + patience.quiet_seconds
    look = ["sleep", str(max(1, round(patience.look_seconds)))]
    told = False
    while True:
        busy = run_timed(transport, look, timeout=60.0).busy(cpus)
        if busy is None or busy <= BUSY_LIMIT:
            return busy
        if time.monotonic() >= until:
            progress.warn(f"other programs use {busy:.0%} of a core there; going on all the same")
            return busy
        if not told:
            progress.step(f"wait up to {patience.quiet_seconds:g} s: other programs use {busy:.0%} of a core")
            told = True
