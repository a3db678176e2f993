"""What is worth trying on a device, in the order in which it tends to matter; it tries nothing itself.

Left out on purpose: a smaller KV cache, which trades quality for speed, unless it is asked for; real-time
priorities, with which spinning threads can starve a device, unless they are asked for; and keeping or dropping
the cache's offloading, which a CPU has none of.
"""

from dataclasses import dataclass, replace

from edgepack.domain.bundle import CacheType, FlashAttention, LoadMode, RuntimeFlags
from edgepack.domain.measurement import Phase, Workload, threads_to_try
from edgepack.domain.tuner import Axis, Change

_PREFILL, _DECODE = (Phase.PREFILL,), (Phase.DECODE,)


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """Where the search may look."""

    cpus: tuple[int, ...]
    """Logical CPUs that may be used."""
    big: tuple[int, ...]
    """One a big core."""
    cache_types: tuple[CacheType, ...] = ()
    """Types of the KV cache that are good enough; f16 always is."""
    priorities: tuple[int, ...] = ()


def axes(defaults: RuntimeFlags, room: Room, workload: Workload) -> tuple[Axis, ...]:
    """The axes for that device and request; the first ones are searched where time is short."""
    return tuple(
        axis
        for axis in (
            _decode_threads(defaults, room),
            _prefill_threads(room),
            _cores(room),
            Axis(name="flash attention", changes=tuple(_attention(value) for value in ("on", "off"))),
            Axis(name="micro-batch", changes=_micro_batches(workload)),
            Axis(name="polling", changes=tuple(_polling(level) for level in (0, 100))),
            Axis(name="loading", changes=tuple(_loading(mode) for mode in (LoadMode.NONE, LoadMode.MLOCK))),
            Axis(name="repacking", changes=(Change(name="no repacking", bend=_unpacked),)),
            Axis(name="KV cache", changes=tuple(_cache(kind) for kind in room.cache_types)),
            Axis(name="priority", changes=tuple(_priority(level) for level in room.priorities)),
        )
        if axis.changes
    )


def _decode_threads(defaults: RuntimeFlags, room: Room) -> Axis:
    """The prompt keeps the defaults' number: its own axis comes next."""

    def change(count: int) -> Change:
        return Change(
            name=f"{count} to write",
            phases=_DECODE,
            bend=lambda flags: replace(flags, threads=count, threads_batch=flags.threads_batch or flags.threads),
        )

    counts = [count for count in threads_to_try(len(room.cpus)) if count != defaults.threads]
    return Axis(name="threads", changes=tuple(change(count) for count in counts))


def _prefill_threads(room: Room) -> Axis:
    def change(count: int) -> Change:
        return Change(
            name=f"{count} to read",
            phases=_PREFILL,
            bend=lambda flags: replace(flags, threads_batch=None if count == flags.threads else count),
        )

    # Prefill gains from all big cores, and sometimes from the little ones; few threads it never likes.
    counts = dict.fromkeys(count for count in (len(room.big), len(room.cpus)) if count > 1)
    return Axis(name="prompt's threads", changes=tuple(change(count) for count in counts))


def _cores(room: Room) -> Axis:
    def change(name: str, cpus: tuple[int, ...], strict: bool) -> Change:
        return Change(name=name, bend=lambda flags: replace(flags, cpus=cpus, cpu_strict=strict))

    free = (change("big cores", room.big, strict=False),) if len(room.big) < len(room.cpus) else ()
    return Axis(name="cores", changes=(*free, change("a core to each thread", room.big, strict=True)))


def _micro_batches(workload: Workload) -> tuple[Change, ...]:
    """Only sizes that cut the prompt otherwise than 512 does."""

    def change(size: int) -> Change:
        return Change(
            name=f"micro-batch {size}",
            phases=_PREFILL,
            bend=lambda flags: replace(flags, micro_batch=size, batch=max(flags.batch, size)),
        )

    return tuple(change(size) for size in (128, 256, 1024, 2048) if size < workload.prompt_tokens)


def _attention(value: str) -> Change:
    return Change(
        name=f"flash attention {value}", bend=lambda flags: replace(flags, flash_attention=FlashAttention(value))
    )


def _polling(level: int) -> Change:
    return Change(name=f"polling {level}", bend=lambda flags: replace(flags, poll=level))


def _loading(mode: LoadMode) -> Change:
    return Change(name=f"loading {mode}", bend=lambda flags: replace(flags, load_mode=mode))


def _unpacked(flags: RuntimeFlags) -> RuntimeFlags:
    return replace(flags, repack=False)


def _cache(kind: CacheType) -> Change:
    """llama.cpp takes quantized values with flash attention alone."""
    return Change(
        name=f"KV cache {kind}",
        bend=lambda flags: replace(flags, cache_type=kind, flash_attention=FlashAttention.ON),
    )


def _priority(level: int) -> Change:
    return Change(name=f"priority {level}", bend=lambda flags: replace(flags, priority=level))
