"""This machine, read from /proc, /sys and cgroups, or sysctl; what a model needs of it is not its business.

`root` stands for `/`, so that a recorded tree of another machine reads alike.
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgepack.domain.errors import DeviceError
from edgepack.domain.processors import compiler_cpu
from edgepack.domain.profile import (
    GIB,
    CpuCluster,
    DeviceClass,
    Fact,
    Figure,
    Isa,
    Memory,
    Power,
    Profile,
    Ram,
    Runtime,
)
from edgepack.infra.cpuinfo import FLAGS, Processor, parse_cpu_list, parse_cpuinfo
from edgepack.infra.process import run

ROOT = Path("/")
USABLE_SHARE = 0.75

# Shares of the fastest core's capacity or clock from which a core is big. A phone's mid cores have
# 0.6 to 0.9 of its capacity, little ones 0.2 to 0.45; clocks say less, so only near ones are one kind.
_BIG_CAPACITY = 0.55
_BIG_CLOCK = 0.85

_MOBILE_CHASSIS = {
    "8",
    "9",
    "10",
    "14",
    "30",
    "31",
    "32",
}  # SMBIOS 7.4.1: portable, laptop, notebook, tablet, …


@dataclass(frozen=True, kw_only=True, slots=True)
class Core:
    """One physical core: the logical CPU that stands for it, and how fast the kernel says it is."""

    cpu: int
    capacity: int | None
    """Of 1024 for the machine's fastest core."""
    khz: int | None


def host_profile(root: Path = ROOT, *, allowed: frozenset[int] | None = None) -> Profile:
    """The machine that edgepack runs on, with the CPUs that this process may use.

    It says only what holds from one minute to the next, so that a build for `host` can be repeated; bandwidth
    and power are left out: nobody measured them. Raises DeviceError where the machine says nothing of itself.
    """
    if is_macos(root):
        return macos_profile(_sysctl())
    processors = {found.id: found for found in parse_cpuinfo(_text(root / "proc/cpuinfo") or "")}
    cores = [core for core in _cores(root, allowed) if core.cpu in processors]
    if not cores:
        raise DeviceError(
            f"{root / 'proc/cpuinfo'} names no processor that this process may use",
            hint="write a profile file for this machine (docs/profiles.md) and give its path",
        )
    mine = [processors[core.cpu] for core in cores]
    isa = frozenset.intersection(*(processor.features for processor in mine))
    clusters = _clusters(cores, mine)
    model = _device_tree_model(root)
    system = "android" if (root / "system/build.prop").exists() else "linux"
    return _profile(
        name=_name(root, mine[-1]),
        device_class=_device_class(root, system, board=model is not None),
        clusters=clusters,
        isa=isa,
        source="/proc/cpuinfo",
        ram=Figure(value=_gib(_memory_total(root)), source="/proc/meminfo and cgroup memory.max"),
        runtime=_runtime(system, mine[0].architecture, [found.microarchitecture for found in clusters], isa),
    )


def is_macos(root: Path = ROOT) -> bool:
    """Whether `root` is this machine's and this machine a Mac, which has no /proc."""
    return root == ROOT and sys.platform == "darwin"


def big_cpus(root: Path = ROOT, *, allowed: frozenset[int] | None = None) -> tuple[int, ...]:
    """Logical CPUs for a model's threads: one a physical core, no little cores, no more than the quota.

    `allowed` are the logical CPUs that the process may use; by default its affinity; the quota is
    its cgroup's.
    """
    if is_macos(root):
        return tuple(range(_macos_clusters(_sysctl())[0].count))
    cores = _cores(root, allowed)
    big = tuple(core.cpu for core in cores if _is_big(core, cores))
    quota = _cpu_quota(root)
    return big if quota is None else big[: max(1, int(quota))]


def fastest_first(cpus: Sequence[int], root: Path = ROOT) -> tuple[int, ...]:
    """These CPUs by what the kernel says of their speed; equal ones in their order."""
    cores = {core.cpu: core for core in _cores(root, frozenset(cpus))}
    return tuple(sorted(cpus, key=lambda cpu: _speed(cores.get(cpu)), reverse=True))


