"""Find the flags that run weights fastest on a device; how a trial reaches the device is not its business."""

import statistics
from datetime import UTC, datetime
from time import monotonic

from edgepack.domain.bundle import RuntimeFlags
from edgepack.domain.measurement import BUSY_LIMIT, Workload
from edgepack.domain.progress import Progress
from edgepack.domain.tuned import Subject, Tuned
from edgepack.domain.tuner import Search
from edgepack.domain.tuner_axes import axes


def tune(subject: Subject, *, workload: Workload, budget: float, progress: Progress) -> Tuned:
    """Search for `budget` seconds. Raises DeviceError where even the defaults do not run."""
    defaults = RuntimeFlags(
        context=workload.prompt_tokens + workload.generated_tokens, threads=subject.default_threads
    )
    date = datetime.now(UTC).replace(microsecond=0)
    search = Search(subject.trial, workload, clock=monotonic, budget=budget, say=progress.step)
    tuned = Tuned(
        date=date,
        on=subject.on,
        workload=workload,
        found=search.run(defaults, axes(defaults, subject.room, workload)),
    )
    for refused in tuned.found.refused:
        progress.step(f"the device refuses {refused}")
    if tuned.found.left_out:
        progress.step(f"no time was left for {', '.join(tuned.found.left_out)}; --budget gives more")
    busy = _busy(tuned)
    if busy > BUSY_LIMIT:
        progress.warn(f"other programs used {busy:.0%} of a core meanwhile: on a quiet device other flags may win")
    return tuned


def _busy(tuned: Tuned) -> float:
    """The median over all samples of what others used."""
    looks = (*tuned.found.looks, tuned.found.final)
    series = (one for look in looks for pair in look.pairs for one in (*pair.tried, *pair.reference))
    seen = [sample.busy for one in series for sample in one.samples if sample.busy is not None]
    return statistics.median(seen) if seen else 0.0
