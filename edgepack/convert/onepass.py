"""A checkpoint becomes one GGUF at its final types, in one pass, with no file between."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import gguf

from edgepack.convert.adapter import Adapter
from edgepack.convert.config import read_config
from edgepack.convert.filling import fill_file
from edgepack.convert.fitting import fit, merged
from edgepack.convert.imatrix import ImportanceMatrix, applied, left_out, matrix_keys
from edgepack.convert.layout import add_tensors, write_head
from edgepack.convert.metadata import write_model_keys, write_quant_keys, write_vocabulary_keys
from edgepack.convert.outline import Outline, plan_of
from edgepack.convert.table import family_of
from edgepack.convert.tensors import Source, match, stored_tensors
from edgepack.convert.typeplan import Mixture, TypePlan
from edgepack.domain.progress import Progress
from edgepack.domain.quant import Quant
from edgepack.domain.tuning import TypeOverride


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversion(Outline):
    """A checkpoint read as far as its headers: everything is known but the weights' values."""

    directory: Path
    name: str

    @property
    def sources(self) -> tuple[Source, ...]:
        """Its tensors in the GGUF's order."""
        return self.plan.sources

    def write_keys(self, writer: gguf.GGUFWriter) -> None:
        """All that the GGUF says of the model but how it is quantized; the writer holds all tensors."""
        write_model_keys(self.directory, self.name, self.family, self.config, writer)
        write_vocabulary_keys(self.directory, self.family, self.config, writer)


class Convertible(Protocol):
    """What a quantized GGUF is made of, known but for the weights' values."""

    @property
    def name(self) -> str:
        """The model's."""

    @property
    def architecture(self) -> str:
        """By llama.cpp's name."""

    @property
    def parameters(self) -> int:
        """Weights, counted."""

    @property
    def context_length(self) -> int:
        """Tokens that the model was made for."""

    @property
    def plan(self) -> TypePlan:
        """Its tensors, and their types for every quantization."""

    def write_keys(self, writer: gguf.GGUFWriter) -> None:
        """Add all that it says of itself but how it is quantized."""


def open_conversion(directory: Path, name: str, *, merge: Adapter | None = None) -> Conversion:
    """Read config and tensor headers, and match them against their family; raises BadInputError.

    With an adapter to merge it is the conversion of the merged model, saved in float32.
    """
    config = read_config(directory)
    family = family_of(config)
    stored = stored_tensors(directory)
    config = family.noticed(family.complete(config), stored)
    sources = match(family, config, stored)
    if merge:
        sources = merged(fit(merge, family, sources), sources)
    plan = plan_of(family, config, sources)
    return Conversion(directory=directory, name=name, family=family, config=config, plan=plan)


def write_gguf(
    conversion: Convertible,
    quant: Quant,
    path: Path,
    *,
    threads: int,
    progress: Progress,
    overrides: tuple[TypeOverride, ...] = (),
    matrix: ImportanceMatrix | None = None,
) -> str:
    """Write the quantized GGUF to `path`, which must not exist; returns its sha256.

    Memory stays at a few slabs a thread. After an error the file is incomplete; the caller removes it.
    Raises what `applied` raises before anything is written.
    """
    tensors = conversion.plan.types(Mixture(quant=quant, overrides=overrides, weighed=matrix is not None))
    importances = applied(matrix, tensors)
    if matrix and (bare := left_out(importances, tensors)):
        progress.warn(f"{matrix.name} says nothing of {len(bare)} tensors ({bare[0]}): these are made without it")
    writer = gguf.GGUFWriter(None, conversion.architecture)
    add_tensors(writer, tensors)
    conversion.write_keys(writer)
    write_quant_keys(quant, writer)
    if matrix:
        writer.kv_data[0].update(matrix_keys(matrix))
    placed, size = write_head(writer, path, tensors)
    return fill_file(
        placed, size, path, threads=threads, progress=progress, label=f"{conversion.name} {quant}",
        importances=importances,
    )  # fmt: skip