def caches(root: Path = ROOT) -> int:
    """Bytes of all caches of the largest kind, together; 0 where nothing tells."""
    found: dict[str, int] = {}
    for place in (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cache"):
        sizes = [(_cache_size(index), _text(index / "shared_cpu_list")) for index in place.glob("index[23]")]
        size, shared = max(sizes, default=(0, None), key=lambda pair: pair[0])
        found[shared or str(place)] = size
    return sum(size for size in found.values() if size == max(found.values()))


def memory_available(root: Path = ROOT) -> int:
    """Bytes that this process may still take before the kernel or its cgroup refuses or swaps."""
    if is_macos(root):
        return parse_vm_stat(run(["vm_stat"]).stdout)
    free = parse_meminfo(_text(root / "proc/meminfo") or "").get("MemAvailable", 0)
    return max(0, min([free, *_cgroup_memory_left(root)]))


# --- pure parsers ------------------------------------------------------------------------------------------


def parse_meminfo(text: str) -> dict[str, int]:
    """Bytes under each name in a /proc/meminfo."""
    lines = re.findall(r"^(\w+):\s+(\d+) kB$", text, flags=re.MULTILINE)
    return {name: int(kib) * 1024 for name, kib in lines}


def parse_vm_stat(text: str) -> int:
    """Bytes that macOS's vm_stat says are free or can be freed at once."""
    page = re.search(r"page size of (\d+) bytes", text)
    pages = re.findall(r"^Pages (?:free|inactive|speculative):\s+(\d+)\.", text, flags=re.MULTILINE)
    return (int(page[1]) if page else 4096) * sum(map(int, pages))


def parse_sysctl(text: str) -> dict[str, str]:
    """Values by name in what `sysctl hw machdep.cpu` prints."""
    return dict(re.findall(r"^([\w.]+): (.*)$", text, flags=re.MULTILINE))


# --- cores -------------------------------------------------------------------------------------------------


def _cores(root: Path, allowed: frozenset[int] | None) -> tuple[Core, ...]:
    """Physical cores that the process may use, each stood for by its first allowed logical CPU."""
    if allowed is None:
        allowed = frozenset(os.sched_getaffinity(0))
    cpus = root / "sys/devices/system/cpu"
    taken: set[int] = set()
    cores = []
    for cpu in sorted(allowed):
        if cpu in taken:
            continue
        siblings = _text(cpus / f"cpu{cpu}/topology/thread_siblings_list")
        taken.update(parse_cpu_list(siblings) if siblings else (cpu,))
        capacity = _number(cpus / f"cpu{cpu}/cpu_capacity")
        khz = _number(cpus / f"cpu{cpu}/cpufreq/cpuinfo_max_freq")
        cores.append(Core(cpu=cpu, capacity=capacity, khz=khz))
    return tuple(cores)


def _is_big(core: Core, cores: Sequence[Core]) -> bool:
    capacities = [other.capacity for other in cores if other.capacity]
    clocks = [other.khz for other in cores if other.khz]
    if core.capacity and len(set(capacities)) > 1:
        return core.capacity >= _BIG_CAPACITY * max(capacities)
    if core.khz and clocks:
        return core.khz >= _BIG_CLOCK * max(clocks)
    return True


def _clusters(cores: Sequence[Core], processors: Sequence[Processor]) -> tuple[CpuCluster, ...]:
    """Cores of one kind and clock together, the fastest kind first."""
    kinds: dict[tuple[str, int | None, bool], int] = {}
    for core, processor in zip(cores, processors, strict=True):
        mhz = core.khz // 1000 if core.khz else _nominal_mhz(processor.model)
        kind = (processor.microarchitecture, mhz, _is_big(core, cores))
        kinds[kind] = kinds.get(kind, 0) + 1
    return tuple(
        CpuCluster(
            microarchitecture=microarchitecture, count=count, mhz=mhz, big=big,
            source="/proc/cpuinfo and /sys/devices/system/cpu",
        )
        for (microarchitecture, mhz, big), count in sorted(
            kinds.items(), key=lambda item: (item[0][2], item[0][1] or 0), reverse=True
        )
    )  # fmt: skip


def _nominal_mhz(model: str | None) -> int | None:
    """The clock in a model name; /proc/cpuinfo's own "cpu MHz" changes from moment to moment."""
    found = re.search(r"@ ([\d.]+)GHz", model or "")
    return round(float(found[1]) * 1000) if found else None


# --- cgroup v2 ---------------------------------------------------------------------------------------------


def _cgroups(root: Path) -> Iterator[Path]:
    """This process's cgroup and those around it, as far as this mount namespace shows them."""
    mount = root / "sys/fs/cgroup"
    found = re.search(r"^0::/(.*)$", _text(root / "proc/self/cgroup") or "", flags=re.MULTILINE)
    inner = mount / found[1].strip("/") if found else mount
    for directory in (inner, *inner.parents):
        yield directory
        if directory == mount:
            return


def _memory_total(root: Path) -> int:
    limits = [limit for group in _cgroups(root) if (limit := _number(group / "memory.max")) is not None]
    return min([parse_meminfo(_text(root / "proc/meminfo") or "").get("MemTotal", 0), *limits])


def _cgroup_memory_left(root: Path) -> Iterator[int]:
    for group in _cgroups(root):
        limit, current = _number(group / "memory.max"), _number(group / "memory.current")
        if limit is not None and current is not None:
            # Cached file pages count as used, but go when memory is asked for.
            cached = re.search(r"^inactive_file (\d+)$", _text(group / "memory.stat") or "", flags=re.MULTILINE)
            yield limit - current + (int(cached[1]) if cached else 0)


def _cpu_quota(root: Path) -> float | None:
    """CPUs' worth of time that the cgroups allow."""
    quotas = []
    for group in _cgroups(root):
        quota, _, period = (_text(group / "cpu.max") or "max").strip().partition(" ")
        if quota.isdecimal() and period.isdecimal():
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


# --- what kind of machine ----------------------------------------------------------------------------------


def _device_tree_model(root: Path) -> str | None:
    text = _text(root / "proc/device-tree/model")
    return text.strip("\0 \n") if text else None


def _name(root: Path, processor: Processor) -> Fact:
    """The board, the phone's chip, or the processor, as far as anything names it."""
    if board := _device_tree_model(root):
        return Fact(text=board, source="the device tree")
    if chip := (_text(root / "system/soc") or "").strip():
        return Fact(text=chip, source="getprop ro.soc.manufacturer, ro.soc.model")
    return Fact(text=processor.model or processor.microarchitecture, source="/proc/cpuinfo")


def _device_class(root: Path, system: str, *, board: bool) -> DeviceClass:
    if system == "android":
        return DeviceClass.PHONE
    if board:
        return DeviceClass.BOARD
    chassis = (_text(root / "sys/class/dmi/id/chassis_type") or "").strip()
    return DeviceClass.LAPTOP if chassis in _MOBILE_CHASSIS else DeviceClass.COMPUTER


def _runtime(system: str, architecture: str, cores: Sequence[str], isa: frozenset[Isa]) -> Runtime:
    target = "arm-linux-musleabihf" if architecture == "armv7" else f"{architecture}-linux-musl"
    return Runtime(os=system, abi=architecture, target=target, cpu=compiler_cpu(architecture, cores, isa))


def _profile(
    *,
    name: Fact,
    device_class: DeviceClass,
    clusters: tuple[CpuCluster, ...],
    isa: frozenset[Isa],
    source: str,
    ram: Figure,
    runtime: Runtime,
) -> Profile:
    usable = Figure(value=round(ram.value * USABLE_SHARE, 3), source="assumed: three quarters of the memory")
    return Profile(
        name="host", title=f"This machine ({name.text})", device_class=device_class, soc=name,
        clusters=clusters, isa=isa, isa_source=source,
        ram=Ram(gib=ram, usable_gib=usable), memory=Memory(kind=None, bandwidths=()), storage=None,
        runtime=runtime, power=Power(idle=None, load=None), sustained=None,
    )  # fmt: skip


# --- macOS -------------------------------------------------------------------------------------------------


def _sysctl() -> dict[str, str]:
    return parse_sysctl(run(["sysctl", "hw", "machdep.cpu"]).stdout)


def macos_profile(values: Mapping[str, str]) -> Profile:
    """A Mac by what `sysctl hw machdep.cpu` says of it."""
    arm = values.get("hw.optional.arm64") == "1"
    optional = {
        "DotProd": Isa.DOTPROD, "FP16": Isa.FP16, "BF16": Isa.BF16, "I8MM": Isa.I8MM, "SME": Isa.SME,
    }  # fmt: skip
    has = {isa for name, isa in optional.items() if values.get(f"hw.optional.arm.FEAT_{name}") == "1"}
    x86 = f"{values.get('machdep.cpu.features', '')} {values.get('machdep.cpu.leaf7_features', '')}".lower()
    spelt = {"avx1.0": Isa.AVX, "sse4.2": Isa.SSE42, **FLAGS}
    isa = frozenset({Isa.NEON, *has} if arm else {spelt[flag] for flag in x86.split() if flag in spelt})
    architecture = "aarch64" if arm else "x86_64"
    return _profile(
        name=Fact(text=values.get("machdep.cpu.brand_string", "Mac"), source="sysctl"),
        device_class=DeviceClass.LAPTOP if "MacBook" in values.get("hw.model", "") else DeviceClass.COMPUTER,
        clusters=_macos_clusters(values),
        isa=isa,
        source="sysctl",
        ram=Figure(value=_gib(int(values["hw.memsize"])), source="sysctl hw.memsize"),
        runtime=Runtime(
            os="macos", abi=architecture, target=f"{architecture}-macos",
            cpu="apple_m1" if arm else compiler_cpu(architecture, (), isa),
        ),
    )  # fmt: skip


def _macos_clusters(values: Mapping[str, str]) -> tuple[CpuCluster, ...]:
    """Level 0 holds the fast cores; a Mac with one kind of core has no levels."""
    levels = [values.get(f"hw.perflevel{level}.physicalcpu") for level in (0, 1)]
    counts = [int(count) for count in levels if count] or [int(values.get("hw.physicalcpu", "1"))]
    return tuple(
        CpuCluster(
            microarchitecture=values.get("machdep.cpu.brand_string", "Mac"), count=count, mhz=None,
            big=level == 0, source="sysctl",
        )
        for level, count in enumerate(counts)
    )  # fmt: skip


def _speed(core: Core | None) -> tuple[int, int]:
    return (core.capacity or 0, core.khz or 0) if core else (0, 0)


def _cache_size(place: Path) -> int:
    text = (_text(place / "size") or "").strip()
    return int(text[:-1]) * 1024 if text.endswith("K") and text[:-1].isdecimal() else 0


# --- reading -----------------------------------------------------------------------------------------------


def _text(path: Path) -> str | None:
    """What a file of the kernel's says; None where it is absent or closed to us."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _number(path: Path) -> int | None:
    text = (_text(path) or "").strip()
    return int(text) if text.isdecimal() else None


def _gib(size: int) -> float:
    return round(size / GIB, 3)
