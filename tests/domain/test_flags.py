"""What llama.cpp is told of runtime flags; what is its default is not said."""

import json
from dataclasses import replace

import pytest

from edgepack.domain.bundle import CacheType, FlashAttention, LoadMode, Ngram, RuntimeFlags, Speculation
from edgepack.domain.errors import BadInputError
from edgepack.domain.flags import bench_arguments, cpu_mask, server_arguments, speculation_arguments
from edgepack.domain.flags_json import flags_values, read_flags
from edgepack.domain.measurement import Phase
from edgepack.domain.reading import Table

USUAL = RuntimeFlags(context=4096, threads=4)
BENT = RuntimeFlags(
    context=2048, threads=2, threads_batch=4, cache_type=CacheType.Q8_0, cache_type_v=CacheType.F16, batch=512,
    micro_batch=256, flash_attention=FlashAttention.ON, load_mode=LoadMode.MLOCK, repack=False, cpus=(4, 5, 6, 7),
    cpu_strict=True, priority=2, poll=0, speculation=Speculation(ngram=Ngram.MAP_K, match=4, draft=8),
)  # fmt: skip


def test_defaults_are_not_rendered() -> None:
    assert server_arguments(USUAL) == ("-c", "4096", "-t", "4")
    assert bench_arguments(USUAL) == ("-t", "4")
    assert speculation_arguments(USUAL) == ()


def test_everything_that_bends_is_rendered_for_the_server() -> None:
    words = "-c 2048 -t 2 -tb 4 -b 512 -ub 256 -ctk q8_0 -fa on -lm mlock --no-repack"
    place = "-C 0xf0 --cpu-strict 1 --prio 2 --poll 0"
    batch = "-Cb 0xf0 --cpu-strict-batch 1 --prio-batch 2 --poll-batch 0"
    assert " ".join(server_arguments(BENT)) == f"{words} {place} {batch}"
    assert " ".join(server_arguments(replace(BENT, threads_batch=None))) == f"{words.replace(' -tb 4', '')} {place}"


def test_llama_bench_has_one_number_of_threads_and_says_repacking_its_own_way() -> None:
    rest = "-b 512 -ub 256 -ctk q8_0 -fa on -lm mlock --repack 0 -C 0xf0 --cpu-strict 1 --prio 2 --poll 0"
    assert " ".join(bench_arguments(BENT, Phase.DECODE)) == f"-t 2 {rest}"
    assert " ".join(bench_arguments(BENT, Phase.PREFILL)) == f"-t 4 {rest}"


def test_ngram_mod_may_guess_less_than_its_own_least() -> None:
    guess = Speculation(ngram=Ngram.MOD, match=8, draft=16)
    assert " ".join(speculation_arguments(replace(USUAL, speculation=guess))) == (
        "--spec-type ngram-mod --spec-ngram-mod-n-match 8 --spec-ngram-mod-n-max 16 --spec-ngram-mod-n-min 0"
    )


def test_a_mask_has_a_bit_for_each_cpu() -> None:
    assert cpu_mask((0,)) == "0x1"
    assert cpu_mask((0, 70)) == "0x400000000000000001"


@pytest.mark.parametrize("flags", [USUAL, BENT, replace(USUAL, poll=0), replace(USUAL, cpus=(0,))])
def test_json_gives_the_same_flags_back(flags: RuntimeFlags) -> None:
    values = json.loads(json.dumps(flags_values(flags)))
    assert read_flags(Table(values, subject="flags", hint="none")) == flags


def test_json_says_nothing_of_defaults_that_came_later() -> None:
    assert set(flags_values(USUAL)) == {"context", "threads", "cache_type", "micro_batch"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"poll": 101}, "polling"),
        ({"cpus": [3, 1]}, "in order"),
        ({"cpus": [512]}, "flags: cpus: expected 511 or less"),
        ({"cpus": "0-3"}, "array of ints"),
        ({"cpu_strict": True}, "strict placement"),
        ({"batch": 64}, "micro-batch of 512"),
        ({"load_mode": "dio"}, "load_mode"),
        ({"pol": 1}, "unknown key"),
        ({"speculation": {"ngram": "ngram-mod", "match": 2000, "draft": 1}}, "1024 or less"),
    ],
)
def test_what_llama_cpp_would_not_take_is_refused(change: dict[str, object], told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        read_flags(Table(flags_values(USUAL) | change, subject="flags", hint="none"))
