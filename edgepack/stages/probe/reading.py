"""Bandwidth measured on a device: our program there, over numbers of cores, several times in turn."""

from edgepack.domain.bandwidth import Reading, buffer_mebibytes, parse_reading, together
from edgepack.domain.errors import DeviceError
from edgepack.domain.measurement import threads_to_try
from edgepack.domain.progress import Progress
from edgepack.domain.settling import Patience, counted
from edgepack.infra.kept import KeptFile
from edgepack.infra.load import with_siblings
from edgepack.infra.machine import big_cpus, caches, fastest_first, memory_available
from edgepack.transports.facts import DeviceFacts
from edgepack.transports.protocol import Transport
from edgepack.transports.quiet import wait_for_quiet
from edgepack.transports.timed import run_timed

_TURNS, _ROUNDS, _MILLISECONDS = 3, 8, 150
"""In turn: a machine whose speed changes within seconds shows it in each number of threads."""
_QUICK_ROUNDS = 5
_USUAL_PATIENCE = Patience()
_LONGEST = 600.0
"""Seconds for one call, since the slowest boards write their buffer for a while before the first round."""


def read_bandwidth(
    transport: Transport,
    facts: DeviceFacts,
    program: KeptFile,
    *,
    quick: bool,
    progress: Progress,
    patience: Patience = _USUAL_PATIENCE,
) -> tuple[Reading, ...]:
    """One reading for each number of cores, from one to all big ones; every round of every turn in it.

    Raises DeviceError where the program does not run there.
    """
    big = fastest_first(big_cpus(facts.root, allowed=facts.cpus), facts.root)
    counts = sorted({1, len(big)}) if quick else threads_to_try(len(big))
    size = buffer_mebibytes(cache=caches(facts.root), free=memory_available(facts.root))
    place = transport.push(program.path, sha256=program.sha256, executable=True)
    wait_for_quiet(transport, with_siblings(big, root=facts.root), patience=patience, progress=progress)
    progress.step(f"read memory with up to {counted(len(big))}, {size} MiB")
    turns, rounds = (1, _QUICK_ROUNDS) if quick else (_TURNS, _ROUNDS)
    readings = []
    with progress.bar("bandwidth", turns * len(counts), "call") as bar:
        for _ in range(turns):
            for count in counts:
                readings.append(_read(transport, facts, [place, str(size), str(rounds)], big[:count]))
                bar.advance(1)
    found = together(readings)
    _tell(found, progress)
    return found


def _read(transport: Transport, facts: DeviceFacts, words: list[str], cpus: tuple[int, ...]) -> Reading:
    done = run_timed(transport, [*words, str(_MILLISECONDS), *map(str, cpus)], timeout=_LONGEST)
    if done.status:
        said = done.stderr.strip().splitlines() or [f"it ended with {done.status}"]
        raise DeviceError(
            f"{transport.device}: the bandwidth program does not run there: {said[-1]}",
            hint="--no-bench leaves it out; --base PROFILE says what processor the device has",
        )
    return parse_reading(done.stdout, busy=done.busy(with_siblings(cpus, root=facts.root)))


def _tell(readings: tuple[Reading, ...], progress: Progress) -> None:
    for reading in readings:
        progress.step(f"{counted(reading.threads)}: {reading.median:.1f} GB/s")
        if not reading.steady:
            progress.warn(f"the memory has more than one speed: {reading.words}")
        elif reading.disturbed:
            progress.warn(f"the memory is not the model's alone: {reading.words}")
