"""A command on a device, and what the device's own clocks counted while it ran: seconds, and others' work."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from edgepack.infra.load import busy_seconds
from edgepack.transports.protocol import Transport

_CLOCK = re.compile(r"^#(before|after) (?:uptime ([\d.]+)|(cpu\d.*))", re.MULTILINE)
_TIMES = re.compile(r"^#times\n.*\n(\d+)m([\d.]+)s (\d+)m([\d.]+)s$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Timed:
    """How a command ended, and what the clocks said."""

    status: int
    stdout: str
    """With lines of ours in it, all of which begin with `#`, but those of `times`."""
    stderr: str

    def busy(self, cpus: Sequence[int] | None) -> float | None:
        """Cores' worth of other programs' work on these CPUs meanwhile; None where the device does not tell.

        All of the command's own time is taken to be on them.
        """
        begin, seconds_before = self._clocks("before", cpus)
        end, seconds_after = self._clocks("after", cpus)
        own = _TIMES.search(self.stdout)
        if begin is None or end is None or own is None or seconds_after <= seconds_before:
            return None
        user, system = (int(own[at]) * 60 + float(own[at + 1]) for at in (1, 3))
        return max(0.0, end - begin - user - system) / (seconds_after - seconds_before)

    def _clocks(self, when: str, cpus: Sequence[int] | None) -> tuple[float | None, float]:
        found = [match for match in _CLOCK.finditer(self.stdout) if match[1] == when]
        stat = "\n".join(match[3] for match in found if match[3])
        uptimes = [float(match[2]) for match in found if match[2]]
        return busy_seconds(stat, cpus), uptimes[0] if uptimes else 0.0


def run_timed(transport: Transport, argv: Sequence[str], *, timeout: float) -> Timed:
    """Run it to its end, as Transport.run does."""
    script = files("edgepack.transports").joinpath("timed.sh").read_text(encoding="utf-8")
    done = transport.run(["sh", "-c", script, "sh", *argv], timeout=timeout)
    return Timed(status=done.status, stdout=done.stdout, stderr=done.stderr)
