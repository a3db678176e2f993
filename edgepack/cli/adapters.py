"""The options that choose a LoRA adapter and a converter; `convert` and `build` share both."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from edgepack.domain.adapter import AdapterChoice, AdapterType
from edgepack.domain.converter import Converter
from edgepack.domain.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., Any])


def adapter_options(command: Command) -> Command:
    """Add --adapter, --merge and --adapter-type, which `adapter_of` reads, and --converter."""
    return _adapter(_merge(_type(_converter(command))))


def adapter_of(directory: Path | None, merge: bool, type: str | None, converter: Converter) -> AdapterChoice | None:
    """What the options ask for; raises UsageError where they make no sense together."""
    if directory is None:
        if merge or type:
            given = "--merge" if merge else "--adapter-type"
            raise UsageError(f"{given} without --adapter", hint="name the adapter's directory: --adapter DIR")
        return None
    if converter is Converter.UPSTREAM:
        raise UsageError(
            "--adapter with --converter upstream: only edgepack's own families take adapters",
            hint="merge it into its base model with PEFT, and give that checkpoint",
        )
    if merge and type:
        raise UsageError("--adapter-type with --merge: a merged adapter has no type", hint="leave one of them away")
    chosen = AdapterType(type) if type else AdapterType.F16
    return AdapterChoice(directory=directory, merge=merge, type=chosen)


_adapter = click.option(
    "--adapter", type=click.Path(path_type=Path), metavar="DIR",
    help="A LoRA adapter that PEFT saved; it becomes a GGUF beside the weights.",
)  # fmt: skip
_merge = click.option("--merge", is_flag=True, help="Merge the adapter into the weights, in float32.")
_type = click.option(
    "--adapter-type", type=click.Choice([type.value for type in AdapterType]),
    help="Of the adapter's matrices; default F16.",
)  # fmt: skip
_converter = click.option(
    "--converter", type=click.Choice([converter.value for converter in Converter]), default=Converter.EDGEPACK.value,
    help="`upstream` runs llama.cpp's own converter, for architectures that edgepack has no family for.",
)  # fmt: skip
