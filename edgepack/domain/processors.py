"""Processor cores by the numbers that they tell of themselves: their names, and what the compiler calls them."""

from collections.abc import Sequence

from edgepack.domain.profile import Isa

_ARM, _BROADCOM, _CAVIUM, _FUJITSU, _HISILICON, _NVIDIA = 0x41, 0x42, 0x43, 0x46, 0x48, 0x4E
_QUALCOMM, _SAMSUNG, _APPLE, _MICROSOFT, _PHYTIUM, _AMPERE = 0x51, 0x53, 0x61, 0x6D, 0x70, 0xC0

# MIDR_EL1's part numbers: Arm's reference manuals, and Linux arch/arm64/include/asm/cputype.h
_PARTS: dict[int, dict[int, str]] = {
    _ARM: {
        0xC05: "Cortex-A5", 0xC07: "Cortex-A7", 0xC08: "Cortex-A8", 0xC09: "Cortex-A9", 0xC0D: "Cortex-A17",
        0xC0E: "Cortex-A17", 0xC0F: "Cortex-A15",
        0xD01: "Cortex-A32", 0xD02: "Cortex-A34", 0xD03: "Cortex-A53", 0xD04: "Cortex-A35", 0xD05: "Cortex-A55",
        0xD06: "Cortex-A65", 0xD07: "Cortex-A57", 0xD08: "Cortex-A72", 0xD09: "Cortex-A73", 0xD0A: "Cortex-A75",
        0xD0B: "Cortex-A76", 0xD0C: "Neoverse-N1", 0xD0D: "Cortex-A77", 0xD0E: "Cortex-A76AE",
        0xD40: "Neoverse-V1", 0xD41: "Cortex-A78", 0xD42: "Cortex-A78AE", 0xD43: "Cortex-A65AE", 0xD44: "Cortex-X1",
        0xD46: "Cortex-A510", 0xD47: "Cortex-A710", 0xD48: "Cortex-X2", 0xD49: "Neoverse-N2", 0xD4A: "Neoverse-E1",
        0xD4B: "Cortex-A78C", 0xD4C: "Cortex-X1C", 0xD4D: "Cortex-A715", 0xD4E: "Cortex-X3", 0xD4F: "Neoverse-V2",
        0xD80: "Cortex-A520", 0xD81: "Cortex-A720", 0xD82: "Cortex-X4", 0xD83: "Neoverse-V3AE", 0xD84: "Neoverse-V3",
        0xD85: "Cortex-X925", 0xD87: "Cortex-A725", 0xD88: "Cortex-A520AE", 0xD89: "Cortex-A720AE",
        0xD8A: "C1-Nano", 0xD8B: "C1-Pro", 0xD8C: "C1-Ultra", 0xD8E: "Neoverse-N3", 0xD8F: "Cortex-A320",
        0xD90: "C1-Premium",
    },
    _BROADCOM: {0x516: "ThunderX2"},
    _CAVIUM: {0x0A1: "ThunderX", 0x0AF: "ThunderX2"},
    _FUJITSU: {0x001: "A64FX"},
    _HISILICON: {0xD01: "TSV110", 0xD40: "Cortex-A76"},
    _NVIDIA: {0x000: "Denver", 0x003: "Denver-2", 0x004: "Carmel"},
    _QUALCOMM: {
        0x001: "Oryon", 0x201: "Kryo", 0x205: "Kryo", 0x211: "Kryo",
        0x800: "Kryo-2xx-Gold", 0x801: "Kryo-2xx-Silver", 0x802: "Kryo-3xx-Gold", 0x803: "Kryo-3xx-Silver",
        0x804: "Kryo-4xx-Gold", 0x805: "Kryo-4xx-Silver",
    },
    _SAMSUNG: {0x001: "Exynos-M1", 0x002: "Exynos-M3", 0x003: "Exynos-M4", 0x004: "Exynos-M5"},
    _APPLE: {
        0x020: "Icestorm-A14", 0x021: "Firestorm-A14", 0x022: "Icestorm-M1", 0x023: "Firestorm-M1",
        0x024: "Icestorm-M1-Pro", 0x025: "Firestorm-M1-Pro", 0x028: "Icestorm-M1-Max", 0x029: "Firestorm-M1-Max",
        0x030: "Blizzard-A15", 0x031: "Avalanche-A15", 0x032: "Blizzard-M2", 0x033: "Avalanche-M2",
        0x034: "Blizzard-M2-Pro", 0x035: "Avalanche-M2-Pro", 0x038: "Blizzard-M2-Max", 0x039: "Avalanche-M2-Max",
    },
    _MICROSOFT: {0xD49: "Neoverse-N2"},
    _PHYTIUM: {0x662: "FTC662", 0x663: "FTC663"},
    _AMPERE: {0xAC3: "Ampere1", 0xAC4: "Ampere1A", 0xAC5: "Ampere1B"},
}  # fmt: skip

