"""Weights of a model's exact shape and types, made up and kept: speed and memory are measured before a download."""

import json
from hashlib import sha256
from pathlib import Path

from edgepack.convert.config import Config, read_config
from edgepack.convert.outline import config_of, outline
from edgepack.convert.synthetic import write_synthetic
from edgepack.convert.typeplan import Mixture
from edgepack.domain.errors import BadInputError, UsageError
from edgepack.domain.progress import Progress
from edgepack.domain.quant import Quant
from edgepack.domain.step import Step
from edgepack.domain.weights import Weights
from edgepack.infra.kept import keep_file
from edgepack.infra.library import load_catalogue
from edgepack.infra.store import Store, require_space

# Raised whenever the bytes change: it is part of every key.
_WRITER = "edgepack-synthetic/3"
_FORM = "write MODEL:QUANTIZATION, as in qwen3-1.7b:Q4_0"


def synthetic(text: str, *, llama_cpp: str, store: Store, progress: Progress) -> Weights:
    """What `MODEL:QUANTIZATION` asks for, out of the store or made now; `llama_cpp` names the pinned version.

    MODEL is an id of the catalogue, or a directory with a config.json. Raises UsageError for another text,
    BadInputError for a model that edgepack does not convert, NoSpaceError before the disk is full.
    """
    model, _, word = text.rpartition(":")
    if word.upper() not in list(Quant) or not model:
        raise UsageError(f"--synthetic {text}: names no quantization of a model", hint=_FORM)
    name, config = _named(model)
    return synthetic_weights(config, name, Quant(word.upper()), llama_cpp=llama_cpp, store=store, progress=progress)


def synthetic_weights(
    config: Config, name: str, quant: Quant, *, llama_cpp: str, store: Store, progress: Progress
) -> Weights:
    """The same for a model whose config.json is read, or known."""
    shape = outline(config)
    step = Step(
        name="synthetic",
        inputs={"config": sha256(json.dumps(dict(config.table), sort_keys=True).encode()).hexdigest()},
        parameters={"name": name, "quant": quant.value},
        tool=f"{_WRITER} {llama_cpp}",
    )

    def make(path: Path) -> str:
        size = shape.plan.size(Mixture(quant=quant))
        require_space(path.parent, size, f"synthetic {name} {quant}")
        progress.step(f"making up weights like {name} {quant}'s")
        return write_synthetic(shape, name, quant, path, progress=progress)

    kept, made = keep_file(store, step, "synthetic.gguf", make)
    if not made:
        progress.step(f"synthetic {name} {quant} stands in the store")
    return Weights(
        path=kept.path, sha256=kept.sha256, size=kept.size, name=name, architecture=shape.architecture,
        quant=quant, parameters=shape.parameters, context_length=shape.context_length, synthetic=True,
    )  # fmt: skip


def _named(model: str) -> tuple[str, Config]:
    directory = Path(model)
    if directory.is_dir():
        return directory.resolve().name, read_config(directory)
    catalogue = load_catalogue()
    listed = catalogue.find(model)
    if listed is None:
        near = catalogue.nearest(model)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise BadInputError(
            f"--synthetic {model}: no id of the catalogue, no directory",
            hint=f"{hint}`edgepack model list` shows all; a directory needs a config.json only",
        )
    return listed.id, config_of(listed)
