"""Plans: memory by arithmetic, the first candidate that fits, and the reasons for both."""

from collections.abc import Iterator

import pytest

from edgepack.domain.errors import BadInputError, NothingFitsError
from edgepack.domain.memory import MemoryPlan
from edgepack.domain.plan import (
    Candidate,
    choose,
    preferred,
    refuse_over_3b,
)
from edgepack.domain.quant import Quant

MIB = 1 << 20


def candidate(quant: Quant, weights: int) -> Candidate:
    return Candidate(quant=quant, memory=MemoryPlan(weights=weights * MIB), size=weights * MIB)


THREE = [candidate(Quant.Q8_0, 300), candidate(Quant.Q6_K, 200), candidate(Quant.Q4_0, 100)]


def test_the_first_that_fits_is_chosen_and_the_rest_not_asked() -> None:
    def lazily() -> Iterator[Candidate]:
        yield from THREE[:2]
        pytest.fail("asked for more than it needed")

    plan = choose(lazily(), context=512, budget=250 * MIB, subject="x", force=False)
    assert plan.chosen is THREE[1]
    assert plan.ruled_out == (THREE[0],)
    assert plan.reason == "Q6_K needs 200 MiB of 250 MiB; Q8_0 would need 300 MiB"


def test_a_candidate_may_fill_its_budget_to_the_byte() -> None:
    assert choose(THREE, context=1, budget=300 * MIB, subject="x", force=False).chosen is THREE[0]
    assert choose(THREE, context=1, budget=300 * MIB - 1, subject="x", force=False).chosen is THREE[1]


def test_where_nothing_fits_the_least_hungry_is_named_and_taken_by_force_alone() -> None:
    with pytest.raises(
        NothingFitsError, match="x: Q4_0 at 512 tokens needs 100 MiB, the profile gives a model 50 MiB"
    ):
        choose(THREE, context=512, budget=50 * MIB, subject="x", force=False)
    plan = choose(THREE, context=512, budget=50 * MIB, subject="x", force=True)
    assert plan.chosen is THREE[2]
    assert plan.reason.startswith("forced: Q4_0 needs 100 MiB")


def test_small_models_keep_more_bits() -> None:
    assert preferred(499_999_999)[0] is Quant.Q8_0
    assert preferred(500_000_000)[0] is Quant.Q4_K_M


def test_three_billion_are_the_limit() -> None:
    refuse_over_3b("x", 3_000_000_000, allowed=False)
    refuse_over_3b("x", 3_000_000_001, allowed=True)
    with pytest.raises(BadInputError, match=r"x has 3\.00 B parameters"):
        refuse_over_3b("x", 3_000_000_001, allowed=False)
