"""What a device gave: samples, their statistics and conditions; it does not know how they are taken."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from edgepack.domain.weights import Weights

SCHEMA = "edgepack.measurement/1"

SPREAD_LIMIT = 0.05
"""A series whose middle half of samples is wider than this share of its median is not stable."""

BUSY_LIMIT = 0.2
"""Cores' worth of other programs' work, on the cores measured, above which a series is not stable."""


class Phase(StrEnum):
    """The two kinds of work, by llama-bench's names for them."""

    PREFILL = "pp"
    DECODE = "tg"


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """What one measurement runs; the defaults are llama-bench's.

    `least_seconds` is ours: a phase is repeated beyond `repeats`, up to `most_repeats`, until its samples
    together last this long, so that the median of a tiny model's millisecond samples means something.
    """

    prompt_tokens: int = 512
    generated_tokens: int = 128
    repeats: int = 5
    warm_up: bool = True
    batch: int = 2048
    micro_batch: int = 512
    least_seconds: float = 0.25
    most_repeats: int = 50

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases that have any tokens, prefill first."""
        return tuple(phase for phase in Phase if self.tokens(phase))

    def tokens(self, phase: Phase) -> int:
        """Tokens of one sample of that phase."""
        return self.prompt_tokens if phase is Phase.PREFILL else self.generated_tokens

    @property
    def quick(self) -> "Workload":
        """A short look of the same kind, to compare numbers of threads."""
        return replace(
            self, prompt_tokens=min(self.prompt_tokens, 64), generated_tokens=min(self.generated_tokens, 16),
            repeats=min(self.repeats, 3), least_seconds=min(self.least_seconds, 0.1),
        )  # fmt: skip

    def enough(self, seconds: Sequence[float]) -> bool:
        """Whether these samples' seconds complete a phase."""
        if len(seconds) < self.repeats:
            return False
        return sum(seconds) >= self.least_seconds or len(seconds) >= self.most_repeats


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One timed repeat."""

    seconds: float
    busy: float | None
    """Cores' worth of other programs' work on the measured cores meanwhile; None where nobody can say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """Every sample of one phase at one number of threads, in the order taken."""

    phase: Phase
    tokens: int
    threads: int
    samples: tuple[Sample, ...]

    @property
    def name(self) -> str:
        """llama-bench's name for the test: pp512, tg128."""
        return f"{self.phase}{self.tokens}"

    @property
    def rates(self) -> tuple[float, ...]:
        """Tokens/s, sample by sample."""
        return tuple(self.tokens / sample.seconds for sample in self.samples)

    @property
    def median(self) -> float:
        """Tokens/s."""
        return statistics.median(self.rates)

    @property
    def mean(self) -> float:
        """Tokens/s: the mean of the samples' rates, as llama-bench gives it."""
        return statistics.fmean(self.rates)

    @property
    def deviation(self) -> float:
        """Tokens/s: the sample standard deviation; 0 for one sample."""
        return statistics.stdev(self.rates) if len(self.samples) > 1 else 0.0

    @property
    def spread(self) -> float:
        """See `spread`."""
        return spread(self.rates)

    @property
    def busy(self) -> float | None:
        """Cores' worth of other programs' work over the whole series; None where nobody can say."""
        known = [(sample.busy, sample.seconds) for sample in self.samples if sample.busy is not None]
        total = sum(seconds for _, seconds in known)
        return sum(busy * seconds for busy, seconds in known) / total if total else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Runtime:
    """The library that ran the weights."""

    name: str
    version: str
    build: str
    """ggml's version and commit."""
    system_info: str
    """The instruction sets and features it was built with, as llama.cpp prints them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredWeights:
    """Which file was measured: enough to find it again, nothing of where it lay."""

    name: str
    sha256: str
    size: int
    """Bytes."""
    quant: str | None
    architecture: str
    parameters: int
    adapter: str | None = None
    """sha256 of the adapter's GGUF that was applied; None for the model alone."""
    synthetic: bool = False
    """Whether its values were made up: the speed is that of any weights of its shape and types."""


