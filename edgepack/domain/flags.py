"""Runtime flags as llama.cpp's arguments; it starts nothing.

What equals llama.cpp's default is not rendered: the programs' own defaults are pinned with the
programs. `common/arg.cpp` and `tools/llama-bench/llama-bench.cpp` of the pinned version say which option is whose.
"""

from edgepack.domain.bundle import CacheType, FlashAttention, LoadMode, Ngram, RuntimeFlags
from edgepack.domain.measurement import Phase

_SPECULATED = {
    Ngram.SIMPLE: ("--spec-ngram-simple-size-n", "--spec-ngram-simple-size-m"),
    Ngram.MAP_K: ("--spec-ngram-map-k-size-n", "--spec-ngram-map-k-size-m"),
    Ngram.MAP_K4V: ("--spec-ngram-map-k4v-size-n", "--spec-ngram-map-k4v-size-m"),
    Ngram.MOD: ("--spec-ngram-mod-n-match", "--spec-ngram-mod-n-max"),
}


def server_arguments(flags: RuntimeFlags) -> tuple[str, ...]:
    """For llama-server, and llama-completion and llama-cli but for speculation: context, threads and the rest."""
    batch = ("-tb", str(flags.threads_batch)) if flags.threads_batch is not None else ()
    return ("-c", str(flags.context), "-t", str(flags.threads), *batch, *fixed_arguments(flags))


def fixed_arguments(flags: RuntimeFlags) -> tuple[str, ...]:
    """The same without context and threads, which a device's user may set; without speculation."""
    repack = () if flags.repack else ("--no-repack",)
    return (*_shared(flags), *repack, *_placement(flags), *(_placement_batch(flags) if flags.threads_batch else ()))


def bench_arguments(flags: RuntimeFlags, phase: Phase | None = None) -> tuple[str, ...]:
    """For llama-bench.

    It has one number of threads for both phases: with `phase` PREFILL it is the prompt's, else the answer's. So
    flags that differ there are measured in two calls. It has no context (it takes what a test needs), and no
    speculation.
    """
    prefill = phase is Phase.PREFILL and flags.threads_batch is not None
    return ("-t", str(flags.threads_batch if prefill else flags.threads), *bench_fixed_arguments(flags))


def bench_fixed_arguments(flags: RuntimeFlags) -> tuple[str, ...]:
    """The same without threads."""
    repack = () if flags.repack else ("--repack", "0")
    return (*_shared(flags), *repack, *_placement(flags))


def speculation_arguments(flags: RuntimeFlags) -> tuple[str, ...]:
    """For llama-server and llama-cli; llama-completion takes none of these."""
    if flags.speculation is None:
        return ()
    match, draft = _SPECULATED[flags.speculation.ngram]
    words = ("--spec-type", flags.speculation.ngram.value, match, str(flags.speculation.match))
    # ngram-mod guesses nothing shorter than its least, which is 48 where nobody says another.
    least = ("--spec-ngram-mod-n-min", "0") if flags.speculation.ngram is Ngram.MOD else ()
    return (*words, draft, str(flags.speculation.draft), *least)


def cpu_mask(cpus: tuple[int, ...]) -> str:
    """Hexadecimal, a bit for each CPU."""
    return f"0x{sum(1 << cpu for cpu in cpus):x}"


def _shared(flags: RuntimeFlags) -> tuple[str, ...]:
    """What both take under the same names."""
    keys, values = flags.cache_types
    words: list[str] = []
    if flags.batch != 2048:
        words += ["-b", str(flags.batch)]
    if flags.micro_batch != 512:
        words += ["-ub", str(flags.micro_batch)]
    if keys is not CacheType.F16:
        words += ["-ctk", keys]
    if values is not CacheType.F16:
        words += ["-ctv", values]
    if flags.flash_attention is not FlashAttention.AUTO:
        words += ["-fa", flags.flash_attention]
    if flags.load_mode is not LoadMode.AUTO:
        words += ["-lm", flags.load_mode]
    return tuple(map(str, words))


def _placement(flags: RuntimeFlags) -> tuple[str, ...]:
    words: list[str] = []
    if flags.cpus is not None:
        words += ["-C", cpu_mask(flags.cpus)]
    if flags.cpu_strict:
        words += ["--cpu-strict", "1"]
    if flags.priority:
        words += ["--prio", str(flags.priority)]
    if flags.poll != 50:
        words += ["--poll", str(flags.poll)]
    return tuple(words)


def _placement_batch(flags: RuntimeFlags) -> tuple[str, ...]:
    """The same for the prompt's threads: once they have a number of their own, they inherit nothing else."""
    names = {"-C": "-Cb", "--cpu-strict": "--cpu-strict-batch", "--prio": "--prio-batch", "--poll": "--poll-batch"}
    return tuple(names.get(word, word) for word in _placement(flags))