# Family 6's models: Linux arch/x86/include/asm/intel-family.h
_INTEL = {
    0x3C: "Haswell", 0x3F: "Haswell", 0x45: "Haswell", 0x46: "Haswell", 0x3D: "Broadwell", 0x47: "Broadwell",
    0x4F: "Broadwell", 0x56: "Broadwell", 0x4E: "Skylake", 0x5E: "Skylake", 0x55: "Skylake-SP", 0x8E: "Kaby Lake",
    0x9E: "Kaby Lake", 0xA5: "Comet Lake", 0xA6: "Comet Lake", 0x6A: "Ice Lake-SP", 0x6C: "Ice Lake-D",
    0x7D: "Ice Lake", 0x7E: "Ice Lake", 0x8C: "Tiger Lake", 0x8D: "Tiger Lake", 0xA7: "Rocket Lake",
    0x8F: "Sapphire Rapids", 0xCF: "Emerald Rapids", 0xAD: "Granite Rapids", 0x97: "Alder Lake", 0x9A: "Alder Lake",
    0xBE: "Gracemont", 0xB7: "Raptor Lake", 0xBA: "Raptor Lake", 0xBF: "Raptor Lake", 0xAA: "Meteor Lake",
    0xBD: "Lunar Lake", 0xC5: "Arrow Lake", 0xC6: "Arrow Lake", 0x37: "Silvermont", 0x4C: "Airmont",
    0x5C: "Goldmont", 0x5F: "Goldmont", 0x7A: "Goldmont Plus", 0x96: "Tremont", 0x9C: "Tremont",
}  # fmt: skip

# AMD's families by ranges of models: Linux arch/x86/kernel/cpu/amd.c
_AMD = {
    0x17: ((0x00, 0x2F, "Zen"), (0x30, 0xFF, "Zen 2")),
    0x19: ((0x00, 0x0F, "Zen 3"), (0x10, 0x1F, "Zen 4"), (0x20, 0x5F, "Zen 3"), (0x60, 0xAF, "Zen 4")),
    0x1A: ((0x00, 0xFF, "Zen 5"),),
}

_V8 = frozenset({Isa.NEON})
_V8_2 = _V8 | {Isa.DOTPROD, Isa.FP16}
_V8_6 = _V8_2 | {Isa.I8MM, Isa.BF16}
_SVE = _V8_6 | {Isa.SVE}

# The compiler's name for a core, and what it then uses: tests/stages/test_runtime.py asks it. Cortex cores with SVE
# are not here: many phones' kernels keep it from programs, and their vectors of 128 bits gain nothing by it.
COMPILED: dict[str, tuple[str, frozenset[Isa]]] = {
    **{
        name: (name.lower().replace("-", "_"), has)
        for has, names in (
            (_V8, "Cortex-A34 Cortex-A35 Cortex-A53 Cortex-A57 Cortex-A72 Cortex-A73 Exynos-M3 ThunderX Kryo"),
            (_V8_2, "Cortex-A55 Cortex-A65 Cortex-A65AE Cortex-A75 Cortex-A76 Cortex-A76AE Cortex-A77 Cortex-A78"),
            (_V8_2, "Cortex-A78AE Cortex-A78C Cortex-X1 Cortex-X1C Neoverse-E1 Neoverse-N1"),
            (_V8_2, "Exynos-M4 Exynos-M5 TSV110"),
            (_V8_6, "Ampere1 Ampere1A Ampere1B"),
            (_SVE, "Neoverse-V1"),
            (_SVE | {Isa.SVE2}, "Neoverse-N2 Neoverse-N3 Neoverse-V2 Neoverse-V3"),
            (_V8 | {Isa.FP16}, "Carmel"),
            (_V8 | {Isa.FP16, Isa.SVE}, "A64FX"),
        )
        for name in names.split()
    },
    "Exynos-M1": ("cortex_a57", _V8),
    "ThunderX2": ("thunderx2t99", _V8),
    "Oryon": ("oryon_1", _V8_6),
    "Kryo-2xx-Gold": ("cortex_a73", _V8), "Kryo-2xx-Silver": ("cortex_a53", _V8),
    "Kryo-3xx-Gold": ("cortex_a75", _V8_2), "Kryo-3xx-Silver": ("cortex_a55", _V8_2),
    "Kryo-4xx-Gold": ("cortex_a76", _V8_2), "Kryo-4xx-Silver": ("cortex_a55", _V8_2),
    **{name: ("apple_m1", _V8_2) for part, name in _PARTS[_APPLE].items() if part < 0x030},
    **{name: ("apple_m2", _V8_6) for part, name in _PARTS[_APPLE].items() if part >= 0x030},
}  # fmt: skip

