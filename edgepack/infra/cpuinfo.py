"""Linux's /proc/cpuinfo and CPU lists as types: pure functions over text; they do not know whose."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgepack.domain.processors import arm_core, x86_core
from edgepack.domain.profile import Isa

FLAGS = {
    # x86, as /proc/cpuinfo spells them
    "sse4_2": Isa.SSE42, "avx": Isa.AVX, "avx2": Isa.AVX2, "bmi2": Isa.BMI2, "fma": Isa.FMA, "f16c": Isa.F16C,
    "avx_vnni": Isa.AVX_VNNI, "avx512f": Isa.AVX512F, "avx512bw": Isa.AVX512BW, "avx512vbmi": Isa.AVX512_VBMI,
    "avx512_vnni": Isa.AVX512_VNNI, "avx512_bf16": Isa.AVX512_BF16, "amx_int8": Isa.AMX_INT8,
    # Arm, 64 and 32 bit
    "asimd": Isa.NEON, "neon": Isa.NEON, "asimddp": Isa.DOTPROD, "asimdhp": Isa.FP16, "bf16": Isa.BF16,
    "i8mm": Isa.I8MM, "sve": Isa.SVE, "sve2": Isa.SVE2, "sme": Isa.SME,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Processor:
    """One logical CPU as /proc/cpuinfo has it."""

    id: int
    architecture: str
    microarchitecture: str
    model: str | None
    features: frozenset[Isa]


def parse_cpuinfo(text: str) -> tuple[Processor, ...]:
    """The logical CPUs in a /proc/cpuinfo; blocks that describe the board are passed over."""
    blocks = [_fields(block) for block in text.split("\n\n")]
    return tuple(_processor(fields) for fields in blocks if fields.get("processor", "").isdecimal())


def parse_cpu_list(text: str) -> tuple[int, ...]:
    """CPU numbers in the kernel's list form: `0-3,8` is 0, 1, 2, 3 and 8."""
    ranges = [part.partition("-") for part in text.strip().split(",") if part]
    return tuple(cpu for first, _, last in ranges for cpu in range(int(first), int(last or first) + 1))


def _fields(block: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in block.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _processor(fields: Mapping[str, str]) -> Processor:
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    features = {FLAGS[flag] for flag in flags if flag in FLAGS}
    if "isa" in fields:
        architecture, microarchitecture = "riscv64", fields.get("uarch", "RISC-V")
        features |= {Isa.RVV} if "v" in fields["isa"].removeprefix("rv64").partition("_")[0] else set()
    elif "CPU part" in fields:
        architecture = "aarch64" if "asimd" in flags or fields.get("CPU architecture") == "8" else "armv7"
        microarchitecture = arm_core(int(fields["CPU implementer"], 16), int(fields["CPU part"], 16))
    else:
        architecture = "x86_64"
        family, model = (_number(fields, key) for key in ("cpu family", "model"))
        microarchitecture = x86_core(fields.get("vendor_id", "x86"), family, model)
    return Processor(
        id=int(fields["processor"]),
        architecture=architecture,
        microarchitecture=microarchitecture,
        model=fields.get("model name"),
        features=frozenset(features),
    )


def _number(fields: Mapping[str, str], key: str) -> int:
    """0 where the kernel does not tell."""
    text = fields.get(key, "")
    return int(text) if text.isdecimal() else 0
