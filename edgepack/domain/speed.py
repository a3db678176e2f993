"""How fast a model will be on a device, from calibrations or from the profile alone: predicted, never measured.

Decoding streams every matrix once a token; what a byte costs depends on the bus and on how much arithmetic its type
needs on the processor's instructions. Reading a prompt does the same products for many tokens at once, so what
counts there are weights, not bytes. Both are sums over the types that a file really has: a Q4_K_M of a shape that
misses the blocks of 256 is priced as the Q5_0 and Q8_0 that it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from edgepack.domain.profile import BandwidthKind, Profile
from edgepack.domain.quant import Quant, TensorType
from edgepack.domain.type_costs import TypeCosts
from edgepack.domain.work import Work

# Of what all big cores read together, what Q4_0 streams: 0.84 to 0.96 on the machine of docs/speed.md.
_SHARE_OF_READING = 0.9
# Decoding against what one core copies, where profiles have both: 1.1 (Orion O6), 1.15 (Dragon Q6A), 1.4 (Pi 4), 1.5
# (Pi 5), 1.7 (N100), 1.8 (Ryzen AI) and 1.9 (N150). The theoretical bus is a worse guide: 0.19 to 0.71.
_TIMES_COPYING = 1.5
# Cores that issue in order, with vector units half as wide and half as many: assumed to do a third of what others do
# in a cycle. Nobody has measured one with a current llama.cpp.
_IN_ORDER = frozenset({"Cortex-A35", "Cortex-A53", "Cortex-A55", "Cortex-A510", "Cortex-A520"})
_IN_ORDER_SHARE = 0.33
# A solved cost further than this from the table's is a slip of the measurement, not of the table.
_FARTHEST = 3.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Idle:
    """Seconds that no type of weights decides."""

    product: float
    """Threads meet around each matrix product."""
    state: float
    """A number of a recurrent state, for a generated token: it goes through scalar code."""
    state_reading: float
    """The same for a token of a prompt, which is read in chunks."""


IDLE = Idle(product=2e-6, state=6e-10, state_reading=2e-10)
"""Fitted on two phones and ten models (docs/speed.md); leaving any model out changes little."""


class Basis(StrEnum):
    """What a prediction stands on."""

    CALIBRATED = "calibrated"
    """the device's own measurement of synthetic weights"""
    BANDWIDTH = "bandwidth"
    """figures of the profile alone: rough"""

    @property
    def meaning(self) -> str:
        """For people."""
        if self is Basis.CALIBRATED:
            return "calibrated by the device's own measurement of synthetic weights"
        return "roughly, from the profile's figures alone (edgepack profile probe measures the device)"


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceSpeed:
    """What a device takes for each type."""

    decode: Mapping[TensorType, float]
    """Seconds a byte."""
    prefill: Mapping[TensorType, float]
    """Seconds a weight, for each token of a prompt."""
    basis: Basis
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One calibration, and the work that was measured."""

    quant: Quant
    work: Work
    prefill: float
    """Tokens a second."""
    decode: float
    """Tokens a second."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeedPlan:
    """Predicted tokens a second and seconds, and what they stand on."""

    prefill: float
    decode: float
    first_token: float
    """Seconds from a request to the first token of its answer."""
    basis: Basis


def calibrated(rows: Sequence[Row], costs: TypeCosts, *, source: str, idle: Idle = IDLE) -> DeviceSpeed:
    """The device as its calibrations show it: one row scales the table, more rows correct it type by type."""
    generating, reading = [], []
    for row in rows:
        base, work = row.quant.base, row.work
        generating.append(_Equation(base=base, parts=work.streamed, seconds=1 / row.decode - _waiting(work, idle)))
        weights = 1 / row.prefill - work.state * idle.state_reading
        reading.append(_Equation(base=base, parts=work.multiplied, seconds=weights))
    decode, prefill = _solved(generating, costs.decode), _solved(reading, costs.prefill)
    return DeviceSpeed(decode=decode, prefill=prefill, basis=Basis.CALIBRATED, source=source)


