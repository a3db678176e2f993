"""What else this machine does and how hot it runs, from /proc and /sys; None where nothing says it.

`root` stands for `/`, so that a recorded tree of another machine reads alike.
"""

import os
import platform
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgepack.infra.cpuinfo import parse_cpu_list

ROOT = Path("/")

_TICKS = os.sysconf("SC_CLK_TCK")
# Fields of a cpu line in /proc/stat (proc_stat(5)) in which nobody computes.
_IDLE, _IOWAIT = 3, 4
_GUEST = 8  # guest and guest_nice are counted in user and nice already
# Bits of the Raspberry Pi firmware's get_throttled that hold now: under-voltage, capped, throttled, warm.
_FIRMWARE_NOW = 0xF


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """Another program and its share of one core."""

    name: str
    cores: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Heat:
    """How warm and how fast the machine is at one moment."""

    celsius: float | None
    mhz: float | None
    """The slowest of the CPUs asked for."""
    mhz_limit: float | None
    """The same CPU's highest clock."""
    held_down: bool | None
    """Whether the kernel or the firmware holds clocks down now."""
    throttle_count: int | None
    """How often x86 cores were throttled since they started."""


class LoadMeter:
    """Tells, lap by lap, how much other programs used some CPUs."""

    def __init__(
        self,
        cpus: Sequence[int] | None,
        *,
        root: Path = ROOT,
        own: Callable[[], float] = time.process_time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cpus = cpus
        self._root = root
        self._own = own
        self._clock = clock
        self._before = self._now()

    def lap(self) -> float | None:
        """Cores' worth of others' work since the last lap; None where /proc/stat is not to be read.

        All of this process's own time is taken to be on the CPUs watched. The kernel counts in ticks of 10 ms:
        laps much shorter than a second say little alone, but their sum is right.
        """
        before, self._before = self._before, self._now()
        after = self._before
        if before is None or after is None or after[2] <= before[2]:
            return None
        used, own, seconds = (new - old for new, old in zip(after, before, strict=True))
        return max(0.0, used - own) / seconds

    def _now(self) -> tuple[float, float, float] | None:
        used = busy_seconds(_text(self._root / "proc/stat") or "", self._cpus)
        return None if used is None else (used, self._own(), self._clock())


def busiest(seconds: float, *, root: Path = ROOT) -> tuple[Program, ...]:
    """The programs that compute during the next `seconds`, the busiest first, this one left out."""
    before = _program_times(root)
    time.sleep(seconds)
    after = _program_times(root)
    found = [
        Program(name=name, cores=(used - before[pid][1]) / seconds)
        for pid, (name, used) in after.items()
        if pid in before and used > before[pid][1]
    ]
    return tuple(sorted(found, key=lambda program: -program.cores))


def heat(cpus: Sequence[int], *, root: Path = ROOT) -> Heat:
    """Temperature, clocks and throttling now."""
    clocks = [(mhz, cpu) for cpu in cpus if (mhz := _megahertz(root, cpu, "scaling_cur_freq")) is not None]
    mhz, slowest = min(clocks, default=(None, None))
    counts = [
        count
        for cpu in cpus
        if (count := _number(_cpu(root, cpu) / "thermal_throttle/core_throttle_count")) is not None
    ]
    return Heat(
        celsius=_celsius(root),
        mhz=mhz,
        mhz_limit=None if slowest is None else _megahertz(root, slowest, "cpuinfo_max_freq"),
        held_down=_held_down(root),
        throttle_count=sum(counts) if counts else None,
    )


def throttled(before: Heat, after: Heat) -> bool | None:
    """Whether clocks were held down at either moment, or between them; None where nothing would say so."""
    signs = [sign for sign in (before.held_down, after.held_down) if sign is not None]
    if before.throttle_count is not None and after.throttle_count is not None:
        signs.append(after.throttle_count > before.throttle_count)
    return any(signs) if signs else None


def governor(cpus: Sequence[int], *, root: Path = ROOT) -> str | None:
    """The cpufreq governor of these CPUs, or several with commas between."""
    found = {text for cpu in cpus if (text := _text(_cpu(root, cpu) / "cpufreq/scaling_governor"))}
    return ", ".join(sorted(found)) or None


def with_siblings(cpus: Sequence[int], *, root: Path = ROOT) -> tuple[int, ...]:
    """These logical CPUs and those that share a physical core with one of them."""
    found = set(cpus)
    for cpu in cpus:
        text = _text(_cpu(root, cpu) / "topology/thread_siblings_list")
        found.update(parse_cpu_list(text) if text else ())
    return tuple(sorted(found))


def system_name() -> str:
    """Kernel name, release and instruction set."""
    name = platform.uname()
    return f"{name.system} {name.release} {name.machine}"


def reset_peak_memory() -> None:
    """Begin the peak that `peak_memory` tells anew, where the kernel can (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def peak_memory(root: Path = ROOT) -> int:
    """Bytes of this process's largest resident set since the last reset, or since it began."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", _text(root / "proc/self/status") or "", flags=re.MULTILINE)
    if found:
        return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@contextmanager
def keep_affinity() -> Iterator[None]:
    """Put this thread's CPUs back afterwards, where the platform has such a thing."""
    if not hasattr(os, "sched_getaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def on_cpus(cpus: Sequence[int] | None) -> Iterator[None]:
    """Keep this thread, and those that it starts, on these CPUs within it; None leaves it to the system."""
    with keep_affinity():
        if cpus is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, cpus)
        yield


def busy_seconds(stat: str, cpus: Sequence[int] | None) -> float | None:
    """Seconds that these CPUs computed since they started, by a /proc/stat, stolen time (other virtual
    machines') included; None where it tells of none of them."""
    wanted = None if cpus is None else {f"cpu{cpu}" for cpu in cpus}
    ticks, seen = 0, False
    for line in stat.splitlines():
        name, *fields = line.split() or [""]
        if re.fullmatch(r"cpu\d+", name) and (wanted is None or name in wanted):
            counts = [int(field) for field in fields[:_GUEST]]
            ticks += sum(counts) - sum(counts[_IDLE : _IOWAIT + 1])
            seen = True
    return ticks / _TICKS if seen else None


def _program_times(root: Path) -> dict[int, tuple[str, float]]:
    """Name and CPU seconds of each process but this one."""
    found = {}
    for path in (root / "proc").glob("[0-9]*/stat"):
        pid = int(path.parent.name)
        # The name stands in parentheses and may hold blanks and parentheses itself; utime is field 14.
        name, _, rest = (_text(path) or "").partition("(")[2].rpartition(")")
        fields = rest.split()
        if pid != os.getpid() and len(fields) > 12:
            found[pid] = (name, (int(fields[11]) + int(fields[12])) / _TICKS)
    return found


def _celsius(root: Path) -> float | None:
    """The warmest zone whose name speaks of the processor, or the warmest of all."""
    readings = []
    for zone in (root / "sys/class/thermal").glob("thermal_zone*"):
        value = _number(zone / "temp")
        if value is not None:
            readings.append((bool(re.search("cpu|pkg|soc|core", (_text(zone / "type") or "").lower())), value / 1000))
    for sensor in (root / "sys/class/hwmon").glob("hwmon*"):
        value = _number(sensor / "temp1_input")
        if value is not None and (_text(sensor / "name") or "") in ("coretemp", "k10temp", "cpu_thermal"):
            readings.append((True, value / 1000))
    return max(readings)[1] if readings else None


def _held_down(root: Path) -> bool | None:
    """A cooling device that slows the processor is at work, or the Raspberry Pi's firmware says so."""
    signs = []
    for device in (root / "sys/class/thermal").glob("cooling_device*"):
        state = _number(device / "cur_state")
        if state is not None and re.search("processor|cpufreq|cpu-", (_text(device / "type") or "").lower()):
            signs.append(state > 0)
    firmware = _text(root / "sys/devices/platform/soc/soc:firmware/get_throttled")
    if firmware and re.fullmatch(r"(0x)?[0-9a-fA-F]+", firmware):
        signs.append(bool(int(firmware, 16) & _FIRMWARE_NOW))
    return any(signs) if signs else None


def _megahertz(root: Path, cpu: int, name: str) -> float | None:
    khz = _number(_cpu(root, cpu) / "cpufreq" / name)
    return None if khz is None else khz / 1000


def _cpu(root: Path, cpu: int) -> Path:
    return root / f"sys/devices/system/cpu/cpu{cpu}"


def _text(path: Path) -> str | None:
    """What a file of the kernel's says, stripped; None where it is absent, gone meanwhile or closed to us."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _number(path: Path) -> int | None:
    text = _text(path) or ""
    return int(text) if re.fullmatch(r"-?\d+", text) else None