_ARM_32 = ("Cortex-A5", "Cortex-A7", "Cortex-A8", "Cortex-A9", "Cortex-A15", "Cortex-A17")
_RISC_V = {"sifive,u74": "sifive_u74", "sifive,u74-mc": "sifive_u74", "spacemit,x60": "spacemit_x60"}
_X86_LEVELS = (
    ("x86_64_v4", frozenset({Isa.AVX512F, Isa.AVX512BW, Isa.AVX2, Isa.FMA, Isa.F16C, Isa.BMI2})),
    ("x86_64_v3", frozenset({Isa.AVX2, Isa.FMA, Isa.F16C, Isa.BMI2})),
    ("x86_64_v2", frozenset({Isa.SSE42})),
)
# Beyond its level, by the compiler's names: with them llama.cpp's integer kernels are several times faster.
_BEYOND_LEVELS = {
    Isa.AVX_VNNI: "avxvnni",
    Isa.AVX512_VBMI: "avx512vbmi",
    Isa.AVX512_VNNI: "avx512vnni",
    Isa.AVX512_BF16: "avx512bf16",
}
_BEYOND_CORES = {Isa.DOTPROD: "dotprod", Isa.FP16: "fullfp16", Isa.I8MM: "i8mm", Isa.BF16: "bf16"}


def arm_core(implementer: int, part: int) -> str:
    """The name of a core of Arm's architecture, or its numbers where nobody here knows it."""
    known = _PARTS.get(implementer, {}).get(part)
    return known or f"implementer {implementer:#04x} part {part:#05x}"


def x86_core(vendor: str, family: int, model: int) -> str:
    """The name of an x86 core, or its numbers."""
    known = _INTEL.get(model) if (vendor, family) == ("GenuineIntel", 6) else None
    if vendor == "AuthenticAMD":
        known = next((name for low, high, name in _AMD.get(family, ()) if low <= model <= high), None)
    return known or f"{vendor} family {family} model {model}"


def compiler_cpu(architecture: str, cores: Sequence[str], isa: frozenset[Isa]) -> str:
    """The most that a program for all of these `cores` may use, by zig's names; `isa` is what all of them have.

    Where cores differ, the one with the least is named; of those alike, the first.
    """
    match architecture:
        case "x86_64":
            level = next((level for level, needed in _X86_LEVELS if needed <= isa), "x86_64")
            return level + "".join(f"+{name}" for feature, name in _BEYOND_LEVELS.items() if feature in isa)
        case "aarch64":
            return _aarch64_cpu(cores, isa)
        case "armv7":
            return _armv7_cpu(cores, isa)
        case "riscv64":
            return _RISC_V.get(cores[0], "baseline") + ("+v" if Isa.RVV in isa else "")
        case _:
            return "generic"


def _aarch64_cpu(cores: Sequence[str], isa: frozenset[Isa]) -> str:
    known = [COMPILED[core] for core in cores if core in COMPILED]
    name, has = min(known, key=lambda one: len(one[1]), default=("generic", _V8))
    # A kernel may keep from programs what its cores have; and of an unknown core only its flags are known.
    if len(known) < len(cores) or not has <= isa:
        name, has = ("cortex_a76", _V8_2) if isa >= _V8_2 else ("generic", _V8)
    return name + "".join(f"+{more}" for feature, more in _BEYOND_CORES.items() if feature in isa - has)


def _armv7_cpu(cores: Sequence[str], isa: frozenset[Isa]) -> str:
    if Isa.NEON not in isa:
        return "generic"
    old = [core for core in cores if core in _ARM_32]
    if old:
        return old[0].lower().replace("-", "_")
    # An eighth-generation core under a 32-bit kernel; of another nothing is known but its vectors.
    return "cortex_a53" if all(core in COMPILED for core in cores) else "baseline"
