"""Cores by their numbers, and the compiler's name for what all cores of a device can do."""

import pytest

from edgepack.domain.processors import arm_core, compiler_cpu, x86_core
from edgepack.domain.profile import Isa

V8 = {"neon"}
V8_2 = {"neon", "dotprod", "fp16"}
PHONE = {*V8_2, "i8mm", "bf16"}


@pytest.mark.parametrize(
    ("implementer", "part", "name"),
    [
        (0x41, 0xD03, "Cortex-A53"), (0x41, 0xD0B, "Cortex-A76"), (0x41, 0xD82, "Cortex-X4"),
        (0x41, 0xD4F, "Neoverse-V2"), (0x51, 0x804, "Kryo-4xx-Gold"), (0x61, 0x023, "Firestorm-M1"),
        (0xC0, 0xAC3, "Ampere1"), (0x51, 0xD0B, "implementer 0x51 part 0xd0b"),
    ],
)  # fmt: skip
def test_a_part_is_its_implementers(implementer: int, part: int, name: str) -> None:
    assert arm_core(implementer, part) == name


@pytest.mark.parametrize(
    ("vendor", "family", "model", "name"),
    [
        ("GenuineIntel", 6, 143, "Sapphire Rapids"), ("GenuineIntel", 6, 190, "Gracemont"),
        ("AuthenticAMD", 25, 17, "Zen 4"), ("AuthenticAMD", 25, 33, "Zen 3"), ("AuthenticAMD", 23, 49, "Zen 2"),
        ("GenuineIntel", 15, 143, "GenuineIntel family 15 model 143"),
        ("CentaurHauls", 6, 190, "CentaurHauls family 6 model 190"),
    ],
)  # fmt: skip
def test_an_x86_core_is_its_makers(vendor: str, family: int, model: int, name: str) -> None:
    assert x86_core(vendor, family, model) == name


@pytest.mark.parametrize(
    ("cores", "isa", "cpu"),
    [
        (["Cortex-A76"], V8_2, "cortex_a76"),
        (["Cortex-A76", "Cortex-A55"], V8_2, "cortex_a76"),
        (["Cortex-A72", "Cortex-A53"], V8, "cortex_a72"),
        (["Exynos-M3", "Cortex-A55"], V8, "exynos_m3"),
        (["Cortex-A55", "Cortex-A73"], V8, "cortex_a73"),
        (["Neoverse-V1"], {*PHONE, "sve"}, "neoverse_v1"),
        (["Neoverse-V1"], PHONE, "cortex_a76+i8mm+bf16"),
        (["Cortex-X3", "Cortex-A715", "Cortex-A510"], {*PHONE, "sve", "sve2"}, "cortex_a76+i8mm+bf16"),
        (["Cortex-A78C"], {*V8_2, "i8mm"}, "cortex_a78c+i8mm"),
        (["Kryo-3xx-Gold", "Kryo-3xx-Silver"], {"neon", "fp16"}, "generic+fullfp16"),
        (["something new", "Cortex-A55"], V8_2, "cortex_a76"),
        (["something new"], V8, "generic"),
    ],
)
def test_arms_compiler_is_told_no_more_than_every_core_has(cores: list[str], isa: set[str], cpu: str) -> None:
    """Cores' names promise what a kernel may hide; what it lists beyond them is added."""
    assert compiler_cpu("aarch64", cores, frozenset(map(Isa, isa))) == cpu


def test_other_architectures() -> None:
    assert compiler_cpu("armv7", ["Cortex-A7"], frozenset({Isa.NEON})) == "cortex_a7"
    assert compiler_cpu("armv7", ["Cortex-A72"], frozenset({Isa.NEON})) == "cortex_a53"
    assert compiler_cpu("riscv64", ["sifive,u74-mc"], frozenset()) == "sifive_u74"
    assert compiler_cpu("x86_64", ["Nehalem"], frozenset({Isa.SSE42})) == "x86_64_v2"
    assert compiler_cpu("x86_64", ["Core 2"], frozenset()) == "x86_64"
