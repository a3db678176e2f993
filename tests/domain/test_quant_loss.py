"""Losses by quantization: read with their sources, taken from the nearest model, unknown where nobody measured."""

from typing import Any

import pytest

from edgepack.domain.errors import BadInputError
from edgepack.domain.quant import Quant
from edgepack.domain.quant_loss import expected_loss, parse_losses
from edgepack.infra.library import load_losses

LOSSES = load_losses()


def file(**changes: Any) -> dict[str, Any]:
    run = {
        "model": "Tiny", "parameters": 1000, "weighed": False, "text": "a novel", "before": 8.0, "source": "a page",
        "quants": {"Q4_0": {"after": 10.0, "divergence": 0.5}, "Q8_0": {"after": 8.0}},
    }  # fmt: skip
    return {"schema": 1, "run": [{**run, **changes}]}


def test_a_loss_is_the_share_by_which_perplexity_rises() -> None:
    small, none = parse_losses(file())[::-1]
    assert (small.quant, small.rise, small.divergence) == (Quant.Q4_0, 0.25, 0.5)
    assert (none.quant, none.rise, none.divergence) == (Quant.Q8_0, 0.0, None)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"source": None}, r"run\[0\]\.source: expected string, got nothing"),
        ({"before": 0}, r"run\[0\]\.before: expected more than 0"),
        ({"quants": {"Q4": {"after": 1.0}}}, r"run\[0\]\.quants\.Q4: unknown key"),
        ({"quants": {"Q4_0": {"divergence": 1.0}}}, r"run\[0\]\.quants\.Q4_0\.after: expected number, got nothing"),
        ({"quants": {"Q4_0": {"after": 1.0, "kl": 1}}}, r"run\[0\]\.quants\.Q4_0\.kl: unknown key"),
    ],
)
def test_a_mistake_is_named_with_its_place(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadInputError, match=f"^losses: {complaint}"):
        parse_losses(file(**changes))


@pytest.mark.parametrize("weighed", [False, True])
def test_fewer_bits_never_lose_less_in_the_package_s_table(weighed: bool) -> None:
    """Within each run, from the largest quantization to the smallest of one kind."""
    for model in {loss.model for loss in LOSSES}:
        run = {loss.quant: loss.rise for loss in LOSSES if (loss.model, loss.weighed) == (model, weighed)}
        plain = [run[quant] for quant in Quant if quant in run and not quant.startswith(("IQ", "BF", "F"))]
        assert plain == sorted(plain)


def test_the_nearest_model_in_size_counts() -> None:
    small = expected_loss(LOSSES, Quant.Q4_K_M, parameters=1_000_000_000, weighed=True)
    large = expected_loss(LOSSES, Quant.Q4_K_M, parameters=7_000_000_000, weighed=True)
    assert small is not None
    assert large is not None
    assert (small.parameters < 3e9, large.parameters > 7e9) == (True, True)


def test_without_a_matrix_no_result_with_one_counts() -> None:
    """The i-quants were measured with a matrix alone: what they lose without is unknown."""
    assert expected_loss(LOSSES, Quant.IQ4_XS, parameters=10**9) is None
    found = expected_loss(LOSSES, Quant.Q4_K_M, parameters=10**9)
    assert found is not None
    assert not found.weighed
    assert found.rise == pytest.approx(0.02816, abs=1e-4)


def test_with_a_matrix_a_result_without_stands_in_where_there_is_no_other() -> None:
    found = expected_loss(LOSSES, Quant.Q4_0, parameters=10**9, weighed=True)
    assert found is not None
    assert not found.weighed


@pytest.mark.parametrize("quant", Quant)
def test_every_quantization_has_a_published_loss_of_some_kind(quant: Quant) -> None:
    assert expected_loss(LOSSES, quant, parameters=10**9, weighed=True)
