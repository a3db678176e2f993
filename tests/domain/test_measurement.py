"""Statistics of samples, what makes them unstable, the choice of threads, and the JSON record."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.domain.errors import BadInputError
from edgepack.domain.measurement import (
    Conditions,
    MeasuredWeights,
    Measurement,
    Phase,
    Runtime,
    Sample,
    Series,
    Workload,
    best_threads,
    instability,
    is_stable,
    spread,
    threads_to_try,
)
from edgepack.domain.measurement_json import measurement_json, parse_measurement


def series(
    *rates: float, phase: Phase = Phase.DECODE, tokens: int = 128, threads: int = 2, busy: float | None = 0.0
) -> Series:
    samples = tuple(Sample(seconds=tokens / rate, busy=busy) for rate in rates)
    return Series(phase=phase, tokens=tokens, threads=threads, samples=samples)


def a_measurement() -> Measurement:
    return Measurement(
        date=datetime(2026, 11, 20, 12, 30, tzinfo=UTC),
        weights=MeasuredWeights(
            name="tiny", sha256="ab" * 32, size=1000, quant="Q4_0", architecture="llama", parameters=500
        ),
        runtime=Runtime(name="llama-cpp-python", version="1", build="ggml 1", system_info="CPU : NEON = 1"),
        conditions=Conditions(
            machine="board", cpu="4 x Cortex-A76", system="Linux 6.1 aarch64", governor="ondemand",
            celsius_before=45.5, celsius_after=61.0, mhz_after=2400.0, mhz_limit=2400.0, throttled=False,
            busy_before=0.02, memory_free_before=10**9, peak_rss=10**8,
        ),
        workload=Workload(),
        threads=2,
        cpus=(0, 1),
        series=(series(100, 101, 102, phase=Phase.PREFILL, tokens=512), series(10, 10.1, 10.2)),
        sweep=(series(8, 8.1, threads=1, busy=None),),
        rejected=(),
        unstable_because=(),
    )  # fmt: skip


def test_names_and_rates_are_llama_benchs() -> None:
    """A series is called pp512 or tg128, and its mean is the mean of the samples' tokens/s."""
    taken = Series(
        phase=Phase.PREFILL, tokens=512, threads=4,
        samples=(Sample(seconds=1.0, busy=None), Sample(seconds=2.0, busy=None)),
    )  # fmt: skip
    assert taken.name == "pp512"
    assert taken.rates == (512.0, 256.0)
    assert taken.mean == taken.median == 384.0
    assert taken.deviation == pytest.approx(181.019, abs=1e-3)


def test_spread_is_the_middle_half_over_the_median() -> None:
    """Quartiles by linear interpolation: of 90, 95, 100, 105, 110 they are 95 and 105."""
    assert spread([90, 95, 100, 105, 110]) == pytest.approx(0.10)
    assert spread([100]) == 0.0


def test_one_hiccup_in_five_does_not_make_a_series_unstable_but_two_speeds_do() -> None:
    """A single slow sample leaves the median right; two of five say that there is no one speed."""
    assert is_stable(series(100, 101, 60, 100, 101))
    assert not is_stable(series(100, 101, 60, 100, 60))


@given(st.lists(st.floats(1, 1e4), min_size=1, max_size=60), st.floats(0.01, 100))
def test_spread_does_not_depend_on_the_unit(rates: list[float], factor: float) -> None:
    """A spread is a share: scaling all rates leaves it as it is, and it is never negative."""
    assert spread(rates) >= 0
    assert spread([rate * factor for rate in rates]) == pytest.approx(spread(rates), rel=1e-6, abs=1e-9)


def test_a_busy_machine_makes_a_series_unstable() -> None:
    """Equal samples are not to be relied on when others used the cores meanwhile; unknown load is no reason."""
    assert "other programs used 90% of a core" in (instability(series(100, 100, 100, busy=0.9)) or "")
    assert is_stable(series(100, 100, 100, busy=None))


def test_load_is_weighted_by_time() -> None:
    """A busy second outweighs a quiet millisecond."""
    taken = Series(
        phase=Phase.DECODE, tokens=1, threads=1,
        samples=(Sample(seconds=3.0, busy=1.0), Sample(seconds=1.0, busy=0.0), Sample(seconds=9.0, busy=None)),
    )  # fmt: skip
    assert taken.busy == pytest.approx(0.75)


