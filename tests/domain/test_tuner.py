"""The search finds what is faster on devices whose speed is a formula, and leaves the defaults where nothing is."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from edgepack.domain.bundle import CacheType, FlashAttention, RuntimeFlags
from edgepack.domain.measurement import Phase, Sample, Series, Workload
from edgepack.domain.tuner import FLOOR, Found, Search, TrialRefusedError
from edgepack.domain.tuner_axes import Room, axes

DEFAULTS = RuntimeFlags(context=640, threads=8)
REQUEST = Workload()
ROOM = Room(cpus=tuple(range(8)), big=(4, 5, 6, 7))
Speed = Callable[[RuntimeFlags], tuple[float, float]]


@dataclass(kw_only=True)
class Device:
    """Tokens/s by a formula of the flags, with noise and drift; time goes on as its trials take it."""

    speed: Speed
    noise: float = 0.0
    drift: float = 0.0
    now: float = 0.0
    calls: int = 0
    dice: Random = field(default_factory=lambda: Random(7))

    def clock(self) -> float:
        return self.now

    def trial(self, flags: RuntimeFlags, workload: Workload) -> tuple[Series, ...]:
        return tuple(self._series(flags, workload, phase) for phase in workload.phases)

    def _series(self, flags: RuntimeFlags, workload: Workload, phase: Phase) -> Series:
        self.calls += 1
        rate = self.speed(flags)[0 if phase is Phase.PREFILL else 1] * (1 - self.drift * self.now)
        tokens = workload.tokens(phase)
        seconds = [tokens / rate * (1 + self.dice.uniform(-self.noise, self.noise)) for _ in range(workload.repeats)]
        self.now += sum(seconds) + 0.2
        samples = tuple(Sample(seconds=one, busy=None) for one in seconds)
        return Series(phase=phase, tokens=tokens, threads=flags.threads, samples=samples)


def search(device: Device, *, room: Room = ROOM, budget: float = 900.0, request: Workload = REQUEST) -> Found:
    found = Search(device.trial, request, clock=device.clock, budget=budget)
    return found.run(DEFAULTS, axes(DEFAULTS, room, request))


def big_and_little(flags: RuntimeFlags) -> tuple[float, float]:
    """Four big cores: more threads than that wait for little ones when writing, and help when reading."""
    decode = 20.0 * min(flags.threads, 4) / 4 / (1.0 if flags.threads <= 4 else 2.0)
    batch = flags.threads_batch or flags.threads
    prefill = 200.0 * (0.6 + 0.05 * batch)
    if flags.cpus == (4, 5, 6, 7):
        decode *= 1.2
        prefill *= 1.0 if batch <= 4 else 0.7
    return prefill, decode


def test_each_phase_gets_its_own_threads() -> None:
    found = search(Device(speed=big_and_little, noise=0.02))
    assert (found.flags.threads, found.flags.threads_batch) == (4, 8)
    assert found.final.ratio(Phase.DECODE) > 1.8
    assert found.final.kept
    assert len(found.final.pairs) >= 5


def test_what_helps_one_phase_and_hurts_the_other_is_not_kept() -> None:
    found = search(Device(speed=big_and_little))
    assert found.flags.cpus is None
    assert not found.final.slower


@pytest.mark.parametrize("seed", range(20))
def test_noise_alone_never_makes_it_slower_than_the_promise(seed: int) -> None:
    """Every value is the same or a little worse: what is kept by luck may cost next to nothing."""

    def speed(flags: RuntimeFlags) -> tuple[float, float]:
        bent = (flags.poll != 50) + (flags.flash_attention is not FlashAttention.AUTO) + (not flags.repack)
        return 300.0 * 0.97**bent, 30.0 * 0.97**bent

    device = Device(speed=speed, noise=0.05, drift=1e-4, dice=Random(seed))
    found = search(device)
    assert speed(found.flags)[0] / 300.0 >= 0.98
    assert speed(found.flags)[1] / 30.0 >= 0.98


def test_a_flat_device_keeps_its_defaults_and_needs_no_last_comparison() -> None:
    found = search(Device(speed=lambda _: (300.0, 30.0)))
    assert found.flags == DEFAULTS
    assert not found.changed
    assert found.final.pairs == ()


def test_drift_is_not_taken_for_a_gain() -> None:
    found = search(Device(speed=lambda _: (300.0, 30.0), drift=5e-4), budget=300.0)
    assert found.flags == DEFAULTS


def test_it_ends_near_its_budget_and_says_what_it_left_out() -> None:
    device = Device(speed=big_and_little)
    found = search(device, budget=60.0)
    assert device.now <= 75.0
    assert found.left_out


def test_a_refused_value_is_noted_and_not_asked_again() -> None:
    device = Device(speed=lambda _: (300.0, 30.0))

    def trial(flags: RuntimeFlags, workload: Workload) -> tuple[Series, ...]:
        if flags.priority:
            raise TrialRefusedError("operation not permitted", hint="be root")
        return device.trial(flags, workload)

    room = replace(ROOM, priorities=(2,))
    found = Search(trial, REQUEST, clock=device.clock, budget=900.0).run(DEFAULTS, axes(DEFAULTS, room, REQUEST))
    assert found.refused == ("priority 2: operation not permitted",)
    assert found.flags == DEFAULTS


def quantized_cache_is_quick(flags: RuntimeFlags) -> tuple[float, float]:
    return 300.0, 45.0 if flags.cache_type is CacheType.Q8_0 else 30.0


def test_quality_is_traded_for_speed_only_where_it_is_allowed() -> None:
    assert search(Device(speed=quantized_cache_is_quick)).flags == DEFAULTS
    allowed = search(Device(speed=quantized_cache_is_quick), room=replace(ROOM, cache_types=(CacheType.Q8_0,))).flags
    assert (allowed.cache_type, allowed.flash_attention) == (CacheType.Q8_0, FlashAttention.ON)


def test_a_gain_that_the_last_comparison_does_not_see_is_given_up() -> None:
    """A device that is quick with new flags for a while only, as one that boosts its clock."""
    device = Device(speed=lambda _: (300.0, 30.0))

    def trial(flags: RuntimeFlags, workload: Workload) -> tuple[Series, ...]:
        early = device.now < 60 and flags.poll == 0
        device.speed = lambda _: (300.0, 40.0 if early else 30.0)
        return device.trial(flags, workload)

    found = Search(trial, REQUEST, clock=device.clock, budget=900.0).run(DEFAULTS, axes(DEFAULTS, ROOM, REQUEST))
    assert found.flags == DEFAULTS


def test_a_request_without_an_answer_leaves_decoding_alone() -> None:
    found = search(Device(speed=big_and_little), request=replace(REQUEST, generated_tokens=0))
    assert found.flags.threads == DEFAULTS.threads
    assert all(series.phase is Phase.PREFILL for look in found.looks for series in look.pairs[0].tried)


def test_the_floor_is_above_what_is_promised() -> None:
    assert FLOOR > 0.98
