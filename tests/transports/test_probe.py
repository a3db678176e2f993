"""A device probed, over every way there is; and nothing of it left there, whenever it ends.

The devices are this machine. Scripts stand for the programs in most tests: one that reads memory, one that benches.
"""

import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from edgepack.domain.errors import DeviceError, EdgepackError, ExitCode, NoSpaceError
from edgepack.domain.measurement import Measurement, Workload
from edgepack.domain.probed import Probed
from edgepack.domain.profile import BandwidthKind, Profile, Runtime
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.domain.settling import Patience
from edgepack.domain.weights import Weights
from edgepack.engines.llamacpp import identify
from edgepack.infra.kept import KeptFile
from edgepack.infra.library import load_profile
from edgepack.infra.machine import big_cpus, host_profile
from edgepack.stages.device_bench import bench_device
from edgepack.stages.probe import Measuring, probe
from tests.fakes.llama_bench import write_llama_bench
from tests.fakes.tiny_gguf import write_tiny_gguf
from tests.stages.test_probe_program import made
from tests.transports.labs import Lab, eventually

HASTY = Patience(quiet_seconds=0.0, look_seconds=1.0, attempts=1, cool_seconds=0.0)
READS = """#!/bin/sh
rounds=$2
shift 3
printf 'edgepack-bandwidth 1\\nthreads %s\\nbytes 1048576\\n' $#
while [ "$rounds" -gt 0 ]; do echo "gbs $(($# * 10)).500"; rounds=$((rounds - 1)); done
"""


class Tools:
    """What the command line composes of other stages, small."""

    def __init__(self, lab: Lab, place: Path, reads: str = READS) -> None:
        self.lab = lab
        self.place = place
        self.asked: list[str] = []
        self.benched: list[str] = []
        self._script = place / "bandwidth"
        self._script.write_text(reads, encoding="utf-8")
        write_llama_bench(place / "runtime")

    def program(self, runtime: Runtime) -> KeptFile:
        content = self._script.read_bytes()
        return KeptFile(path=self._script, sha256=sha256(content).hexdigest(), size=len(content))

    def weights(self, model: str, quant: Quant) -> Weights:
        self.asked.append(f"{model}:{quant}")
        path = write_tiny_gguf(self.place / f"{quant}.gguf")
        with path.open("ab") as file:
            file.write(quant.encode())  # Other weights have another digest.
        return replace(identify(path), quant=quant)

    def runtime(self, profile: Profile) -> Path:
        return self.place / "runtime"

    def bench(self, weights: Weights, workload: Workload, runtime: Path | None) -> Measurement:
        assert runtime
        self.benched.append(str(weights.quant))
        return bench_device(
            self.lab.device, weights, runtime=lambda _: runtime, threads=(1,), progress=Silent(), patience=HASTY,
            workload=Workload(prompt_tokens=16, generated_tokens=8, repeats=2, least_seconds=0),
        )  # fmt: skip

    def measuring(self, *quants: Quant) -> Measuring:
        return Measuring(
            program=self.program, model=None, quants=quants, weights=self.weights, runtime=self.runtime,
            bench=self.bench, patience=HASTY,
        )  # fmt: skip


def base_of(lab: Lab) -> Profile | None:
    """What is known of a device whose /proc speaks of another processor, as that of an emulated one does."""
    return load_profile("rpi5") if lab.name.endswith("aarch64") else None


def probed(lab: Lab, tools: Tools | None, *quants: Quant, base: Profile | None = None, quick: bool = True) -> Probed:
    return probe(
        lab.device, base=base or base_of(lab), measuring=tools.measuring(*quants) if tools else None, quick=quick,
        progress=Silent(),
    )  # fmt: skip


def test_a_device_is_described_and_measured_and_has_nothing_left(lab: Lab, tmp_path: Path) -> None:
    """Cores, bandwidth with one and with all of them, a row for each quantization; no file stays there."""
    tools = Tools(lab, tmp_path)
    found = probed(lab, tools, Quant.Q4_0, Quant.Q8_0)
    big = len(big_cpus())
    assert [reading.threads for reading in found.readings] == sorted({1, big})
    read_all = found.profile.memory.of(BandwidthKind.READ_ALL)
    assert read_all
    assert read_all.gbs == 10 * big + 0.5
    assert [(row.quant, row.prompt_tokens, row.threads) for row in found.profile.calibrations] == [
        ("Q4_0", 16, 1), ("Q8_0", 16, 1),
    ]  # fmt: skip
    assert found.profile.calibrations[0].decode == pytest.approx(1000, rel=0.01)
    assert (found.seen.way, found.seen.free > 0) == (lab.name.partition("-")[0], True)
    assert lab.files == []
    if not lab.name.endswith("aarch64"):
        assert (found.profile.clusters, found.profile.isa) == (host_profile().clusters, host_profile().isa)


def test_a_device_may_be_described_without_running_anything(lab: Lab) -> None:
    found = probed(lab, None)
    assert (found.readings, found.calibrated, found.profile.calibrations) == ((), (), ())
    assert lab.files == []


@pytest.mark.parametrize("lab", ["local"], indirect=True)
def test_the_whole_sweep_goes_in_turns(lab: Lab, tmp_path: Path) -> None:
    """Three turns of eight rounds with every number of cores: a speed that comes and goes is in all of them."""
    found = probed(lab, Tools(lab, tmp_path), Quant.Q4_0, quick=False)
    assert {len(reading.rounds) for reading in found.readings} == {24}


