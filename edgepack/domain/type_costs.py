"""The tables behind predictions: classes of instruction sets, and what each tensor type costs on them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from edgepack.domain.profile import Isa
from edgepack.domain.quant import TensorType
from edgepack.domain.reading import Table

SCHEMA = 1


class IsaClass(StrEnum):
    """Instruction sets that share kernels in llama.cpp, the one that decides their speed being the name."""

    NEON = "neon"
    DOTPROD = "dotprod"
    I8MM = "i8mm"
    SVE2 = "sve2"
    AVX2 = "avx2"
    AVX_VNNI = "avx_vnni"
    AVX512 = "avx512_vnni"
    PLAIN = "plain"
    """None of these: kernels in plain C."""


# The first feature that a processor has decides.
_BY_FEATURE = (
    (Isa.AVX512_VNNI, IsaClass.AVX512),
    (Isa.AVX_VNNI, IsaClass.AVX_VNNI),
    (Isa.AVX2, IsaClass.AVX2),
    (Isa.SVE2, IsaClass.SVE2),
    (Isa.I8MM, IsaClass.I8MM),
    (Isa.DOTPROD, IsaClass.DOTPROD),
    (Isa.NEON, IsaClass.NEON),
)
# Phones with SVE2 have i8mm too, and vectors of 128 bits, for which llama.cpp takes the same repacked kernels.
_LIKE = {IsaClass.SVE2: IsaClass.I8MM}


@dataclass(frozen=True, kw_only=True, slots=True)
class TypeCosts:
    """Costs of the types on one class of instruction sets, relative to Q4_0's."""

    isa: IsaClass
    decode: Mapping[TensorType, float]
    """A byte's, while generating."""
    prefill: Mapping[TensorType, float]
    """A weight's, while reading a prompt."""
    multiply_adds: float
    """A cycle and core, with Q4_0, while reading a prompt."""
    bandwidth_share: float
    """Of the memory's theoretical bandwidth, what Q4_0 streams while generating."""
    source: str


def isa_class(isa: frozenset[Isa]) -> IsaClass:
    """The class that a processor with these features belongs to."""
    return next((found for feature, found in _BY_FEATURE if feature in isa), IsaClass.PLAIN)


def costs_for(isa: frozenset[Isa], tables: Mapping[IsaClass, TypeCosts]) -> TypeCosts:
    """The table of a processor's class, or of the class whose kernels come nearest where nobody measured its own."""
    found = isa_class(isa)
    return tables[found] if found in tables else tables[_LIKE[found]]


def parse_type_costs(table: Mapping[str, object]) -> dict[IsaClass, TypeCosts]:
    """The tables out of their file; BadInputError names the place of a mistake."""
    reader = Table(table, subject="type costs", hint="correct edgepack/data/type_costs.toml")
    if (schema := reader.whole("schema")) != SCHEMA:
        reader.fail("schema", f"expected {SCHEMA}, got {schema}")
    found = [_costs(inner) for inner in reader.tables("class", least=1)]
    reader.finish()
    return {costs.isa: costs for costs in found}


def _costs(table: Table) -> TypeCosts:
    assumed = table.table("assumed")
    costs = TypeCosts(
        isa=table.choice("isa", IsaClass),
        decode={**_types(assumed.table("decode")), **_types(table.table("decode"))},
        prefill={**_types(assumed.table("prefill")), **_types(table.table("prefill"))},
        multiply_adds=table.number("multiply_adds", above=0),
        bandwidth_share=table.number("bandwidth_share", above=0),
        source=f"{table.text('measured')}: {table.text('source')}",
    )
    assumed.finish()
    table.finish()
    return costs


def _types(table: Table) -> dict[TensorType, float]:
    return {TensorType[name]: cost for name, cost in table.numbers().items()}
