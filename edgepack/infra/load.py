"""What else this machine does and how hot it runs, from /proc and /sys; None where nothing says it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def keep_affinity() -> Iterator[None]:
    """Put this thread's CPUs back afterwards, where the platform has such a thing."""
    if not hasattr(os, "sched_getaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