def test_short_samples_are_repeated_until_they_mean_something() -> None:
    """A phase needs its repeats and its least time, but no more than its most repeats."""
    workload = Workload(repeats=3, least_seconds=1.0, most_repeats=10)
    assert not workload.enough([5.0, 5.0])
    assert workload.enough([0.5, 0.5, 0.5])
    assert not workload.enough([0.01] * 9)
    assert workload.enough([0.01] * 10)


def test_no_tokens_no_phase() -> None:
    """-p 0 leaves prefill out, -n 0 decode."""
    assert Workload(prompt_tokens=0).phases == (Phase.DECODE,)
    assert Workload(generated_tokens=0).phases == (Phase.PREFILL,)
    assert Workload().phases == (Phase.PREFILL, Phase.DECODE)


@pytest.mark.parametrize(
    ("cores", "tried"), [(1, (1,)), (4, (1, 2, 3, 4)), (12, (1, 2, 3, 6, 9, 12)), (64, (1, 2, 16, 32, 48, 64))]
)
def test_few_cores_are_all_tried(cores: int, tried: tuple[int, ...]) -> None:
    """Up to eight every number of threads; of more, some."""
    assert threads_to_try(cores) == tried


def looks(*triples: tuple[int, float, float]) -> list[Series]:
    return [
        taken
        for threads, prefill, decode in triples
        for taken in (
            series(prefill, phase=Phase.PREFILL, threads=threads),
            series(decode, threads=threads),
        )
    ]


def test_the_fastest_decode_wins() -> None:
    """More threads that prefill faster but decode slower lose."""
    assert best_threads(looks((1, 50, 10), (2, 90, 18), (4, 160, 12))) == 2


def test_of_equal_decodes_the_fastest_prefill_wins() -> None:
    """Decode stands still from 2 threads on here; prefill does not."""
    assert best_threads(looks((1, 50, 10), (2, 90, 18), (3, 130, 17.9), (4, 160, 17.8))) == 4


def test_one_phase_alone_decides() -> None:
    """Without decode the fastest prefill wins."""
    only = [taken for taken in looks((1, 50, 1), (2, 90, 1), (3, 70, 1)) if taken.phase is Phase.PREFILL]
    assert best_threads(only) == 2


def test_a_record_comes_back_as_it_was() -> None:
    """JSON and back loses nothing, None and absent alike."""
    measurement = a_measurement()
    again = parse_measurement(json.loads(json.dumps(measurement_json(measurement))))
    assert again == measurement
    bare = replace(
        measurement, cpus=None, unstable_because=("tg128: the samples' spread is 9% of their median",),
        conditions=replace(measurement.conditions, governor=None, throttled=None, celsius_after=None, peak_rss=None),
        weights=replace(measurement.weights, quant=None),
    )  # fmt: skip
    assert parse_measurement(json.loads(json.dumps(measurement_json(bare)))) == bare


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("schema",), "edgepack.measurement/2", "schema: expected edgepack.measurement/1"),
        (("date",), "yesterday", "date: expected an ISO 8601 time, got yesterday"),
        (("date",), "2026-11-20T12:30:00", "date: expected a time with its offset"),
        (("threads",), 0, "threads: expected 1 or more, got 0"),
        (("cpus",), "0-3", "cpus: expected CPU numbers"),
        (("stable",), False, "stable: says false"),
        (("series", 0, "phase"), "xx", "series[0].phase: 'xx' is not known"),
        (("series", 1, "samples", 2, "seconds"), 0, "series[1].samples[2].seconds: expected more than 0"),
        (("series", 1, "samples"), [], "series[1].samples"),
        (("colour",), "red", "colour: unknown key"),
        (("weights", "colour"), "red", "weights.colour: unknown key"),
        (("conditions", "peak_rss"), "much", "conditions.peak_rss: expected int, got string"),
    ],
)
def test_a_wrong_record_names_the_place(path: tuple[str | int, ...], value: object, said: str) -> None:
    """Each lie or slip in a record is refused with the place where it stands."""
    table = json.loads(json.dumps(measurement_json(a_measurement())))
    inner = table
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(BadInputError) as refused:
        parse_measurement(table, subject="evidence/measurement.json")
    assert said in refused.value.what
    assert refused.value.what.startswith("evidence/measurement.json: ")
