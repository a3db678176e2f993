"""A checkpoint by upstream's converter: its full-precision GGUF, made once in the store, to be quantized by us."""

from math import prod
from pathlib import Path

from edgepack.convert.full_gguf import FullGguf, open_full
from edgepack.convert.tensors import stored_tensors
from edgepack.convert.upstream import outtype, write_full
from edgepack.domain.checkpoint import Checkpoint
from edgepack.domain.plan import refuse_over_3b
from edgepack.domain.progress import Progress
from edgepack.domain.step import Step
from edgepack.infra.digests import sha256_of
from edgepack.infra.kept import keep_file
from edgepack.infra.pinned_source import conversion_scripts
from edgepack.infra.store import Store
from edgepack.infra.upstream_python import find_upstream_python

# Raised whenever the way in which the script is run changes: it is part of every key.
_RUNNER = "edgepack-upstream/1"


def open_upstream(
    checkpoint: Checkpoint, *, llama_cpp: str, store: Store, allow_over_3b: bool, offline: bool, progress: Progress
) -> FullGguf:
    """The checkpoint's GGUF at full precision, out of the store or made now. `llama_cpp` names the pinned version.

    Raises UsageError without an interpreter that has torch, NetworkError without the pinned scripts, BadInputError
    for a checkpoint that upstream refuses, and for one over 3 B.
    """
    name = checkpoint.name
    # Counted before, and all of it: upstream may take minutes, and a part of the tensors alone.
    parameters = sum(prod(tensor.shape) for tensor in stored_tensors(checkpoint.directory).values())
    refuse_over_3b(name, parameters, allowed=allow_over_3b)
    python = find_upstream_python()
    step = Step(
        name="upstream",
        inputs={"checkpoint": checkpoint.digest},
        parameters={"name": name, "outtype": outtype(checkpoint.directory), **python.versions},
        tool=f"{_RUNNER} {llama_cpp}",
    )

    def make(path: Path) -> str:
        scripts = conversion_scripts(offline=offline, progress=progress)
        write_full(path, checkpoint, name, python=python, scripts=scripts, progress=progress)
        return sha256_of(path)

    kept, made = keep_file(store, step, "full.gguf", make)
    if not made:
        progress.step(f"upstream's GGUF of {name} stands in the store")
    return open_full(kept.path, name, sha256=kept.sha256)