def measured_weights(weights: Weights, *, adapter: str | None = None) -> MeasuredWeights:
    """What is remembered of `weights`; `adapter` is the sha256 of the GGUF that was applied."""
    return MeasuredWeights(
        name=weights.name, sha256=weights.sha256, size=weights.size,
        quant=None if weights.quant is None else weights.quant.value,
        architecture=weights.architecture, parameters=weights.parameters, adapter=adapter,
        synthetic=weights.synthetic,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """The machine around the measurement; None where the platform does not say."""

    machine: str
    """The board's or computer's name."""
    cpu: str
    system: str
    """Kernel name, release and instruction set."""
    governor: str | None
    celsius_before: float | None
    celsius_after: float | None
    mhz_after: float | None
    """The slowest measured core's clock right after the last sample."""
    mhz_limit: float | None
    """The highest clock of that core."""
    throttled: bool | None
    """Whether the kernel or the firmware held clocks down meanwhile."""
    busy_before: float | None
    """Cores' worth of other programs' work on the measured cores before the first sample."""
    memory_free_before: int | None
    """Bytes that a new program could use (MemAvailable)."""
    peak_rss: int | None
    """Bytes, of the measuring process, weights and interpreter included."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TimedSample:
    """One repeat of a sustained run."""

    at: float
    """Seconds from the run's beginning to this sample's end."""
    seconds: float
    celsius: float | None
    """As it was read next after the sample."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sustained:
    """Decoding without a pause, for minutes: what is left of the speed when the device is warm."""

    tokens: int
    threads: int
    samples: tuple[TimedSample, ...]

    @property
    def first(self) -> float:
        """Tokens/s of the first minute, or of the first sample where that took longer."""
        return self._rate([sample for sample in self.samples if sample.at <= 60.0] or self.samples[:1])

    @property
    def last(self) -> float:
        """Tokens/s of the last third of the time."""
        begin = self.samples[-1].at * 2 / 3
        return self._rate([sample for sample in self.samples if sample.at > begin])

    @property
    def ratio(self) -> float:
        """The last third's speed as a share of the first minute's."""
        return self.last / self.first

    def _rate(self, samples: Sequence[TimedSample]) -> float:
        return self.tokens * len(samples) / sum(sample.seconds for sample in samples)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """A dated observation of one file on one machine: never an input of a cached step."""

    date: datetime
    """UTC, when the first sample began."""
    weights: MeasuredWeights
    runtime: Runtime
    conditions: Conditions
    workload: Workload
    threads: int
    cpus: tuple[int, ...] | None
    """The logical CPUs it was pinned to; None: not pinned."""
    series: tuple[Series, ...]
    sweep: tuple[Series, ...]
    """The quick looks at each number of threads that chose `threads`; empty where it was given."""
    rejected: tuple[Series, ...]
    """Series at `threads` that were not stable and were measured again."""
    unstable_because: tuple[str, ...]
    device: str = "local"
    """How it was reached: local, ssh or adb; never its address, which may name a person."""
    sustained: Sustained | None = None

    @property
    def stable(self) -> bool:
        """Whether every series kept is stable."""
        return not self.unstable_because

    def of(self, phase: Phase) -> Series | None:
        """The series of that phase, if it was measured."""
        return next((series for series in self.series if series.phase is phase), None)


def spread(rates: Sequence[float]) -> float:
    """The interquartile range as a share of the median (quartiles by linear interpolation); 0 for one sample.

    Half of the samples lie within it. It does not grow with the number of samples, as the range does, and
    one hiccup in five does not move it, while a drift or two speeds in turn do; nothing is dropped before.
    """
    if len(rates) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(rates, n=4, method="inclusive")
    return (high - low) / middle


def instability(series: Series) -> str | None:
    """Why this series is not stable, in words; None when it is."""
    if series.spread > SPREAD_LIMIT:
        return f"{series.name}: the samples' spread is {series.spread:.0%} of their median"
    if series.busy is not None and series.busy > BUSY_LIMIT:
        return f"{series.name}: other programs used {series.busy:.0%} of a core meanwhile"
    return None


def is_stable(series: Series) -> bool:
    """Whether the median of this series is a figure to rely on."""
    return instability(series) is None


def threads_to_try(cores: int) -> tuple[int, ...]:
    """Every number up to eight cores; of more, one, two, and each quarter of them."""
    if cores <= 8:
        return tuple(range(1, cores + 1))
    return tuple(sorted({1, 2, *(cores * quarters // 4 for quarters in range(1, 5))}))


def best_threads(sweep: Sequence[Series]) -> int:
    """The threads with the fastest decode; of those within 2 % of it, the ones with the fastest prefill.

    Decode is what a user waits for, but it often stands still from some number of threads on, where prefill
    still gains. With only one phase measured, that one decides.
    """
    rates: dict[int, dict[Phase, float]] = {}
    for series in sweep:
        rates.setdefault(series.threads, {})[series.phase] = series.median
    fastest = max(found.get(Phase.DECODE, 0.0) for found in rates.values())
    near = {threads: found for threads, found in rates.items() if found.get(Phase.DECODE, 0.0) >= 0.98 * fastest}
    return max(
        near,
        key=lambda threads: (
            near[threads].get(Phase.PREFILL, near[threads].get(Phase.DECODE, 0.0)),
            -threads,
        ),
    )
