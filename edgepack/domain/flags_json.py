"""Runtime flags as JSON, written and strictly read: in manifests and in tuning records."""

from edgepack.domain.bundle import CacheType, FlashAttention, LoadMode, Ngram, RuntimeFlags, Speculation
from edgepack.domain.reading import Table

CPU_LIMIT = 512
"""llama.cpp's masks have a bit for each CPU below it."""
LONGEST_GUESS = 1024
"""Tokens; llama.cpp takes no more."""
_OPTIONAL = (
    "threads_batch", "cache_type_v", "batch", "flash_attention", "load_mode", "repack", "cpu_strict", "priority",
    "poll",
)  # fmt: skip


def flags_values(flags: RuntimeFlags) -> dict[str, object]:
    """Four keys always, the others where they are not the default: so what was written before them stays the same."""
    usual = RuntimeFlags(context=flags.context, threads=flags.threads)
    values: dict[str, object] = {
        "context": flags.context,
        "threads": flags.threads,
        "cache_type": flags.cache_type,
        "micro_batch": flags.micro_batch,
    }
    values |= {key: getattr(flags, key) for key in _OPTIONAL if getattr(flags, key) != getattr(usual, key)}
    if flags.cpus is not None:
        values["cpus"] = list(flags.cpus)
    if flags.speculation is not None:
        guess = flags.speculation
        values["speculation"] = {"ngram": guess.ngram, "match": guess.match, "draft": guess.draft}
    return values


def read_flags(table: Table) -> RuntimeFlags:
    """The inverse. Raises BadInputError that names the place."""
    try:
        flags = RuntimeFlags(
            context=table.whole("context", least=1),
            threads=table.whole("threads", least=1),
            threads_batch=table.whole_or_none("threads_batch", least=1),
            cache_type=table.choice("cache_type", CacheType),
            cache_type_v=table.choice_or_none("cache_type_v", CacheType),
            batch=table.whole("batch", least=1, default=2048),
            micro_batch=table.whole("micro_batch", least=1),
            flash_attention=table.choice_or_none("flash_attention", FlashAttention) or FlashAttention.AUTO,
            load_mode=table.choice_or_none("load_mode", LoadMode) or LoadMode.AUTO,
            repack=table.flag("repack", default=True),
            cpus=table.wholes_or_none("cpus", most=CPU_LIMIT - 1),
            cpu_strict=table.flag("cpu_strict", default=False),
            priority=table.whole("priority", default=0),
            poll=table.whole("poll", default=50),
            speculation=_speculation(table.table_or_none("speculation")),
        )
    except ValueError as error:
        table.fail("context", str(error))
    table.finish()
    return flags


def _speculation(table: Table | None) -> Speculation | None:
    if table is None:
        return None
    guess = Speculation(ngram=table.choice("ngram", Ngram), match=_size(table, "match"), draft=_size(table, "draft"))
    table.finish()
    return guess


def _size(table: Table, key: str) -> int:
    size = table.whole(key, least=1)
    if size > LONGEST_GUESS:
        table.fail(key, f"expected {LONGEST_GUESS} or less, got {size}")
    return size
