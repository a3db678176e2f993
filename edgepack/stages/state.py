"""The prompt state that rides in a bundle: read from a file of text, computed once, kept in the store."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from edgepack.domain.adapter import AdapterWeights
from edgepack.domain.bundle import PromptState, RuntimeFlags
from edgepack.domain.errors import BadInputError, UsageError
from edgepack.domain.progress import Progress
from edgepack.domain.step import Step
from edgepack.domain.weights import Weights
from edgepack.infra.digests import sha256_of
from edgepack.infra.kept import keep_file
from edgepack.infra.store import Store

# Raised whenever the state that a model and a prompt give changes: it is part of the key.
_MAKER = "edgepack-state/1"
_LONGEST = 1 << 20
"""Bytes of a prompt."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptState:
    """A state in the store, and what it is the state after."""

    path: Path
    system_prompt: str
    state: PromptState


def read_system_prompt(path: Path) -> str:
    """The text, without its last newlines, which a shell would drop. Raises BadInputError where it is none."""
    try:
        text = path.read_bytes()[: _LONGEST + 1].decode().replace("\r\n", "\n").rstrip("\n")
    except OSError as error:
        what = f"--system-prompt {path}: cannot be read: {error.strerror}"
        raise BadInputError(what, hint="check the path and who may read it") from error
    except UnicodeDecodeError as error:
        what = f"--system-prompt {path}: byte {error.start} is not UTF-8"
        raise BadInputError(what, hint="save it as UTF-8") from error
    if not text.strip() or len(text) >= _LONGEST:
        what = f"--system-prompt {path}: {len(text)} characters are no prompt"
        raise BadInputError(what, hint="give a text, shorter than the context")
    return text


def prompt_state(
    system: str,
    weights: Weights,
    adapter: AdapterWeights | None,
    *,
    flags: RuntimeFlags,
    llama_cpp: str,
    store: Store,
    threads: int,
    progress: Progress,
) -> KeptState:
    """The state after `system`, out of the store or computed now.

    Raises UsageError where the context does not hold it, BadInputError where the model has no use for one.
    """
    from edgepack.engines.llamacpp_state import prefix_tokens, save_state, state_of

    tokens = prefix_tokens(weights.path, system)
    if len(tokens) >= flags.context:
        raise UsageError(
            f"--system-prompt: {len(tokens)} tokens in a context of {flags.context}", hint="give a larger --ctx"
        )
    step = Step(
        name="prompt-state",
        inputs={
            "weights": weights.sha256,
            "system": sha256(system.encode()).hexdigest(),
            **({"adapter": adapter.sha256} if adapter else {}),
        },
        parameters={
            "cache": " ".join(flags.cache_types),
            "flash_attention": flags.flash_attention,
            "batch": f"{flags.batch} {flags.micro_batch}",
        },
        tool=f"{_MAKER} {llama_cpp}",
    )

    def make(path: Path) -> str:
        progress.step(f"reading the system prompt of {len(tokens)} tokens")
        beside = adapter.path if adapter else None
        save_state(weights.path, tokens, path, adapter=beside, flags=flags, threads=threads)
        return sha256_of(path)

    kept, _ = keep_file(store, step, "prefix.bin", make)
    return KeptState(path=kept.path, system_prompt=system, state=state_of(kept.path))
