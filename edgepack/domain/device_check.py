"""A device beside what was expected of it: where profiles differ, and whether a program is for its processor."""

from edgepack.domain.profile import Profile

_RAM_SHARE = 0.1
"""By which memory may differ: kernels and graphics take their part before anyone is told."""

# ELF's e_machine: /usr/include/elf.h
_MACHINES = {3: "x86", 40: "armv7", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
# `uname -m` beside the architecture by the profiles' names.
_NAMES = {"armv7l": "armv7", "armv8l": "armv7", "arm64": "aarch64", "i686": "x86"}
_ALSO_RUN = {"aarch64": {"armv7"}, "x86_64": {"x86"}}


def architecture(machine: str) -> str:
    """The profiles' name for what `uname -m` says."""
    return _NAMES.get(machine, machine)


def program_architecture(head: bytes) -> str | None:
    """What a program whose file begins so runs on; None where it is no ELF file, or another machine's."""
    if head[:4] != b"\x7fELF" or len(head) < 20:
        return None
    return _MACHINES.get(int.from_bytes(head[18:20], "little"))


def runs_on(program: str, machine: str) -> bool:
    """Whether such a program can run on a processor that `uname -m` calls `machine`."""
    device = architecture(machine)
    return program == device or program in _ALSO_RUN.get(device, set())


def missing_isa(expected: Profile, found: Profile) -> tuple[str, ...]:
    """What the profile promises, and programs built for it may use, that the device has not."""
    return tuple(sorted(isa.value for isa in expected.isa - found.isa))


def differences(expected: Profile, found: Profile, *, governor: str | None) -> tuple[str, ...]:
    """Where the device is not the profile's, a sentence each; nothing that keeps a program from running."""
    seen: list[str] = []
    ram, wanted = found.ram.gib.value, expected.ram.gib.value
    if abs(ram - wanted) > _RAM_SHARE * wanted:
        seen.append(f"{ram:g} GiB of memory, {expected.name} has {wanted:g}")
    cores, wanted_cores = (sum(cluster.count for cluster in one.clusters) for one in (found, expected))
    if cores != wanted_cores:
        seen.append(f"{cores} cores, {expected.name} has {wanted_cores}")
    if found.big_cores != expected.big_cores:
        seen.append(f"{found.big_cores} big cores, {expected.name} has {expected.big_cores}")
    if more := sorted(isa.value for isa in found.isa - expected.isa):
        seen.append(f"it also has {', '.join(more)}, which a runtime for {expected.name} does not use")
    if governor is not None and governor != "performance":
        seen.append(f"its governor is {governor}: clocks may be lower than the profile's")
    return tuple(seen)
