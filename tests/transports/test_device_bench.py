"""llama-bench on devices, over every way there is; with a real runtime where one is named."""

import os
import random
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from edgepack.domain.device import LocalDevice
from edgepack.domain.errors import BadInputError, DeviceError, EdgepackError, ExitCode, NoSpaceError
from edgepack.domain.measurement import Measurement, Phase, Workload
from edgepack.domain.measurement_json import measurement_json, parse_measurement
from edgepack.domain.profile import Isa
from edgepack.domain.progress import Silent
from edgepack.domain.settling import Patience
from edgepack.domain.weights import Weights
from edgepack.engines.llamacpp import identify
from edgepack.infra.machine import host_profile
from edgepack.stages.device_bench import bench_device, prepared
from tests.fakes.tiny_gguf import write_tiny_gguf
from tests.transports.labs import Lab

HASTY = Patience(quiet_seconds=0.0, look_seconds=1.0, attempts=1, cool_seconds=0.0)
WORKLOAD = Workload(prompt_tokens=16, generated_tokens=8, repeats=2, least_seconds=0)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    return identify(write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf"))


@pytest.fixture
def runtime(lab: Lab) -> Path:
    """A directory with a llama.cpp for the lab's processor."""
    name = "EDGEPACK_TEST_RUNTIME" + ("_AARCH64" if lab.name.endswith("aarch64") else "")
    if not os.environ.get(name):
        pytest.skip(f"{name} names no runtime")
    return Path(os.environ[name])


def measured(lab: Lab, weights: Weights, runtime: Path, **more: float) -> Measurement:
    return bench_device(
        lab.device, weights, runtime=lambda _: runtime, workload=WORKLOAD, threads=(1,), progress=Silent(),
        patience=HASTY, expected=host_profile(), sustained=more.get("sustained", 0.0),
    )  # fmt: skip


def test_both_phases_are_measured_there(lab: Lab, weights: Weights, runtime: Path) -> None:
    """Every sample is in the record, with the device's kind and not its name; the next run pushes nothing."""
    found = measured(lab, weights, runtime, sustained=0.001)
    assert [(series.name, len(series.samples)) for series in found.series] == [("pp16", 2), ("tg8", 2)]
    assert found.device == lab.name.partition("-")[0]
    assert found.runtime.name == "llama-bench"
    assert found.sustained
    assert found.sustained.ratio > 0
    record = measurement_json(found)
    assert parse_measurement(record) == found
    assert "board" not in str(record)
    pushed = lab.files
    assert len(pushed) == 2
    measured(lab, weights, runtime)
    assert lab.files == pushed


def ending(lab: Lab, weights: Weights, runtime: Path) -> ExitCode:
    try:
        measured(lab, weights, runtime)
    except EdgepackError as error:
        return error.exit_code
    return ExitCode.DONE


@pytest.mark.parametrize("lab", ["ssh-busybox", "adb", "ssh-aarch64"], indirect=True)
@pytest.mark.slow
def test_a_cut_at_any_moment_leaves_nothing_running(lab: Lab, weights: Weights, runtime: Path) -> None:
    """Lost while it ran ends in exit code 6; the fixture sees to it that no process is left."""
    begin = time.monotonic()
    measured(lab, weights, runtime)
    whole = time.monotonic() - begin
    moments = random.Random(4)
    endings = []
    for _ in range(20):
        cutter = threading.Timer(moments.uniform(0, whole), lab.cut)
        cutter.start()
        endings.append(ending(lab, weights, runtime))
        cutter.join()
    assert ExitCode.DEVICE in endings
    assert set(endings) <= {ExitCode.DEVICE, ExitCode.DONE}


class Fake:
    """A runtime whose llama-bench is a shell script."""

    def __init__(self, place: Path, script: str) -> None:
        self.place = place
        (place / "llama-bench").write_text(f"#!/bin/sh\n{script}\n")
        (place / "llama-bench").chmod(0o755)


@pytest.mark.parametrize("lab", ["local"], indirect=True)
@pytest.mark.parametrize(
    ("script", "kind", "words"),
    [
        ("kill -9 $$", NoSpaceError, "was killed, most likely for want of memory"),
        ("kill -4 $$", DeviceError, "the runtime's instructions are not this CPU's"),
        ("echo hello", DeviceError, "no result"),
        ("echo '{'", DeviceError, "no JSON"),
        ("echo 'error: no such model' >&2; echo more >&2; exit 3", DeviceError, "ended with 3: error: no such model"),
    ],
)
def test_how_it_fails_is_told(
    lab: Lab, weights: Weights, tmp_path: Path, script: str, kind: type[EdgepackError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        measured(lab, weights, Fake(tmp_path, script).place)


@pytest.mark.parametrize("lab", ["local"], indirect=True)
def test_another_machines_program_is_refused_before_it_runs(lab: Lab, weights: Weights, tmp_path: Path) -> None:
    program = tmp_path / "llama"
    program.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(11) + (243 if host_profile().runtime.abi != "riscv64" else 62)
                        .to_bytes(2, "little"))  # fmt: skip
    with pytest.raises(DeviceError, match=r"llama is for (riscv64|x86_64)"):
        measured(lab, weights, tmp_path)
    assert len(lab.files) == 0


@pytest.mark.parametrize("lab", ["local"], indirect=True)
def test_a_directory_without_the_program_is_refused(lab: Lab, weights: Weights, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="neither llama nor llama-bench"):
        measured(lab, weights, tmp_path)


@pytest.mark.parametrize("lab", ["local"], indirect=True)
def test_a_device_without_what_the_profile_promises_is_refused(lab: Lab, weights: Weights, tmp_path: Path) -> None:
    """Before anything is pushed: a runtime for the profile would die there."""
    promised = replace(host_profile(), isa=host_profile().isa | {Isa.RVV, Isa.SME})
    with pytest.raises(DeviceError, match=r"has no .*rvv.* which host promises"):
        bench_device(
            LocalDevice(), weights, runtime=lambda _: tmp_path, workload=WORKLOAD, threads=(1,), progress=Silent(),
            patience=HASTY, expected=promised,
        )  # fmt: skip
    assert lab.files == []


@pytest.mark.parametrize("lab", ["local"], indirect=True)
def test_a_model_without_room_is_refused_before_it_is_pushed(lab: Lab, weights: Weights, tmp_path: Path) -> None:
    place = Fake(tmp_path, "true").place
    with (
        pytest.raises(NoSpaceError, match="of memory are free, the model needs"),
        prepared(lab.device, weights, runtime=lambda _: place, need=1 << 50, progress=Silent()),
    ):
        pass
    assert lab.files == []


@pytest.mark.parametrize("lab", ["local"], indirect=True)
def test_too_few_seconds_are_asked_for_again(lab: Lab, weights: Weights, runtime: Path) -> None:
    """A phase goes on until its samples last as long as is wanted, all of them in one series."""
    workload = Workload(prompt_tokens=0, generated_tokens=8, repeats=2, least_seconds=60, most_repeats=6)
    found = bench_device(
        lab.device,
        weights,
        runtime=lambda _: runtime,
        workload=workload,
        threads=(1,),
        progress=Silent(),
        patience=HASTY,
    )
    (decode,) = found.series
    assert (decode.phase, len(decode.samples)) == (Phase.DECODE, 6)
