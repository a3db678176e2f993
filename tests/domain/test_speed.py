"""Predictions: sums over types, scaled by what was measured, and honest about what they stand on."""

from dataclasses import replace

import pytest

from edgepack.domain.calibration import Calibration
from edgepack.domain.profile import BandwidthKind, Isa
from edgepack.domain.quant import Quant, TensorType
from edgepack.domain.speed import Basis, DeviceSpeed, Row, calibrated, from_profile, predicted
from edgepack.domain.type_costs import IsaClass, TypeCosts, costs_for, isa_class
from edgepack.domain.work import Work, work_of
from edgepack.infra.library import load_profile, load_type_costs, profile_names

Q4_0, Q6_K, Q8_0 = TensorType.Q4_0, TensorType.Q6_K, TensorType.Q8_0
COSTS = TypeCosts(
    isa=IsaClass.DOTPROD,
    decode={Q4_0: 1.0, Q6_K: 1.5, Q8_0: 0.8},
    prefill={Q4_0: 1.0, Q6_K: 2.0, Q8_0: 1.1},
    multiply_adds=10,
    bandwidth_share=0.5,
    source="a test",
)


def work(**bytes_of: int) -> Work:
    streamed = {TensorType[name]: size for name, size in bytes_of.items()}
    weights = {type: size * type.block[0] // type.block[1] for type, size in streamed.items()}
    return Work(streamed=streamed, multiplied=weights, products=100, attention=1000, state=0)


def device(byte: float, weight: float, **corrected: float) -> DeviceSpeed:
    """One whose types cost as the table says, but for those corrected."""
    factors = {TensorType[name]: factor for name, factor in corrected.items()}
    return DeviceSpeed(
        decode={type: byte * cost * factors.get(type, 1) for type, cost in COSTS.decode.items()},
        prefill={type: weight * cost for type, cost in COSTS.prefill.items()},
        basis=Basis.CALIBRATED,
        source="",
    )


def measured(quant: Quant, of: Work, on: DeviceSpeed) -> Row:
    seen = predicted(of, on, prompt=0, kv_read=0)
    return Row(quant=quant, work=of, prefill=seen.prefill, decode=seen.decode)


def test_a_tied_embedding_is_streamed_as_the_head_it_is_and_an_untied_one_is_not() -> None:
    tensors = [
        ("token_embd.weight", (64, 32), Q8_0),
        ("blk.0.ffn_up.weight", (32, 32), Q4_0),
        ("n.weight", (32,), Q8_0),
    ]
    tied = work_of(tensors, attention=0, state=0)
    assert tied.streamed == {Q8_0: 64 * 34, Q4_0: 32 * 18}
    assert tied.multiplied == {Q4_0: 32 * 32}
    with_head = work_of([*tensors, ("output.weight", (64, 32), Q4_0)], attention=0, state=0)
    assert with_head.streamed == {Q4_0: 64 * 18 + 32 * 18}
    assert with_head.products == 2


def test_one_calibration_scales_the_table() -> None:
    slow = device(4e-10, 1e-11)
    found = calibrated([measured(Quant.Q4_0, work(Q4_0=500_000_000, Q6_K=100_000_000), slow)], COSTS, source="")
    for type, cost in slow.decode.items():
        assert found.decode[type] == pytest.approx(cost)
    for type, cost in slow.prefill.items():
        assert found.prefill[type] == pytest.approx(cost)


def test_each_further_calibration_corrects_its_own_type() -> None:
    odd = device(4e-10, 1e-11, Q6_K=1.4, Q8_0=0.9)
    rows = [
        measured(Quant.Q4_0, work(Q4_0=500_000_000, Q6_K=100_000_000), odd),
        measured(Quant.Q6_K, work(Q6_K=800_000_000), odd),
        measured(Quant.Q8_0, work(Q8_0=1_000_000_000), odd),
    ]
    found = calibrated(rows, COSTS, source="")
    for type, cost in odd.decode.items():
        assert found.decode[type] == pytest.approx(cost, rel=1e-6)


def test_the_order_of_calibrations_does_not_matter() -> None:
    odd = device(4e-10, 1e-11, Q6_K=1.4)
    rows = [
        measured(Quant.Q6_K, work(Q6_K=800_000_000), odd),
        measured(Quant.Q4_0, work(Q4_0=500_000_000, Q6_K=100_000_000), odd),
    ]
    assert calibrated(rows, COSTS, source="") == calibrated(rows[::-1], COSTS, source="")


def test_a_wild_measurement_moves_a_cost_only_so_far() -> None:
    usual = device(4e-10, 1e-11)
    wild = replace(measured(Quant.Q8_0, work(Q8_0=1_000_000_000), usual), decode=0.001)
    rows = [
        measured(Quant.Q4_0, work(Q4_0=500_000_000), usual),
        measured(Quant.Q6_K, work(Q6_K=500_000_000), usual),
        wild,
    ]
    assert calibrated(rows, COSTS, source="").decode[Q8_0] == pytest.approx(3 * usual.decode[Q8_0])


def test_a_longer_prompt_keeps_the_first_token_waiting_and_a_deeper_cache_slows_the_rest() -> None:
    near = predicted(work(Q4_0=500_000_000), device(1e-10, 1e-11), prompt=100, kv_read=1_000)
    far = predicted(work(Q4_0=500_000_000), device(1e-10, 1e-11), prompt=1000, kv_read=50_000_000)
    assert far.first_token > 9 * near.first_token
    assert far.decode < near.decode
    assert near.basis is Basis.CALIBRATED


@pytest.mark.parametrize(
    ("isa", "expected"),
    [
        ({Isa.NEON}, IsaClass.NEON),
        ({Isa.NEON, Isa.DOTPROD}, IsaClass.DOTPROD),
        ({Isa.NEON, Isa.DOTPROD, Isa.I8MM}, IsaClass.I8MM),
        ({Isa.AVX, Isa.AVX2}, IsaClass.AVX2),
        ({Isa.AVX2, Isa.AVX512F, Isa.AVX512_VNNI}, IsaClass.AVX512),
        (set(), IsaClass.PLAIN),
    ],
)
def test_the_kernels_decide_the_class(isa: set[Isa], expected: IsaClass) -> None:
    assert isa_class(frozenset(isa)) is expected


def test_every_class_has_a_table_and_every_table_every_type_that_a_quantization_gives() -> None:
    tables = load_type_costs()
    for feature in [frozenset[Isa](), *(frozenset({feature}) for feature in Isa)]:
        costs = costs_for(feature, tables)
        assert {quant.base for quant in Quant} <= set(costs.decode)
        assert set(costs.decode) == set(costs.prefill)
        assert costs.source


@pytest.mark.parametrize("name", profile_names())
def test_a_profile_alone_gives_a_rough_speed_that_says_so(name: str) -> None:
    profile = load_profile(name)
    speed = from_profile(profile, costs_for(profile.isa, load_type_costs()))
    if profile.bandwidth is None:
        assert speed is None
    else:
        assert speed is not None
        assert speed.basis is Basis.BANDWIDTH
        assert 1e-12 < speed.decode[Q4_0] < 1e-8


def test_a_faster_bus_makes_a_faster_guess() -> None:
    profile = load_profile("rpi5")
    costs = costs_for(profile.isa, load_type_costs())
    theory = next(found for found in profile.memory.bandwidths if found.kind is BandwidthKind.THEORETICAL)
    slow = replace(profile, memory=replace(profile.memory, bandwidths=(replace(theory, gbs=5.0),)))
    fast = replace(profile, memory=replace(profile.memory, bandwidths=(replace(theory, gbs=50.0),)))
    found = [from_profile(each, costs) for each in (slow, fast)]
    assert found[0]
    assert found[1]
    assert found[0].decode[Q4_0] == pytest.approx(10 * found[1].decode[Q4_0])


def test_cores_that_issue_in_order_read_prompts_more_slowly() -> None:
    small, large = load_profile("imx93"), load_profile("rpi5")
    found = [from_profile(each, costs_for(each.isa, load_type_costs())) for each in (small, large)]
    assert found[0]
    assert found[1]
    # 2 x 1.7 GHz in order against 4 x 2.4 GHz out of order.
    assert found[0].prefill[Q4_0] > 7 * found[1].prefill[Q4_0]


def test_calibrations_stand_in_a_profile() -> None:
    row = Calibration(
        model="qwen3-1.7b", quant="Q4_0", threads=4, prompt_tokens=512, prefill=50.0, decode=8.0,
        measured="2026-11-26", source="edgepack profile probe",
    )  # fmt: skip
    assert replace(load_profile("rpi5"), calibrations=(row,)).calibrations == (row,)
