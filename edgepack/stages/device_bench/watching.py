"""A device between and during runs: whether others leave it alone, whether it has cooled, how it lasts."""

import time
from dataclasses import replace

from edgepack.domain.bundle import RuntimeFlags
from edgepack.domain.llama_bench import BenchOutput
from edgepack.domain.measurement import Phase, Sustained, TimedSample, Workload
from edgepack.domain.settling import counted
from edgepack.infra.load import heat
from edgepack.stages.device_bench.ready import DeviceBench
from edgepack.transports import quiet
from edgepack.transports.facts import refresh

_WARMER = 3.0
"""Degrees above the first temperature at which a device has cooled."""
_COOL_LOOK = 5.0
_STRETCH = 20.0
"""Seconds of decoding in one call of a sustained run: between two the model is loaded again, a short pause."""


def run_phase(this: DeviceBench, phase: Phase, workload: Workload, flags: RuntimeFlags) -> BenchOutput:
    label = f"{phase}{workload.tokens(phase)}, {counted(flags.threads)}"
    with this.progress.bar(label, None, "sample") as bar:
        found = this.program.run(phase, workload, flags)
        bar.advance(len(found.series[0].samples))
    return found


def sustain(this: DeviceBench, workload: Workload, flags: RuntimeFlags, minutes: float) -> Sustained:
    """Decode for so long; each sample with its time and the temperature after its stretch."""
    tokens = workload.generated_tokens or Workload().generated_tokens
    decode = replace(workload, prompt_tokens=0, generated_tokens=tokens, repeats=1, least_seconds=0)
    samples: list[TimedSample] = []
    begin = time.monotonic()
    while not samples or samples[-1].at < minutes * 60:
        if samples:
            stretch = min(_STRETCH, minutes * 60 - samples[-1].at)
            decode = replace(decode, repeats=max(1, round(stretch / samples[-1].seconds)))
        with this.progress.bar(f"sustained, {samples[-1].at if samples else 0:.0f} s", None, "sample") as bar:
            series = this.program.run(Phase.DECODE, decode, flags).series[0]
            bar.advance(len(series.samples))
        at = time.monotonic() - begin
        refresh(this.transport, this.facts.root)
        celsius = heat(this.big, root=this.facts.root).celsius
        # The stretch's samples end with it, one after the other.
        ends = [
            at - sum(later.seconds for later in series.samples[place + 1 :]) for place in range(len(series.samples))
        ]
        samples += [
            TimedSample(at=round(end, 3), seconds=sample.seconds, celsius=celsius)
            for end, sample in zip(ends, series.samples, strict=True)
        ]
    return Sustained(tokens=tokens, threads=flags.threads, samples=tuple(samples))


def wait_for_quiet(this: DeviceBench) -> float | None:
    """Return once others leave the watched CPUs alone, or patience ends; cores' worth of their work then."""
    return quiet.wait_for_quiet(
        this.transport, this.program.watched, patience=this.patience, progress=this.progress
    )  # fmt: skip


def let_cool(this: DeviceBench) -> None:
    """Wait until the device is nearly as cool as before the first run, or patience ends."""
    until = time.monotonic() + this.patience.cool_seconds
    told = False
    while (above := _warmer(this)) > _WARMER and time.monotonic() < until:
        if not told:
            this.progress.step(f"let it cool: {above:.0f} °C above its first temperature")
            told = True
        time.sleep(min(_COOL_LOOK, max(0.0, until - time.monotonic())))


def _warmer(this: DeviceBench) -> float:
    """Degrees above the first temperature; 0 where nobody tells."""
    if this.start.celsius is None:
        return 0.0
    refresh(this.transport, this.facts.root)
    now = heat(this.big, root=this.facts.root).celsius
    return 0.0 if now is None else now - this.start.celsius
