"""Questions to the model on a device by llama-cli, with guessing ahead and without."""

from dataclasses import replace

from edgepack.domain.bundle import RuntimeFlags, Speculation
from edgepack.domain.errors import DeviceError, UsageError
from edgepack.domain.flags import server_arguments, speculation_arguments
from edgepack.domain.guessing import Answer, Ask, parse_answer
from edgepack.domain.native import UNIFIED
from edgepack.stages.device_bench.ready import DeviceBench

_LONGEST = 1800.0
"""Seconds for one answer."""


def asker(bench: DeviceBench, flags: RuntimeFlags, *, tokens: int) -> Ask:
    """Greedy answers of at most `tokens`, under `flags`. Raises UsageError where only llama-bench was brought."""
    program, *words = bench.program.command
    if not words:
        raise UsageError(
            "--examples: the runtime is llama-bench alone", hint=f"give a runtime that has `{UNIFIED}`, all in one"
        )

    def ask(prompt: str, speculation: Speculation | None) -> Answer:
        guessing = speculation_arguments(replace(flags, speculation=speculation))
        greedy = ("-p", prompt, "-n", str(tokens), "--temp", "0", "-st", "--simple-io", "--no-display-prompt")
        call = [program, "cli", "-m", bench.program.model, *server_arguments(flags), *guessing, *greedy]
        done = bench.transport.run(call, timeout=_LONGEST)
        if done.status:
            raise DeviceError(
                f"{bench.transport.device}: llama-cli ended with {done.status}", hint="leave --examples out"
            )
        return parse_answer(done.stdout, prompt)

    return ask
