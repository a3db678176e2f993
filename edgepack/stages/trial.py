"""A trial of flags on a device: llama-bench, over any transport; which flags are tried is not its business."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgepack.domain.bundle import RuntimeFlags
from edgepack.domain.errors import BadInputError, DeviceError
from edgepack.domain.llama_bench import bench_words, parse_bench
from edgepack.domain.measurement import Series, Workload
from edgepack.domain.tuned import Subject, TunedOn
from edgepack.domain.tuner import TrialRefusedError
from edgepack.domain.tuner_axes import Room
from edgepack.domain.weights import Weights
from edgepack.infra.digests import sha256_of
from edgepack.infra.load import system_name
from edgepack.infra.machine import big_cpus, host_profile
from edgepack.infra.process import Completed
from edgepack.transports.failures import last_line
from edgepack.transports.protocol import Transport

_DEFAULT_THREADS = re.compile(r"--threads <n>\s+\(default: (\d+)\)")
_LONGEST = 600.0
"""Seconds for one call; a look takes a few."""


_NAMES = {"llama": ("bench",), "llama-bench": ()}
"""The programs that hold it, and the words before its arguments."""


def subject(transport: Transport, weights: Weights, runtime: Path) -> Subject:
    """Bring weights and the program of directory `runtime` to the device. Raises BadInputError without one."""
    found = next((name for name in _NAMES if (runtime / name).is_file()), None)
    if found is None:
        raise BadInputError(
            f"{runtime}: neither {' nor '.join(_NAMES)} is there", hint="name the directory of a native runtime"
        )
    digest = sha256_of(runtime / found)
    program = transport.push(runtime / found, sha256=digest, executable=True)
    trial = LlamaBench(
        transport=transport,
        program=(program, *_NAMES[found]),
        weights=transport.push(weights.path, sha256=weights.sha256),
    )
    host, big = host_profile(), big_cpus()
    return Subject(
        trial=trial,
        default_threads=trial.default_threads,
        room=Room(cpus=big, big=big),
        on=TunedOn(
            weights=weights.name,
            sha256=weights.sha256,
            device=str(transport.device),
            machine=host.soc.text,
            cpu=", ".join(f"{cluster.count} x {cluster.microarchitecture}" for cluster in host.clusters),
            system=system_name(),
            runtime=f"{found} {digest}",
        ),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class LlamaBench:
    """llama-bench and weights, both on the device: called with flags and a workload, it gives the series."""

    transport: Transport
    program: tuple[str, ...]
    """The program there, and the words before its arguments."""
    weights: str
    """Where they lie there."""

    def __call__(self, flags: RuntimeFlags, workload: Workload) -> tuple[Series, ...]:
        calls = (bench_words(self.weights, phase, workload, flags) for phase in workload.phases)
        return tuple(series for words in calls for series in parse_bench(self._ran(words).stdout).series)

    @property
    def default_threads(self) -> int:
        """What llama.cpp takes there unasked."""
        done = self.transport.run([*self.program, "--help"])
        if done.status:
            raise DeviceError(
                f"{self.program[0]} does not start: {_reason(done)}",
                hint="take a runtime that was built for this device's processor",
            )
        found = _DEFAULT_THREADS.search(done.stdout)
        if not found or not int(found[1]):
            raise DeviceError(
                f"{self.program[0]} --help names no default of --threads", hint="take one of the pinned llama.cpp"
            )
        return int(found[1])

    def _ran(self, words: Sequence[str]) -> Completed:
        done = self.transport.run([*self.program, *words], timeout=_LONGEST)
        if done.status:
            raise TrialRefusedError(
                f"llama-bench ended with {done.status}: {_reason(done)}",
                hint=f"run it by hand: {' '.join([*self.program, *words])}",
            )
        return done


def _reason(done: Completed) -> str:
    return last_line(done.stderr) or last_line(done.stdout) or "it said nothing"
