"""Find the flags that run weights fastest on a device; how a trial reaches the device is not its business."""

from datetime import UTC, datetime
from time import monotonic

from edgepack.domain.bundle import RuntimeFlags
from edgepack.domain.measurement import Workload
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
    return tuned
