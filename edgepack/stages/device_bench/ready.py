"""A device made ready for llama-bench: reached, compared with what is expected, given program and model."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from edgepack.domain.device import Device
from edgepack.domain.device_check import differences, missing_isa
from edgepack.domain.errors import DeviceError, NoSpaceError
from edgepack.domain.measurement import Workload
from edgepack.domain.memory import Need, memory_plan
from edgepack.domain.profile import Profile
from edgepack.domain.progress import Progress
from edgepack.domain.repacking import NOTHING, Loading, loaded
from edgepack.domain.settling import Patience
from edgepack.domain.weights import Weights
from edgepack.infra.load import Heat, governor, heat, with_siblings
from edgepack.infra.machine import big_cpus, memory_available
from edgepack.stages.device_bench.program import BenchProgram, push_program
from edgepack.transports.facts import DeviceFacts, gather, profile_of
from edgepack.transports.opening import open_transport
from edgepack.transports.protocol import Transport

USUAL_PATIENCE = Patience()

RuntimeFor: TypeAlias = Callable[[Profile | None], Path]
"""Gives the directory of a runtime for a device, which is told where its own /proc says what it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceBench:
    """A device made ready: program and model lie there, and what it was like before."""

    transport: Transport
    facts: DeviceFacts
    profile: Profile | None
    """By its own /proc; None where that speaks of another processor, as in an emulated userland."""
    program: BenchProgram
    big: tuple[int, ...]
    start: Heat
    free: int
    patience: Patience
    progress: Progress


@contextmanager
def prepared(
    device: Device,
    weights: Weights,
    *,
    runtime: RuntimeFor | Path,
    need: int,
    progress: Progress,
    expected: Profile | None = None,
    patience: Patience | None = None,
) -> Iterator[DeviceBench]:
    """Reach the device, compare it with what is expected, see that `need` bytes are free, bring it all there.

    Raises DeviceError where the runtime cannot run on it, NoSpaceError where the model has no room.
    """
    with open_transport(device, progress=progress) as transport, tempfile.TemporaryDirectory() as place:
        facts = gather(transport, Path(place) / "device")
        found = profile_of(facts)
        if expected:
            _compare(expected, found, facts, transport, progress)
        free = memory_available(facts.root)
        _refuse_without_memory(transport, need, free)
        programs = runtime if isinstance(runtime, Path) else runtime(found)
        command = push_program(transport, programs, machine=facts.machine)
        progress.step(f"push {weights.name}")
        model = transport.push(weights.path, sha256=weights.sha256)
        big = big_cpus(facts.root, allowed=facts.cpus)
        yield DeviceBench(
            transport=transport, facts=facts, profile=found, big=big, free=free, start=heat(big, root=facts.root),
            program=BenchProgram(
                transport=transport, command=command, model=model, watched=with_siblings(big, root=facts.root)
            ),
            patience=patience or USUAL_PATIENCE, progress=progress,
        )  # fmt: skip


def memory_need(weights: Weights, workload: Workload) -> int:
    """Bytes that llama-bench will take for its largest test, predicted."""
    from edgepack.convert.gguf_head import read_head
    from edgepack.engines.llamacpp import describe
    from edgepack.engines.llamacpp_buffers import reserved

    context = max(workload.prompt_tokens, workload.generated_tokens)
    # It reserves for logits of every token, and touches those of one.
    need = Need(
        context=context, batch=workload.batch, micro_batch=workload.micro_batch, whole_windows=True, outputs=1
    )
    (buffers,) = reserved(weights.path, need)
    # Copies take the place of what they are made from: which there will be changes little.
    tensors = loaded(read_head(weights.path).tensors, Loading(repacks=NOTHING))
    return memory_plan(tensors, buffers, need, vocabulary=describe(weights.path).vocabulary).total


def _compare(
    expected: Profile, found: Profile | None, facts: DeviceFacts, transport: Transport, progress: Progress
) -> None:
    """Say where the device is not the profile's; refuse where a runtime for the profile would die."""
    if found is None:
        progress.warn(f"{transport.device}: its /proc/cpuinfo is not {facts.machine}'s: instructions not compared")
        return
    if missing := missing_isa(expected, found):
        raise DeviceError(
            f"{transport.device} has no {', '.join(missing)}, which {expected.name} promises",
            hint="give the profile of this device; `edgepack profile list` shows those there are",
        )
    cpus = big_cpus(facts.root, allowed=facts.cpus)
    for difference in differences(expected, found, governor=governor(cpus, root=facts.root)):
        progress.warn(f"{transport.device}: {difference}")


def _refuse_without_memory(transport: Transport, need: int, free: int) -> None:
    # Without a /proc/meminfo nothing is known.
    if 0 < free < need:
        raise NoSpaceError(
            f"{transport.device}: {free / 1e6:,.0f} MB of memory are free, the model needs {need / 1e6:,.0f} MB",
            hint="stop other programs there, or take a smaller quantization",
        )
