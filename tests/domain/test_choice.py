"""The choice: limits rule out with their figure, quality goes before speed, and nothing unknown is called good."""

from dataclasses import replace

import pytest

from edgepack.domain.choice import Choice, Contender, Limit, choose_model, pareto
from edgepack.domain.memory import MemoryPlan
from edgepack.domain.needs import Needs, TaskKind, limited, usual_needs
from edgepack.domain.quant import Quant
from edgepack.domain.speed import Basis, SpeedPlan

MIB = 1 << 20
NEEDS = Needs(
    kind=TaskKind.CHAT, level=2, context=4096, prompt=128, first_token=3.0, decode=5.0, size=2000 * MIB
)  # fmt: skip


def contender(model: str = "good", quant: Quant = Quant.Q4_K_M, **changed: object) -> Contender:
    usual = Contender(
        model=model, parameters=1_500_000_000, quant=quant, bits=4.8, size=900 * MIB,
        memory=MemoryPlan(weights=900 * MIB, kv_cache=100 * MIB), speed=speed(10.0), quality=0.6, loss=0.028,
        joules=None, licence="Apache-2.0", refused=None, context=32768,
    )  # fmt: skip
    return replace(usual, **changed)  # type: ignore[arg-type]


def speed(decode: float, first_token: float = 1.0) -> SpeedPlan:
    return SpeedPlan(prefill=100.0, decode=decode, first_token=first_token, basis=Basis.CALIBRATED)


def chosen(*contenders: Contender, budget: int = 2000 * MIB, asked: Quant | None = None) -> Choice:
    return choose_model(contenders, NEEDS, budget=budget, asked=asked)


@pytest.mark.parametrize(
    ("changed", "limit", "text"),
    [
        ({"memory": MemoryPlan(weights=3000 * MIB)}, Limit.MEMORY, "needs 3,000 MiB of 2,000 MiB"),
        ({"size": 2100 * MIB}, Limit.SIZE, "2,100 MiB, 2,000 MiB allowed"),
        ({"speed": speed(4.0)}, Limit.DECODE, "4.0, 5 wanted"),
        ({"speed": speed(9.0, 3.5)}, Limit.FIRST_TOKEN, "after 3.5 s for 128 tokens, 3 s allowed"),
        ({"context": 2048}, Limit.CONTEXT, "made for 2048 tokens, 4096 wanted"),
        ({"refused": "not permissive"}, Limit.LICENCE, "not permissive"),
    ],
)
def test_a_broken_limit_rules_out_and_says_by_how_much(changed: dict[str, object], limit: Limit, text: str) -> None:
    choice = chosen(contender(**changed))
    assert choice.ranked == ()
    (out,) = choice.excluded
    assert [(broken.limit, broken.text) for broken in out.broken] == [(limit, text)]


def test_the_model_that_is_ruled_out_is_shown_at_the_quantization_that_comes_nearest() -> None:
    large = contender(memory=MemoryPlan(weights=9000 * MIB))
    small = contender(quant=Quant.Q4_0, memory=MemoryPlan(weights=3000 * MIB))
    assert chosen(large, small).excluded[0].contender is small


def test_an_unknown_speed_breaks_no_limit() -> None:
    assert chosen(contender(speed=None)).ranked


def test_quality_goes_before_speed_and_the_unknown_stands_last() -> None:
    fast, good, unknown = (
        contender("fast", quality=0.5, speed=speed(50.0)),
        contender("good", quality=0.7, speed=speed(6.0)),
        contender("unknown", quality=None, speed=speed(90.0)),
    )
    ranked = chosen(unknown, fast, good).ranked
    assert [one.contender.model for one in ranked] == ["good", "fast", "unknown"]
    assert [one.front for one in ranked] == [True, True, False]
    assert "quality unknown" in ranked[2].reasons[0]


def test_among_quantizations_the_fastest_that_loses_little_is_taken_and_the_faster_one_named() -> None:
    best = contender(quant=Quant.Q8_0, bits=8.5, loss=0.0004, speed=speed(6.0))
    usual = contender(quant=Quant.Q4_K_M, speed=speed(10.0))
    quick = contender(quant=Quant.Q4_0, bits=4.5, loss=0.075, speed=speed(11.0))
    (one,) = chosen(best, usual, quick).ranked
    assert one.contender is usual
    assert one.reasons == ("Q4_0 would write 10% faster and read 1.0 times as fast, at more loss",)


def test_a_limit_of_speed_takes_the_quick_quantization() -> None:
    usual = contender(quant=Quant.Q4_K_M, speed=speed(10.0, first_token=3.4))
    quick = contender(quant=Quant.Q4_0, bits=4.5, loss=0.075, speed=speed(11.0, first_token=2.4))
    (one,) = chosen(usual, quick).ranked
    assert one.contender is quick


def test_a_small_model_keeps_its_bits() -> None:
    four = contender(parameters=400_000_000, speed=speed(30.0))
    eight = contender(parameters=400_000_000, quant=Quant.Q8_0, bits=8.5, loss=0.0004, speed=speed(20.0))
    assert chosen(four, eight).ranked[0].contender is eight


def test_under_four_bits_only_where_nothing_larger_fits_and_two_bits_only_if_asked_for() -> None:
    four = contender(memory=MemoryPlan(weights=1100 * MIB))
    three = contender(quant=Quant.Q3_K_M, bits=3.9, loss=0.1, memory=MemoryPlan(weights=900 * MIB), speed=speed(20.0))
    two = contender(quant=Quant.Q2_K, bits=3.2, loss=0.5, memory=MemoryPlan(weights=700 * MIB), speed=speed(25.0))
    assert chosen(four, three, two).ranked[0].contender is four
    tight = chosen(four, three, two, budget=1000 * MIB).ranked[0]
    assert tight.contender is three
    assert "under four bits" in tight.reasons[0]
    assert chosen(four, three, two, budget=800 * MIB).ranked == ()
    assert chosen(four, three, two, asked=Quant.Q2_K).ranked[0].contender is two


def test_the_order_of_contenders_changes_nothing() -> None:
    many = [contender(f"m{number}", quality=number / 10, speed=speed(20.0 - number)) for number in range(8)]
    assert chosen(*many) == chosen(*reversed(many))


def test_the_front_holds_those_that_nobody_beats() -> None:
    good, fast, worse = (
        contender("good", quality=0.7, speed=speed(6.0)),
        contender("fast", quality=0.5, speed=speed(50.0)),
        contender("worse", quality=0.5, speed=speed(40.0)),
    )
    assert pareto([good, fast, worse]) == {good, fast}


def test_twins_are_both_on_the_front() -> None:
    one, other = contender("one"), contender("other")
    assert pareto([one, other]) == {one, other}


def test_zero_takes_a_limit_away() -> None:
    chat = usual_needs(TaskKind.CHAT)
    assert limited(chat, first_token=0, decode=0).first_token is None
    assert limited(chat).first_token == chat.first_token
    assert limited(chat, decode=9.0, context=512).decode == 9.0


@pytest.mark.parametrize("kind", list(TaskKind))
def test_every_kind_of_task_has_needs_whose_request_fits_its_context(kind: TaskKind) -> None:
    needs = usual_needs(kind)
    assert needs.kind is kind
    assert needs.prompt + 256 <= needs.context
    assert 1 <= needs.level <= 4
