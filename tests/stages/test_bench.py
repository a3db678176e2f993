"""Measuring on a machine that is quiet, busy, or becomes so: what is waited for, repeated, kept and said."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgepack.domain.errors import BadInputError, DeviceError, ExitCode
from edgepack.domain.measurement import BUSY_LIMIT, Phase, Workload
from edgepack.domain.progress import Bar
from edgepack.domain.weights import Weights
from edgepack.engines.llamacpp import identify
from edgepack.stages.bench import Patience, bench
from tests.fakes.tiny_gguf import write_tiny_gguf

TICK = os.sysconf("SC_CLK_TCK")
HASTY = Patience(quiet_seconds=0.0, look_seconds=0.02, attempts=2)
# One sample has no spread: whether such a series is stable depends on the machine's tree alone.
DECODE = Workload(prompt_tokens=0, generated_tokens=400, repeats=1, least_seconds=0.0)
BOTH = Workload(prompt_tokens=8, generated_tokens=2, repeats=2, least_seconds=0.0)

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs /proc and CPU affinity")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    return identify(write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf"))


class Machine:
    """A tree that stands for a machine with this process's CPUs; it also hears what the stage says.

    Its other programs compute as long as `noisy` is set, or while a bar in `noisy_bars` (from 0) is open;
    with `restless` they never stop once they have begun.
    """

    def __init__(self, root: Path, *, noisy_bars: tuple[int, ...] = (), restless: bool = False) -> None:
        self.root = root
        self.cpus = tuple(sorted(os.sched_getaffinity(0)))
        self.said: list[str] = []
        self.warned: list[str] = []
        self.bars: list[str] = []
        self.samples = 0
        self.noisy = threading.Event()
        self._noisy_bars = noisy_bars
        self._restless = restless
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._ticks = 0
        processors = [f"processor\t: {cpu}\nmodel name\t: A CPU\nflags\t\t: avx2\n" for cpu in self.cpus]
        self._put("proc/cpuinfo", "\n".join(processors))
        self._put("proc/meminfo", "MemTotal: 9000000 kB\nMemAvailable: 5000000 kB")
        for cpu in self.cpus:
            self._put(f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor", "performance")
        self._compute(0)

    def __enter__(self) -> "Machine":
        self._thread = threading.Thread(target=self._others)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._done.set()
        self._thread.join()

    def _others(self) -> None:
        while not self._done.wait(0.001):
            with self._lock:
                if self.noisy.is_set():
                    self._compute(100 * TICK)

    def _quieten(self) -> None:
        with self._lock:
            if not self._restless:
                self.noisy.clear()

    def _compute(self, ticks: int) -> None:
        self._ticks += ticks
        self._put("proc/stat.new", "\n".join(f"cpu{cpu} {self._ticks} 0 0 0 0 0 0 0 0 0" for cpu in self.cpus))
        (self.root / "proc/stat.new").replace(self.root / "proc/stat")

    def _put(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")

    def step(self, text: str) -> None:
        self.said.append(text)
        if text.startswith("wait up to"):
            self._quieten()

    def warn(self, text: str) -> None:
        self.warned.append(text)

    @contextmanager
    def bar(self, label: str, total: int | None, unit: str) -> Iterator[Bar]:
        if len(self.bars) in self._noisy_bars:
            self.noisy.set()
        self.bars.append(label)
        yield self
        self._quieten()

    def advance(self, amount: int) -> None:
        self.samples += amount


def test_a_quiet_machine_is_measured_once(weights: Weights, tmp_path: Path) -> None:
    """One attempt, no complaint, pinned to the big cores, with what was measured, when, and on what."""
    with Machine(tmp_path) as machine:
        found = bench(weights, workload=DECODE, threads=(1,), progress=machine, patience=HASTY, root=tmp_path)
    assert found.stable
    assert (machine.warned, found.rejected, found.sweep) == ([], (), ())
    assert found.threads == 1
    assert found.cpus == machine.cpus
    assert found.weights.sha256 == weights.sha256
    assert found.weights.quant == "F16"
    assert found.conditions.governor == "performance"
    assert found.conditions.busy_before == 0.0
    assert found.conditions.memory_free_before == 5_000_000 * 1024
    assert "A CPU" in found.conditions.machine


def test_every_sample_is_kept(weights: Weights, tmp_path: Path) -> None:
    """What the bars heard of is in the record: sweep, rejected and kept series together."""
    with Machine(tmp_path) as machine:
        found = bench(weights, workload=BOTH, threads=None, progress=machine, patience=HASTY, root=tmp_path)
    kept = sum(len(series.samples) for series in (*found.sweep, *found.rejected, *found.series))
    assert kept == machine.samples
    assert [series.phase for series in found.series] == [Phase.PREFILL, Phase.DECODE]


def test_threads_are_swept_and_the_best_is_one_of_them(weights: Weights, tmp_path: Path) -> None:
    """Each number from one to all big cores gets a quick look at each phase."""
    with Machine(tmp_path) as machine:
        found = bench(weights, workload=BOTH, threads=None, progress=machine, patience=HASTY, root=tmp_path)
    tried = {series.threads for series in found.sweep}
    if len(machine.cpus) == 1:
        assert tried == set()
    else:
        assert {1, 2} <= tried <= set(range(1, len(machine.cpus) + 1))
        assert found.threads in tried
        assert len(found.sweep) == 2 * len(tried)
    assert {series.threads for series in found.series} == {found.threads}


def test_more_threads_than_cores_are_not_pinned(weights: Weights, tmp_path: Path) -> None:
    """Threads that would wait for each other on the big cores are left to the scheduler."""
    with Machine(tmp_path) as machine:
        many = len(machine.cpus) + 1
        workload = Workload(prompt_tokens=1, generated_tokens=0, repeats=1, least_seconds=0, warm_up=False)
        found = bench(weights, workload=workload, threads=(many,), progress=machine, patience=HASTY, root=tmp_path)
    assert found.cpus is None
    assert found.threads == many


def test_a_series_that_others_disturbed_is_measured_again(weights: Weights, tmp_path: Path) -> None:
    """The disturbed series stays in the record, set aside; the quiet one counts."""
    with Machine(tmp_path, noisy_bars=(0,)) as machine:
        found = bench(weights, workload=DECODE, threads=(1,), progress=machine, patience=HASTY, root=tmp_path)
    assert found.stable
    (disturbed,) = found.rejected
    assert (disturbed.busy or 0) > BUSY_LIMIT
    assert found.series[0].busy == 0.0
    assert any(text.startswith("measure again: tg400: other programs used") for text in machine.said)


def test_attempts_are_bounded_and_the_record_says_unstable(weights: Weights, tmp_path: Path) -> None:
    """A machine that disturbs every attempt gets an honest record, and a warning."""
    with Machine(tmp_path, noisy_bars=(0, 1, 2, 3)) as machine:
        found = bench(weights, workload=DECODE, threads=(1,), progress=machine, patience=HASTY, root=tmp_path)
    assert not found.stable
    assert len(machine.bars) == HASTY.attempts
    assert len(found.rejected) == HASTY.attempts - 1
    assert found.unstable_because[0].startswith("tg400: other programs used")
    assert machine.warned == [f"not stable: {reason}" for reason in found.unstable_because]


def test_a_machine_that_stays_busy_is_not_tried_again(weights: Weights, tmp_path: Path) -> None:
    """After waiting in vain, another attempt would only see the same: one is enough."""
    patience = Patience(quiet_seconds=0.0, look_seconds=0.05, attempts=5)
    with Machine(tmp_path, noisy_bars=(0,), restless=True) as machine:
        found = bench(weights, workload=DECODE, threads=(1,), progress=machine, patience=patience, root=tmp_path)
    assert not found.stable
    assert len(machine.bars) == 1


def test_strict_refuses_an_unstable_measurement(weights: Weights, tmp_path: Path) -> None:
    """It ends in DeviceError, exit code 6, with the reason."""
    with Machine(tmp_path, noisy_bars=(0, 1, 2)) as machine, pytest.raises(DeviceError) as refused:
        bench(
            weights, workload=DECODE, threads=(1,), progress=machine, patience=HASTY, strict=True, root=tmp_path
        )  # fmt: skip
    assert refused.value.exit_code is ExitCode.DEVICE
    assert "tg400: other programs used" in refused.value.what


def test_it_waits_for_a_quiet_machine(weights: Weights, tmp_path: Path) -> None:
    """Busy at first, quiet soon after: it says that it waits, and goes on when it is quiet."""
    patience = Patience(quiet_seconds=60.0, look_seconds=0.05, attempts=1)
    with Machine(tmp_path) as machine:
        machine.noisy.set()
        found = bench(weights, workload=DECODE, threads=(1,), progress=machine, patience=patience, root=tmp_path)
    assert machine.said[0].startswith("wait up to 60 s for a quiet machine: other programs use")
    assert machine.warned == []
    assert found.conditions.busy_before == 0.0


def test_its_patience_ends(weights: Weights, tmp_path: Path) -> None:
    """A machine that stays busy is measured all the same, after saying so, and the record tells how busy it was."""
    with Machine(tmp_path) as machine:
        machine.noisy.set()
        found = bench(weights, workload=DECODE, threads=(1,), progress=machine, patience=HASTY, root=tmp_path)
    assert "going on all the same" in machine.warned[0]
    assert (found.conditions.busy_before or 0) > BUSY_LIMIT


def test_what_cannot_be_loaded_is_refused(weights: Weights, tmp_path: Path) -> None:
    """A file that changed since it was identified ends in an error that names it."""
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(weights.path.read_bytes()[:5000])
    gone = Weights(
        path=broken, sha256="", size=5000, name="broken", architecture="llama", quant=None, parameters=1,
        context_length=1,
    )  # fmt: skip
    with Machine(tmp_path) as machine, pytest.raises(BadInputError, match=r"broken\.gguf: llama\.cpp cannot load it"):
        bench(gone, workload=DECODE, threads=(1,), progress=machine, patience=HASTY, root=tmp_path)
