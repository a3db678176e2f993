"""Which engine a decoder is left to: the one quicker by a tenth that fits memory, else llama.cpp."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from edgepack.domain.engine import Engine
from edgepack.domain.engine_choice import choose_engine, seconds
from edgepack.domain.measurement import (
    Conditions,
    MeasuredWeights,
    Measurement,
    Phase,
    Runtime,
    Sample,
    Series,
    Workload,
)


def measured(prefill: float, decode: float, *, peak: int | None = 400, free: int | None = 1000) -> Measurement:
    """512 tokens read and 128 written at these tokens/s."""
    series = (
        Series(phase=Phase.PREFILL, tokens=512, threads=2, samples=(Sample(seconds=512 / prefill, busy=0.0),)),
        Series(phase=Phase.DECODE, tokens=128, threads=2, samples=(Sample(seconds=128 / decode, busy=0.0),)),
    )
    seen = Conditions(
        machine="a board", cpu="4 x Cortex-A76", system="Linux", governor=None, celsius_before=None,
        celsius_after=None, mhz_after=None, mhz_limit=None, throttled=None, busy_before=0.0,
        memory_free_before=free, peak_rss=peak,
    )  # fmt: skip
    weights = MeasuredWeights(name="m", sha256="0" * 64, size=1, quant="Q4_0", architecture="llama", parameters=1)
    return Measurement(
        date=datetime(2026, 1, 1, tzinfo=UTC), weights=weights,
        runtime=Runtime(name="r", version="1", build="b", system_info="s"), conditions=seen, workload=Workload(),
        threads=2, cpus=None, series=series, sweep=(), rejected=(), unstable_because=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("onnx", "kept", "said"),
    [
        (measured(100, 20), Engine.LLAMA_CPP, "1.00 times as quickly"),
        (measured(109, 21.8), Engine.LLAMA_CPP, "1.09 times as quickly (pp512 1.09 times as quick, tg128 1.09"),
        (measured(111, 22.2), Engine.ONNX, "1.11 times as quickly"),
        (measured(50, 20), Engine.LLAMA_CPP, "0.69 times as quickly (pp512 0.50"),
        (measured(200, 40, peak=1001), Engine.LLAMA_CPP, "onnxruntime takes 0 MB, and 0 MB are free"),
        (measured(200, 40, peak=None), Engine.ONNX, "2.00 times"),
    ],
)
def test_the_quicker_by_a_tenth_that_fits_is_kept(onnx: Measurement, kept: Engine, said: str) -> None:
    choice = choose_engine({Engine.LLAMA_CPP: measured(100, 20), Engine.ONNX: onnx}, cosine=0.9995)
    assert choice.kept is kept
    assert said in choice.because
    assert choice.measurement is choice.measured[kept]


def test_what_does_not_fit_itself_is_not_kept_for_being_the_usual_one() -> None:
    choice = choose_engine({Engine.LLAMA_CPP: measured(100, 20, peak=2000), Engine.ONNX: measured(10, 2)}, cosine=1.0)
    assert (choice.kept, choice.because[:9]) == (Engine.ONNX, "llama.cpp")


def test_unstable_figures_say_so() -> None:
    shaky = replace(measured(300, 60), unstable_because=("tg128: wide",))
    choice = choose_engine({Engine.LLAMA_CPP: measured(100, 20), Engine.ONNX: shaky}, cosine=1.0)
    assert "not stable" in choice.because


@pytest.mark.parametrize("cosine", [-0.03, 0.9, float("nan")])
def test_who_computes_something_else_is_not_kept_however_quick(cosine: float) -> None:
    choice = choose_engine({Engine.LLAMA_CPP: measured(100, 20), Engine.ONNX: measured(300, 60)}, cosine=cosine)
    assert choice.kept is Engine.LLAMA_CPP
    assert "other logits" in choice.because


def test_the_workload_is_prompt_and_answer() -> None:
    assert seconds(measured(512, 64)) == pytest.approx(3.0)
