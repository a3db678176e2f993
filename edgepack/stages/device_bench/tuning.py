"""A device made ready for llama-bench, as a search for flags wants it."""

import re

from edgepack.domain.bundle import RuntimeFlags
from edgepack.domain.errors import DeviceError, NoSpaceError
from edgepack.domain.measurement import Series, Workload
from edgepack.domain.tuned import Subject, TunedOn
from edgepack.domain.tuner import TrialRefusedError
from edgepack.domain.tuner_axes import Room
from edgepack.domain.weights import Weights
from edgepack.stages.device_bench.ready import DeviceBench

_DEFAULT_THREADS = re.compile(r"--threads <n>\s+\(default: (\d+)\)")


def tuning_subject(bench: DeviceBench, weights: Weights) -> Subject:
    """The trial, the threads that llama.cpp takes there unasked, the CPUs, and what the device is."""

    def trial(flags: RuntimeFlags, workload: Workload) -> tuple[Series, ...]:
        try:
            return bench.program.trial(flags, workload)
        except (DeviceError, NoSpaceError) as error:
            # Its subclasses speak of the connection, which no other flags would mend.
            if type(error) not in (DeviceError, NoSpaceError):
                raise
            raise TrialRefusedError(error.what, hint=error.hint) from error

    profile = bench.profile
    return Subject(
        trial=trial,
        default_threads=_default_threads(bench),
        room=Room(cpus=tuple(sorted(bench.facts.cpus)), big=bench.big),
        on=TunedOn(
            weights=weights.name,
            sha256=weights.sha256,
            device=str(bench.transport.device),
            machine=profile.soc.text if profile else bench.facts.machine,
            cpu=", ".join(f"{one.count} x {one.microarchitecture}" for one in profile.clusters) if profile else "?",
            system=bench.facts.system,
            runtime=" ".join(word.rpartition("/")[2] for word in bench.program.command),
        ),
    )


def _default_threads(bench: DeviceBench) -> int:
    done = bench.transport.run([*bench.program.command, "--help"])
    found = _DEFAULT_THREADS.search(done.stdout)
    if not found or not int(found[1]):
        raise DeviceError(
            f"{bench.transport.device}: {bench.program.command[0]} --help names no default of --threads",
            hint="give a runtime of the pinned llama.cpp, built for this device",
        )
    return int(found[1])
