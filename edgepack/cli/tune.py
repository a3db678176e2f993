"""edgepack tune: the flags that run a GGUF fastest on a device, searched there."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgepack.cli.options import output_of, output_options
from edgepack.cli.records import write_record
from edgepack.cli.runtimes import runtime_for
from edgepack.cli.tables import aligned
from edgepack.domain.bundle import CacheType
from edgepack.domain.device import parse_device
from edgepack.domain.errors import BadInputError, UsageError
from edgepack.domain.flags import server_arguments, speculation_arguments

if TYPE_CHECKING:
    from edgepack.domain.guessing import Guessed
    from edgepack.domain.tuned import Tuned


@click.command("tune")
@click.argument("weights", type=click.Path(path_type=Path))
@click.option("--device", default="local", show_default=True, help="Where to run.")
@click.option("--profile", help="The profile that the device should be; where it is not, that is said.")
@click.option(
    "--runtime", type=click.Path(path_type=Path), metavar="DIR",
    help="The directory of llama or llama-bench for the device; default: built for it.",
)  # fmt: skip
@click.option("--budget", type=click.IntRange(10, 3600), default=150, show_default=True, help="Seconds.")
@click.option(
    "-p", "--prompt-tokens", type=click.IntRange(1, 100_000), default=512, show_default=True, help="Of a request."
)
@click.option(
    "-n", "--answer-tokens", type=click.IntRange(1, 100_000), default=128, show_default=True, help="Of a request."
)
@click.option(
    "--allow-cache", "cache_types", multiple=True, type=click.Choice([CacheType.Q8_0.value, CacheType.Q4_0.value]),
    help="Try a smaller KV cache too, which costs quality. Repeatable.",
)  # fmt: skip
@click.option(
    "--allow-priority", "priorities", multiple=True, type=click.IntRange(1, 3),
    help="Try real-time priorities too, which root alone may have. Repeatable.",
)  # fmt: skip
@click.option(
    "--examples", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
    help="Prompts, one a line: try guessing ahead by n-grams on the first five of them.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="Write the record, every pair in it, as JSON.")
@output_options
@click.pass_context
def command(
    context: click.Context,
    weights: Path,
    device: str,
    profile: str | None,
    runtime: Path | None,
    budget: int,
    prompt_tokens: int,
    answer_tokens: int,
    cache_types: tuple[str, ...],
    priorities: tuple[int, ...],
    examples: Path | None,
    out: Path | None,
) -> None:
    """Search the flags that run the GGUF WEIGHTS fastest on a device, never slower than llama.cpp's defaults.

    A change is kept only where it wins in alternation with what there was, beyond the noise; in the end all
    of them together are compared with the defaults. `edgepack build --flags FILE` takes the record.
    """
    from edgepack.domain.guessing import try_guessing
    from edgepack.domain.measurement import Workload
    from edgepack.domain.tuned import tuning_json
    from edgepack.engines.llamacpp import identify
    from edgepack.infra.library import load_profile
    from edgepack.stages.device_bench import asker, memory_need, prepared, tuning_subject
    from edgepack.stages.tune import tune

    output = output_of(context)
    where = parse_device(device)
    if out and not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: no such directory", hint="name a file in a directory that exists")
    prompts = _prompts(examples) if examples else []
    identified = identify(weights)
    workload = Workload(prompt_tokens=prompt_tokens, generated_tokens=answer_tokens)
    expected = load_profile(profile) if profile else None
    with prepared(
        where, identified, runtime=runtime_for(where, runtime, expected, output),
        need=memory_need(identified, workload), progress=output, expected=expected,
    ) as bench:  # fmt: skip
        ready = tuning_subject(bench, identified)
        room = replace(ready.room, cache_types=tuple(map(CacheType, cache_types)), priorities=priorities)
        tuned = tune(replace(ready, room=room), budget=float(budget), workload=workload, progress=output)
        if prompts:
            flags = replace(tuned.found.flags, context=min(2048, identified.context_length))
            ask = asker(bench, flags, tokens=answer_tokens)
            tuned = replace(tuned, guessed=try_guessing(prompts, ask, output.step))
    record = tuning_json(tuned)
    if out:
        write_record(out, record)
    output.result("tuning", record, lambda: _shown(tuned, out))


def _prompts(path: Path) -> list[str]:
    lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    prompts = [line for line in lines if line][:5]
    if not prompts:
        raise BadInputError(f"{path}: no prompt in it", hint="write one on each line")
    return prompts


def _shown(tuned: "Tuned", out: Path | None) -> str:
    """The flags, what they gain, and what was tried."""
    workload = tuned.workload
    rows = [
        (look.name, f"{look.request_ratio(workload):.3f}", str(len(look.pairs)), "kept" if look.kept else "")
        for look in tuned.found.looks
    ]
    words = (*server_arguments(tuned.flags)[2:], *speculation_arguments(tuned.flags))
    rows += [
        (f"guessing: {one.speculation.ngram}", f"{one.ratio:.3f}", str(len(one.ratios)), _verdict(one))
        for one in tuned.guessed
    ]
    return "\n".join(
        [
            tuned.summary,
            f"  {' '.join(words)}",
            "",
            aligned(("tried", "ratio", "pairs", ""), rows, right=frozenset({1, 2})),
            *(f"  refused: {reason}" for reason in tuned.found.refused),
            *(f"  no time left for: {axis}" for axis in tuned.found.left_out),
            *([f"written to {out}"] if out else []),
        ]
    )


def _verdict(guessed: "Guessed") -> str:
    return "faster" if guessed.wins else "" if guessed.same else "other answers"
