"""What a device says of itself, as a tree of files that infra's readers of /proc and /sys take for a machine."""

import re
import shutil
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from edgepack.domain.device_check import architecture
from edgepack.domain.errors import DeviceError
from edgepack.domain.profile import Profile
from edgepack.infra.cpuinfo import parse_cpu_list
from edgepack.infra.machine import host_profile
from edgepack.transports.protocol import Transport

_MOST_FILES = 20_000
_NAME = re.compile(r"(?:proc|sys|system)(?:/[A-Za-z0-9_.:,@+-]+)+|uname")
_CPU_LIST = re.compile(r"\d{1,4}(?:-\d{1,4})?(?:,\d{1,4}(?:-\d{1,4})?)*")


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceFacts:
    """A device at one moment; `root` stands for its `/`."""

    root: Path
    system: str
    """Kernel name, release and instruction set, as `uname` has them."""
    cpus: frozenset[int]
    """Logical CPUs that a command there may use."""

    @property
    def machine(self) -> str:
        """The instruction set that programs see there: uname -m."""
        return self.system.rpartition(" ")[2]


def profile_of(facts: DeviceFacts) -> Profile | None:
    """The device by its own /proc; None where that speaks of another processor, as in an emulated userland."""
    try:
        profile = host_profile(facts.root, allowed=facts.cpus)
    except DeviceError:
        return None
    family = {"armv7": "arm", "aarch64": "arm"}
    seen, told = architecture(facts.machine), profile.runtime.abi
    return profile if family.get(seen, seen) == family.get(told, told) else None


def gather(transport: Transport, root: Path) -> DeviceFacts:
    """Ask the device for everything; `root` is made anew. Raises DeviceError where it says too little."""
    shutil.rmtree(root, ignore_errors=True)
    unpack(_asked(transport), root)
    return DeviceFacts(root=root, system=_system(root, transport), cpus=_cpus(root, transport))


def refresh(transport: Transport, root: Path) -> None:
    """Read what changes from moment to moment again, into the tree that `gather` made."""
    unpack(_asked(transport, "load"), root)


def unpack(text: str, root: Path) -> None:
    """Write what facts.sh printed below `root`. Raises DeviceError for a name that leads elsewhere."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.replace("\0", "").split("\n"):
        if line.startswith("="):
            lines = found.setdefault(_checked(line[1:]), [])
        elif line.startswith("|"):
            lines.append(line[1:])
    if len(found) > _MOST_FILES:
        raise DeviceError(f"the device speaks of {len(found)} files", hint="see what its /sys/class/thermal holds")
    for name, content in found.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(content) + "\n", encoding="utf-8")


def _asked(transport: Transport, *words: str) -> str:
    script = files("edgepack.transports").joinpath("facts.sh").read_text(encoding="utf-8")
    return transport.run(["sh", "-c", script, "sh", *words]).stdout


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name) or any(part in (".", "..") for part in name.split("/")):
        raise DeviceError(f"the device speaks of a file {name!r}", hint="only /proc and /sys are asked for")
    return name


def _system(root: Path, transport: Transport) -> str:
    try:
        return (root / "uname").read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise DeviceError(
            f"{transport.device}: it does not say what it is", hint="see by hand whether `uname -a` works there"
        ) from error


def _cpus(root: Path, transport: Transport) -> frozenset[int]:
    status = root / "proc/self/status"
    text = status.read_text(encoding="utf-8") if status.exists() else ""
    found = re.search(r"^Cpus_allowed_list:\s*(\S+)$", text, flags=re.MULTILINE)
    online = root / "sys/devices/system/cpu/online"
    lists = [found[1]] if found else []
    lists += [online.read_text(encoding="utf-8").strip()] if online.exists() else []
    sets = [frozenset(parse_cpu_list(one)) for one in lists if _CPU_LIST.fullmatch(one)]
    if not sets:
        raise DeviceError(
            f"{transport.device}: it does not say which processors it has", hint="mount /proc and /sys there"
        )
    return frozenset.intersection(*sets)