@pytest.mark.parametrize("lab", ["local"], indirect=True)
def test_what_lay_there_before_stays(lab: Lab, tmp_path: Path) -> None:
    """A runtime that an earlier bench has brought is not the probe's to remove."""
    tools = Tools(lab, tmp_path)
    tools.bench(tools.weights("m", Quant.Q4_0), Workload(), tmp_path / "runtime")
    before = lab.files
    assert len(before) == 2
    probed(lab, tools, Quant.Q4_0)
    assert lab.files == before


@pytest.mark.parametrize("lab", ["local"], indirect=True)
def test_weights_without_room_are_left_out_and_the_rest_goes_on(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = Tools(lab, tmp_path)
    bench = tools.bench

    def full(weights: Weights, workload: Workload, runtime: Path | None) -> Measurement:
        if weights.quant is Quant.Q8_0:
            raise NoSpaceError("local: 1 MB of memory are free", hint="take a smaller quantization")
        return bench(weights, workload, runtime)

    monkeypatch.setattr(tools, "bench", full)
    found = probed(lab, tools, Quant.Q8_0, Quant.Q4_0)
    assert [row.quant for row in found.profile.calibrations] == ["Q4_0"]


@pytest.mark.parametrize("lab", ["local"], indirect=True)
@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("#!/bin/sh\necho 'bandwidth: a thread may not run on its CPU' >&2; exit 1\n", "may not run on its CPU"),
        ("#!/bin/sh\nkill -4 $$\n", "does not run there: "),
        ("#!/bin/sh\necho hello\n", "the bandwidth program printed 'hello"),
    ],
)
def test_a_program_that_does_not_run_is_told_and_removed(lab: Lab, tmp_path: Path, script: str, words: str) -> None:
    with pytest.raises(DeviceError, match=words):
        probed(lab, Tools(lab, tmp_path, reads=script), Quant.Q4_0)
    assert lab.files == []


@pytest.mark.parametrize("lab", ["local"], indirect=True)
def test_a_base_of_another_processor_is_refused(lab: Lab) -> None:
    other = "rpi5" if host_profile().runtime.abi == "x86_64" else "n100"
    with pytest.raises(DeviceError, match=r"local runs \S+-linux-musl, ") as caught:
        probed(lab, None, base=load_profile(other))
    assert "--base" in caught.value.hint


@pytest.mark.parametrize("lab", [pytest.param("ssh-aarch64", marks=pytest.mark.slow)], indirect=True)
def test_an_emulated_device_needs_a_base(lab: Lab) -> None:
    with pytest.raises(DeviceError, match="does not say what processor it has"):
        probe(lab.device, base=None, measuring=None, quick=True, progress=Silent())


@pytest.mark.parametrize("lab", ["local", "ssh-busybox", "adb"], indirect=True)
@pytest.mark.slow
def test_an_interrupt_at_any_moment_leaves_nothing_there(lab: Lab, tmp_path: Path) -> None:
    """No file, whole or in part, and no process: the fixture looks for those."""
    tools = Tools(lab, tmp_path)
    begin = time.monotonic()
    probed(lab, tools, Quant.Q4_0)
    whole = time.monotonic() - begin
    moments = random.Random(6)
    endings = []
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for _ in range(15):
            signal.setitimer(signal.ITIMER_REAL, moments.uniform(0.01, whole))
            endings.append(ending(lab, tools))
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert eventually(lambda: lab.files == []), lab.files
    finally:
        signal.signal(signal.SIGALRM, before)
    assert ExitCode.INTERRUPTED in endings


@pytest.mark.parametrize("lab", ["ssh-busybox", "adb"], indirect=True)
@pytest.mark.slow
def test_a_cut_at_any_moment_is_a_device_error(lab: Lab, tmp_path: Path) -> None:
    """No process stays (the fixture looks); what a lost device keeps, a later push of the same takes over."""
    tools = Tools(lab, tmp_path)
    begin = time.monotonic()
    probed(lab, tools, Quant.Q4_0)
    whole = time.monotonic() - begin
    moments = random.Random(5)
    endings = []
    for _ in range(12):
        cutter = threading.Timer(moments.uniform(0, whole), lab.cut)
        cutter.start()
        endings.append(ending(lab, tools))
        cutter.join()
    assert set(endings) <= {ExitCode.DEVICE, ExitCode.DONE}
    assert ExitCode.DEVICE in endings


def ending(lab: Lab, tools: Tools) -> ExitCode:
    try:
        probed(lab, tools, Quant.Q4_0)
    except EdgepackError as error:
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return ExitCode.DONE


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Runtime], KeptFile]:
    """The real program for a target, compiled once for all tests here."""
    store = tmp_path_factory.mktemp("store")

    def program(runtime: Runtime) -> KeptFile:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("EDGEPACK_HOME", str(store))
            return made(runtime.target)

    return program


@pytest.mark.parametrize("lab", ["local", "ssh-busybox", "ssh-aarch64", "adb-aarch64"], indirect=True)
@pytest.mark.slow
def test_the_real_program_reads_there(
    lab: Lab, tmp_path: Path, programs: Callable[[Runtime], KeptFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiled for the device's processor; what it reads under an emulator says nothing, but it reads."""
    tools = Tools(lab, tmp_path)
    monkeypatch.setattr(tools, "program", programs)
    found = probed(lab, tools, Quant.Q4_0)
    assert [len(reading.rounds) for reading in found.readings] == [5] * len(found.readings)
    assert all(reading.busy is not None for reading in found.readings)
    assert lab.files == []
