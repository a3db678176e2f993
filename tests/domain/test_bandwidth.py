"""The bandwidth program's output, recorded where it ran; and what a profile says of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edgepack.domain.bandwidth import Reading, bandwidths, buffer_mebibytes, parse_reading, together
from edgepack.domain.errors import DeviceError

DATA = Path(__file__).parents[1] / "data" / "bandwidth"
GIB = 1 << 30


def recorded(name: str) -> str:
    """With the lines of the clocks around it, as a device sends it."""
    return (DATA / name).read_text(encoding="utf-8")


def reading(threads: int, *rounds: float, busy: float | None = 0.0) -> Reading:
    return Reading(threads=threads, buffer=1 << 28, rounds=rounds, busy=busy)


@pytest.mark.parametrize(
    ("name", "buffer", "rounds"),
    [
        ("x86_64.txt", 64 << 20, (14.592, 12.974, 12.853, 18.074)),
        ("aarch64-qemu.txt", 32 << 20, (4.904, 4.722, 5.258)),
    ],
)
def test_every_round_is_read(name: str, buffer: int, rounds: tuple[float, ...]) -> None:
    found = parse_reading(recorded(name), busy=0.5)
    assert found == Reading(threads=2, buffer=buffer, rounds=rounds, busy=0.5)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text.replace("edgepack-bandwidth 1", "edgepack-bandwidth 2"),
        lambda text: text.replace("gbs 14.592\n", "gbs fast\n"),
        lambda text: text.replace("gbs 14.592\n", "gbs 0.000\n"),
        lambda text: text.replace("threads 2", "threads 0"),
        lambda text: "".join(line for line in text.splitlines(keepends=True) if "gbs" not in line),
        lambda text: "hello\n" + text,
    ],
)
def test_what_is_not_its_output_is_refused(spoil: Callable[[str], str]) -> None:
    with pytest.raises(DeviceError, match="the bandwidth program printed"):
        parse_reading(spoil(recorded("x86_64.txt")), busy=None)


def test_calls_in_turn_are_one_reading_a_number_of_threads_with_every_round() -> None:
    found = together([reading(1, 20.0), reading(2, 75.0), reading(1, 21.0, busy=0.4), reading(2, 39.0, busy=None)])
    assert [(one.threads, one.rounds, one.busy) for one in found] == [
        (1, (20.0, 21.0), pytest.approx(0.2)), (2, (75.0, 39.0), 0.0),
    ]  # fmt: skip


def test_a_machine_with_two_speeds_is_told_from_a_steady_one() -> None:
    """Even where the middle half of the rounds sees one of them alone."""
    assert reading(2, 75.1, 74.8, 75.3, 75.0).steady
    assert not reading(2, 39.2, 75.0, 39.0, 75.2).steady
    rare = reading(2, *[75.0] * 9, 39.0)
    assert rare.spread < 0.01
    assert not rare.steady
    assert "from 39.0 to 75.0" in rare.words


def test_a_reading_beside_other_programs_says_so_where_its_figure_is_read() -> None:
    disturbed = reading(2, 10.0, 10.1, busy=1.5)
    assert disturbed.disturbed
    assert disturbed.words.endswith(", while other programs used 150% of a core")
    assert "while" not in reading(2, 10.0, busy=0.1).words
    assert not reading(2, 10.0, busy=None).disturbed


def test_a_profile_gets_one_core_and_all_of_them() -> None:
    sweep = (reading(1, 20.0, 20.1, 20.2), reading(2, 33.0, 33.1, 33.2), reading(4, 39.0, 75.0, 75.2))
    found = bandwidths(sweep, source="probe")
    assert [(one.kind.value, one.gbs, one.source) for one in found] == [
        ("read_all", 75.0, "probe"), ("read", 20.1, "probe"),
    ]  # fmt: skip
    assert found[0].how == ("median of 4 threads over 268 MB, 3 rounds from 39.0 to 75.2, the middle half within 24%")
    assert bandwidths((), source="probe") == ()


@pytest.mark.parametrize(
    ("cache", "free", "mebibytes"),
    [
        (0, 8 * GIB, 256), (2 << 20, 8 * GIB, 256), (96 << 20, 8 * GIB, 384), (1152 << 20, 64 * GIB, 2048),
        (0, 400 << 20, 100), (0, 64 << 20, 32), (32 << 20, 0, 128),
    ],
)  # fmt: skip
def test_the_buffer_is_larger_than_any_cache_and_leaves_the_device_its_memory(
    cache: int, free: int, mebibytes: int
) -> None:
    """Where nobody tells what is free, it is no larger than small boards can bear."""
    assert buffer_mebibytes(cache=cache, free=free) == mebibytes
