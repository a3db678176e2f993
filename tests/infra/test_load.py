"""Load, heat and throttling, read from trees that stand for other machines, and from this one."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from edgepack.infra.load import (
    Heat,
    LoadMeter,
    busiest,
    governor,
    heat,
    keep_affinity,
    peak_memory,
    reset_peak_memory,
    system_name,
    throttled,
    with_siblings,
)

TICK = os.sysconf("SC_CLK_TCK")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads this machine's /proc")


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def put_stat(root: Path, *busy_seconds: float) -> None:
    """A /proc/stat where CPU i computed busy_seconds[i] (user 3/4, stolen 1/4) and idled for an hour."""
    lines = ["cpu  9 9 9 9 9 9 9 9 9 9"]
    for cpu, seconds in enumerate(busy_seconds):
        ticks = round(seconds * TICK)
        stolen = ticks // 4
        lines.append(f"cpu{cpu} {ticks - stolen} 0 0 {3600 * TICK} {60 * TICK} 0 0 {stolen} {ticks} 0")
    put(root, "proc/stat", "\n".join([*lines, "intr 1 2 3", "ctxt 5"]))


class Hands:
    """Clocks that a test turns."""

    def __init__(self) -> None:
        self.clock = 100.0
        self.own = 7.0


def meter(root: Path, hands: Hands, cpus: tuple[int, ...] | None) -> LoadMeter:
    return LoadMeter(cpus, root=root, own=lambda: hands.own, clock=lambda: hands.clock)


def test_others_are_what_the_cpus_did_less_our_own(tmp_path: Path) -> None:
    """2 s on CPU 0 and 4 s on CPU 1 within 4 s, 3 s of them ours, are 0.75 cores of others; idling is none."""
    hands = Hands()
    put_stat(tmp_path, 10, 20, 5)
    watching = meter(tmp_path, hands, (0, 1))
    put_stat(tmp_path, 12, 24, 9)
    hands.clock += 4
    hands.own += 3
    assert watching.lap() == pytest.approx(0.75, abs=0.01)


def test_each_lap_begins_where_the_last_ended(tmp_path: Path) -> None:
    """A second lap in which nothing ran is quiet."""
    hands = Hands()
    put_stat(tmp_path, 0)
    watching = meter(tmp_path, hands, None)
    put_stat(tmp_path, 1)
    hands.clock += 1
    assert watching.lap() == pytest.approx(1.0, abs=0.02)
    hands.clock += 1
    assert watching.lap() == 0.0


def test_load_is_never_negative(tmp_path: Path) -> None:
    """Our own time is counted finer than the kernel's ticks: what is left below zero is nothing."""
    hands = Hands()
    put_stat(tmp_path, 1)
    watching = meter(tmp_path, hands, None)
    hands.clock += 1
    hands.own += 0.9
    assert watching.lap() == 0.0


def test_without_proc_nobody_knows(tmp_path: Path) -> None:
    """A platform without /proc/stat has an unknown load, not a quiet one."""
    hands = Hands()
    watching = meter(tmp_path, hands, None)
    hands.clock += 1
    assert watching.lap() is None
    assert busiest(0.0001, root=tmp_path) == ()


@linux_only
def test_this_process_is_not_among_the_others() -> None:
    """What we compute ourselves, in any thread, is taken off what the CPUs did."""
    all_work, of_others = LoadMeter(None, own=lambda: 0.0), LoadMeter(None)
    began, before = time.monotonic(), time.process_time()
    thread = threading.Thread(target=lambda: [sum(range(1000)) for _ in range(20_000)])
    thread.start()
    thread.join()
    own = (time.process_time() - before) / (time.monotonic() - began)
    total, others = all_work.lap(), of_others.lap()
    assert total is not None
    assert own > 0
    assert others == pytest.approx(max(0.0, total - own), abs=0.1)