def from_profile(profile: Profile, costs: TypeCosts) -> DeviceSpeed | None:
    """The device as its profile's figures let one guess; None where it has no bandwidth or no clock.

    Rough: the same bus serves one processor well and another badly.
    """
    byte = _q4_0_byte(profile, costs)
    clocks = [
        cluster.count * cluster.mhz * (_IN_ORDER_SHARE if cluster.microarchitecture in _IN_ORDER else 1)
        for cluster in profile.clusters
        if cluster.big and cluster.mhz
    ]
    if byte is None or not clocks:
        return None
    weight = 1 / (sum(clocks) * 1e6 * costs.multiply_adds)
    return DeviceSpeed(
        decode={type: byte * relative for type, relative in costs.decode.items()},
        prefill={type: weight * relative for type, relative in costs.prefill.items()},
        basis=Basis.BANDWIDTH,
        source=costs.source,
    )


def _q4_0_byte(profile: Profile, costs: TypeCosts) -> float | None:
    """Seconds that a byte of Q4_0 takes while generating, from the bandwidth that says most."""
    memory = profile.memory
    if decoding := memory.of(BandwidthKind.DECODE):
        # Nearly all were derived from Q4_K_M files: three quarters Q4_K, the rest Q6_K.
        mix = 0.75 * costs.decode[TensorType.Q4_K] + 0.25 * costs.decode[TensorType.Q6_K]
        return 1 / (decoding.gbs * 1e9 * mix)
    shares = (
        (BandwidthKind.READ_ALL, _SHARE_OF_READING),
        (BandwidthKind.COPY, _TIMES_COPYING),
        (BandwidthKind.THEORETICAL, costs.bandwidth_share),
    )
    found = [(bandwidth.gbs, share) for kind, share in shares if (bandwidth := memory.of(kind))]
    return 1 / (found[0][0] * 1e9 * found[0][1]) if found else None


def predicted(work: Work, device: DeviceSpeed, *, prompt: int, kv_read: int, idle: Idle = IDLE) -> SpeedPlan:
    """Speed on a device, with `prompt` tokens to read.

    `kv_read` is the bytes of keys and values that a generated token reads; they cost what the cheapest type's do.
    """
    stream = min(device.decode.values())
    multiply_add = min(device.prefill.values())
    decode = _waiting(work, idle) + _sum(work.streamed, device.decode) + kv_read * stream
    reading = (
        work.state * idle.state_reading
        + _sum(work.multiplied, device.prefill)
        + work.attention * prompt / 2 * multiply_add
    )
    return SpeedPlan(
        prefill=1 / reading,
        decode=1 / decode,
        first_token=prompt * reading + decode,
        basis=device.basis,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Equation:
    """`seconds` = the sum of `parts` times what each type costs."""

    base: TensorType
    """The type that the quantization is named after."""
    parts: Mapping[TensorType, int]
    seconds: float


def _solved(equations: Sequence[_Equation], table: Mapping[TensorType, float]) -> dict[TensorType, float]:
    """Costs that fit the equations: the table scaled, then one type corrected by each equation.

    An equation is used when the fewest of its parts are still the table's; it decides the type that it is named
    after, or, where the shape has none of that, the one with most bytes among the undecided.
    """
    scale = median(equation.seconds / _sum(equation.parts, table) for equation in equations)
    costs = {type: scale * relative for type, relative in table.items()}
    decided: set[TensorType] = set()
    left = [equation for equation in equations if len(equations) > 1]
    while left:
        equation = min(left, key=lambda candidate: _undecided(candidate, decided))
        left.remove(equation)
        type = _decides(equation, decided)
        if type is None:
            continue
        rest = _sum({other: part for other, part in equation.parts.items() if other is not type}, costs)
        solved = (equation.seconds - rest) / equation.parts[type]
        usual = scale * table[type]
        costs[type] = min(max(solved, usual / _FARTHEST), usual * _FARTHEST)
        decided.add(type)
    return costs


def _undecided(equation: _Equation, decided: set[TensorType]) -> float:
    """The share of its parts that no equation has decided, beside the one that it would decide."""
    type = _decides(equation, decided)
    open_parts = sum(part for other, part in equation.parts.items() if other not in decided and other is not type)
    return open_parts / sum(equation.parts.values())


def _decides(equation: _Equation, decided: set[TensorType]) -> TensorType | None:
    if equation.base in equation.parts:
        return None if equation.base in decided else equation.base
    undecided = [type for type in equation.parts if type not in decided]
    return max(undecided, key=lambda type: equation.parts[type], default=None)


def _sum(parts: Mapping[TensorType, int], costs: Mapping[TensorType, float]) -> float:
    return sum(part * costs[type] for type, part in parts.items())


def _waiting(work: Work, idle: Idle) -> float:
    return work.products * idle.product + work.state * idle.state
