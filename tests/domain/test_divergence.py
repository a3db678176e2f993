"""The limit of a divergence: ten times what was published, and no limit where nothing was."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from edgepack.domain.divergence import divergence_gate, divergence_limit
from edgepack.domain.fidelity import Fidelity, Foreseen, Text
from edgepack.domain.measurement import MeasuredWeights, Runtime
from edgepack.domain.quant import Quant
from edgepack.infra.library import load_losses

WEIGHTS = MeasuredWeights(
    name="m", sha256="0" * 64, size=1, architecture="llama", quant=Quant.Q4_0, parameters=1, synthetic=False
)


def fidelity(*divergences: float) -> Fidelity:
    places = tuple(
        Foreseen(surprise=1.0, surprise_against=1.0, divergence=divergence, same_top=True)
        for divergence in divergences
    )
    return Fidelity(
        date=datetime(2026, 1, 1, tzinfo=UTC), weights=WEIGHTS, against=replace(WEIGHTS, quant=Quant.F16),
        text=Text(name="t", sha256="0", tokens=2), runtime=Runtime(name="r", version="1", build="b", system_info=""),
        threads=1, chunk_tokens=2, chunks=1, places=places,
    )  # fmt: skip


@pytest.mark.parametrize("quant", [quant for quant in Quant if quant is not Quant.BF16])
def test_every_quantization_has_a_limit_with_its_source(quant: Quant) -> None:
    limit = divergence_limit(load_losses(), quant)
    assert limit is not None
    assert limit.source


def test_the_limit_is_ten_times_the_largest_that_was_published() -> None:
    limit = divergence_limit(load_losses(), Quant.Q4_K_M)
    assert limit is not None
    assert limit.nats == pytest.approx(0.31273)
    assert "Llama 3 8B" in limit.source
    assert divergence_limit(load_losses(), None) is None


@pytest.mark.parametrize(
    ("divergences", "passed"), [((0.1, 0.5), True), ((0.1, 0.7), False), ((float("nan"),), False)]
)
def test_the_mean_is_compared(divergences: tuple[float, ...], passed: bool) -> None:
    """And weights that compute no numbers are over every limit."""
    gate = divergence_gate(fidelity(*divergences), divergence_limit(load_losses(), Quant.Q4_K_M))
    assert gate.passed is passed
    assert gate.figures["limit"] == pytest.approx(0.31273)
    assert gate.checked == len(divergences)


def test_without_a_limit_figures_are_kept() -> None:
    gate = divergence_gate(fidelity(3.0), None)
    assert gate.passed
    assert "no limit" in gate.notes[0]
    assert gate.figures["mean"] == 3.0