def test_the_busiest_programs_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names with blanks and parentheses are read whole; the busiest comes first, idle ones and ourselves not."""

    def put_program(pid: int, name: str, ticks: int) -> None:
        put(tmp_path, f"proc/{pid}/stat", f"{pid} ({name}) S 1 {' '.join(['0'] * 9)} {ticks} {ticks} 0 0 20 0 1 0")

    programs = {11: "cc1plus", 12: "a (b) c", 13: "idle", os.getpid(): "edgepack"}
    for pid, name in programs.items():
        put_program(pid, name, 100)

    def later(_seconds: float) -> None:
        put_program(11, "cc1plus", 100 + TICK // 4)
        put_program(12, "a (b) c", 100 + TICK // 2)
        put_program(os.getpid(), "edgepack", 100 + TICK)
        put_program(14, "newborn", 5 * TICK)

    monkeypatch.setattr(time, "sleep", later)
    found = busiest(2.0, root=tmp_path)
    assert [(program.name, round(program.cores, 2)) for program in found] == [("a (b) c", 0.5), ("cc1plus", 0.25)]


def test_heat_of_a_board(tmp_path: Path) -> None:
    """The processor's zone counts, not the battery's; the slowest CPU's clock stands beside its own limit."""
    put(tmp_path, "sys/class/thermal/thermal_zone0/type", "battery")
    put(tmp_path, "sys/class/thermal/thermal_zone0/temp", "91000")
    put(tmp_path, "sys/class/thermal/thermal_zone1/type", "cpu-thermal")
    put(tmp_path, "sys/class/thermal/thermal_zone1/temp", "61250")
    for cpu, current in enumerate((2400000, 1500000)):
        put(tmp_path, f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq", str(current))
        put(tmp_path, f"sys/devices/system/cpu/cpu{cpu}/cpufreq/cpuinfo_max_freq", "2400000")
    found = heat((0, 1), root=tmp_path)
    assert found == Heat(celsius=61.25, mhz=1500.0, mhz_limit=2400.0, held_down=None, throttle_count=None)


def test_heat_of_a_desktop(tmp_path: Path) -> None:
    """Where no zone speaks of the processor, its hwmon sensor does; x86 counts how often it throttled."""
    put(tmp_path, "sys/class/thermal/thermal_zone0/type", "acpitz")
    put(tmp_path, "sys/class/thermal/thermal_zone0/temp", "16800")
    put(tmp_path, "sys/class/hwmon/hwmon0/name", "k10temp")
    put(tmp_path, "sys/class/hwmon/hwmon0/temp1_input", "48500")
    put(tmp_path, "sys/class/hwmon/hwmon1/name", "nvme")
    put(tmp_path, "sys/class/hwmon/hwmon1/temp1_input", "99000")
    put(tmp_path, "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "3")
    put(tmp_path, "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count", "4")
    found = heat((0, 1), root=tmp_path)
    assert (found.celsius, found.throttle_count) == (48.5, 7)


def test_a_machine_that_says_nothing_has_no_heat(tmp_path: Path) -> None:
    """Every figure is None, and so is whether it throttled."""
    silent = heat((0,), root=tmp_path)
    assert silent == Heat(celsius=None, mhz=None, mhz_limit=None, held_down=None, throttle_count=None)
    assert throttled(silent, silent) is None
    assert governor((0,), root=tmp_path) is None


@pytest.mark.parametrize(("state", "held"), [("0", False), ("2", True)])
def test_a_cooling_device_of_the_processor_holds_clocks_down(tmp_path: Path, state: str, held: bool) -> None:
    """A fan at work is no throttling; a processor's cooling state above zero is."""
    put(tmp_path, "sys/class/thermal/cooling_device0/type", "pwm-fan")
    put(tmp_path, "sys/class/thermal/cooling_device0/cur_state", "3")
    put(tmp_path, "sys/class/thermal/cooling_device1/type", "cpufreq-cpu0")
    put(tmp_path, "sys/class/thermal/cooling_device1/cur_state", state)
    assert heat((0,), root=tmp_path).held_down is held


@pytest.mark.parametrize(("word", "held"), [("50000", False), ("50005", True), ("0", False)])
def test_the_raspberry_pi_says_whether_it_throttles_now(tmp_path: Path, word: str, held: bool) -> None:
    """The low bits hold now; the high ones only say that it happened since the start."""
    put(tmp_path, "sys/devices/platform/soc/soc:firmware/get_throttled", word)
    assert heat((0,), root=tmp_path).held_down is held


def test_throttling_between_two_looks_is_seen() -> None:
    """A counter that grew says yes, one that stood still no."""
    before = Heat(celsius=None, mhz=None, mhz_limit=None, held_down=False, throttle_count=3)
    after = Heat(celsius=None, mhz=None, mhz_limit=None, held_down=False, throttle_count=4)
    assert throttled(before, after) is True
    assert throttled(before, before) is False


def test_governors_and_siblings(tmp_path: Path) -> None:
    """Each governor is named once; a hyperthread's sibling belongs to its core."""
    for cpu, name in enumerate(("powersave", "performance", "powersave")):
        put(tmp_path, f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor", name)
    put(tmp_path, "sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0,4")
    assert governor((0, 1, 2), root=tmp_path) == "performance, powersave"
    assert with_siblings((0, 1), root=tmp_path) == (0, 1, 4)


@linux_only
def test_the_peak_of_memory_begins_anew() -> None:
    """After a reset, 64 MiB that were given back are forgotten, and 64 MiB that are used are seen."""
    block = bytearray(64 << 20)
    high = peak_memory()
    del block
    reset_peak_memory()
    low = peak_memory()
    assert low < high - (32 << 20)
    block = bytearray(b"x" * (64 << 20))
    assert peak_memory() > low + (48 << 20)
    del block


def test_peak_memory_without_proc_is_the_kernels_own_count(tmp_path: Path) -> None:
    """Where /proc does not tell, getrusage does, in bytes."""
    assert peak_memory(tmp_path) > 5 << 20


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no CPU affinity on this platform")
def test_affinity_is_put_back_after_an_error() -> None:
    """Even when the work inside fails."""
    before = os.sched_getaffinity(0)

    def fail() -> None:
        with keep_affinity():
            os.sched_setaffinity(0, {min(before)})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert os.sched_getaffinity(0) == before


def test_the_system_has_a_name() -> None:
    """Kernel, release and instruction set: three words."""
    assert len(system_name().split()) >= 3
