"""llama-bench on a device: started through a transport, read, and its failures translated."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgepack.domain.bundle import RuntimeFlags
from edgepack.domain.device_check import program_architecture, runs_on
from edgepack.domain.errors import BadInputError, DeviceError, EdgepackError, NoSpaceError
from edgepack.domain.llama_bench import NAME, BenchOutput, bench_words, parse_bench
from edgepack.domain.measurement import Phase, Series, Workload
from edgepack.infra.digests import sha256_of
from edgepack.transports.protocol import Transport
from edgepack.transports.timed import Timed, run_timed

_LONGEST = 4 * 3600.0
"""Seconds for one call; a 2 B model takes a Pi Zero the better part of an hour."""
_KILLED, _ILLEGAL = (137, -9), (132, -4)


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchProgram:
    """llama-bench and a model, both on the device."""

    transport: Transport
    command: tuple[str, ...]
    model: str
    watched: tuple[int, ...]
    """CPUs on which others' work is looked for."""

    def run(self, phase: Phase, workload: Workload, flags: RuntimeFlags) -> BenchOutput:
        """One phase, repeated until the workload has enough of it; all samples in one series."""
        found = self._call(phase, workload, flags)
        (series,) = found.series
        seconds = [sample.seconds for sample in series.samples]
        if workload.enough(seconds):
            return found
        wanted = math.ceil(workload.least_seconds / (sum(seconds) / len(seconds)))
        more = min(wanted, workload.most_repeats) - len(seconds)
        again = self._call(phase, replace(workload, repeats=max(1, more)), flags)
        samples = (*series.samples, *again.series[0].samples)
        return replace(found, series=(replace(series, samples=samples),))

    def trial(self, flags: RuntimeFlags, workload: Workload) -> tuple[Series, ...]:
        """Each phase of the workload once with these flags, prefill first."""
        return tuple(self.run(phase, workload, flags).series[0] for phase in workload.phases)

    def _call(self, phase: Phase, workload: Workload, flags: RuntimeFlags) -> BenchOutput:
        words = (*self.command, *bench_words(self.model, phase, workload, flags))
        done = run_timed(self.transport, words, timeout=_LONGEST)
        if done.status:
            raise _failure(done, str(self.transport.device), flags)
        found = parse_bench(done.stdout, busy=done.busy(self.watched))
        if len(found.series) != 1:
            raise DeviceError(
                f"{NAME}'s output: {len(found.series)} results, one was asked for",
                hint="use a runtime of the pinned llama.cpp",
            )
        return found


def find_bench(directory: Path) -> tuple[Path, tuple[str, ...]]:
    """llama.cpp's one program, or llama-bench, in a directory, and the words that make it llama-bench."""
    for name, words in (("llama", ("bench",)), (NAME, ())):
        if (directory / name).is_file():
            return directory / name, words
    raise BadInputError(
        f"{directory}: neither llama nor {NAME} is in it", hint="give the directory of a runtime's programs"
    )


def push_program(transport: Transport, runtime: Path, *, machine: str) -> tuple[str, ...]:
    """Bring the program to the device; the command there. Raises DeviceError where it is another machine's."""
    program, words = find_bench(runtime)
    with program.open("rb") as file:
        made_for = program_architecture(file.read(20))
    if made_for is not None and not runs_on(made_for, machine):
        raise DeviceError(
            f"{program} is for {made_for}, {transport.device} is {machine}",
            hint="give the runtime of the device's own target",
        )
    return transport.push(program, sha256=sha256_of(program), executable=True), *words


def _failure(done: Timed, device: str, flags: RuntimeFlags) -> EdgepackError:
    if done.status in _KILLED:
        return NoSpaceError(
            f"{device}: {NAME} was killed, most likely for want of memory",
            hint="stop other programs there, or take a smaller quantization",
        )
    if done.status in _ILLEGAL:
        return DeviceError(
            f"{device}: {NAME} died of an illegal instruction: the runtime's instructions are not this CPU's",
            hint="give a runtime that was built for this CPU",
        )
    said = _last_of((*done.stderr.splitlines(), *(line for line in done.stdout.splitlines() if line[:1] != "#")))
    return DeviceError(
        f"{device}: {NAME} ended with {done.status}: {said}",
        hint=f"flags were: threads {flags.threads}; see docs/bench.md",
    )


def _last_of(lines: Sequence[str]) -> str:
    """The last line that speaks of an error, or the last that says anything."""
    spoken = [line.strip() for line in lines if line.strip()]
    return next((line for line in reversed(spoken) if "error" in line.lower()), spoken[-1] if spoken else "no word")
