"""llama-bench's arguments, and its output as it was recorded."""

import json
from pathlib import Path

import pytest

from edgepack.domain.bundle import RuntimeFlags
from edgepack.domain.errors import DeviceError
from edgepack.domain.llama_bench import bench_words, parse_bench
from edgepack.domain.measurement import Phase, Workload

RECORDED = (Path(__file__).parents[1] / "data/llama-bench/demo-5m.jsonl").read_text()


def test_every_sample_of_a_recorded_run_is_read() -> None:
    """Four tests, with threads, phase and seconds; the rates are those that llama-bench printed."""
    found = parse_bench(RECORDED, busy=0.1)
    assert [(series.name, series.threads) for series in found.series] == [
        ("pp64", 1), ("tg16", 1), ("pp64", 2), ("tg16", 2),
    ]  # fmt: skip
    assert [sample.seconds for sample in found.series[0].samples] == [0.005318255, 0.005334981, 0.009481843]
    for series, row in zip(found.series, map(json.loads, RECORDED.splitlines()), strict=True):
        assert series.rates == pytest.approx(row["samples_ts"], rel=1e-4)
        assert series.mean == pytest.approx(row["avg_ts"], rel=1e-4)
        assert series.busy == pytest.approx(0.1)
    assert (found.build, found.cpu, found.backends) == ("build 1 (0c1e570)", "AMD EPYC", "CPU")


def test_words_between_the_results_are_passed_over() -> None:
    assert parse_bench(f"loading…\n{RECORDED}\ndone\n") == parse_bench(RECORDED)


def broken(**values: object) -> str:
    return json.dumps({**json.loads(RECORDED.splitlines()[0]), **values})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no result"),
        (RECORDED[:300], "no JSON"),
        (broken(samples_ns=[]), "samples_ns"),
        (broken(samples_ns=[0]), "samples_ns"),
        (broken(samples_ns=["1"]), "samples_ns"),
        (broken(n_threads=None), "n_threads: expected int, got None"),
        (broken(n_prompt=0), "not one phase"),
        (broken(n_gen=16), "not one phase"),
        (broken(cpu_info=7), "cpu_info: expected str"),
    ],
)
def test_what_is_not_llama_benchs_is_refused(text: str, reason: str) -> None:
    with pytest.raises(DeviceError, match=reason):
        parse_bench(text)


def test_a_phase_is_asked_for_alone() -> None:
    """With its own number of threads where the flags have two, and without warm-up where there is none."""
    flags = RuntimeFlags(context=512, threads=2, threads_batch=4, cpus=(0, 1))
    workload = Workload(repeats=3)
    prefill = " ".join(bench_words("w.gguf", Phase.PREFILL, workload, flags))
    decode = " ".join(bench_words("w.gguf", Phase.DECODE, Workload(repeats=3, warm_up=False), flags))
    assert prefill == "-m w.gguf -p 512 -n 0 -r 3 -o jsonl -t 4 -C 0x3"
    assert decode == "-m w.gguf -p 0 -n 128 -r 3 --no-warmup -o jsonl -t 2 -C 0x3"
