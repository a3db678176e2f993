"""What makes blocks of floats: our own kernels where they give the bits they should; ggml for the rest."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgepack.convert.ggml import Ggml, load_ggml
from edgepack.domain.errors import UsageError
from edgepack.domain.progress import Progress
from edgepack.domain.quant import TensorType
from edgepack.kernels.building import NoCompiler, library
from edgepack.kernels.expected import EXPECTED, digest
from edgepack.kernels.library import MADE, Kernels, open_kernels, runnable
from edgepack.kernels.recipe import Variant

_VARIABLE = "EDGEPACK_KERNELS"


@dataclass(frozen=True, slots=True)
class Quantizer:
    """ggml, and the kernels with the types for which they are trusted. Calls may run on any thread."""

    ggml: Ggml
    kernels: Kernels | None = None
    trusted: frozenset[TensorType] = frozenset()

    def quantize(
        self,
        type: TensorType,
        source: npt.NDArray[np.float32],
        target: npt.NDArray[np.uint8],
        rows: int,
        importance: npt.NDArray[np.float32] | None = None,
    ) -> int:
        """Quantize `rows` rows of float32 from `source` into `target`; returns the bytes written."""
        chosen = self.kernels if self.kernels and type in self.trusted else self.ggml
        return chosen.quantize(type, source, target, rows, importance)

    def at_once(self, type: TensorType) -> Kernels | None:
        """What makes blocks of the type out of stored rows, without float32 between; ggml does not."""
        return self.kernels if type in self.trusted else None


def load_quantizer(types: Collection[TensorType], progress: Progress) -> Quantizer:
    """The quantizer for some types, ready for threads. Raises UsageError for an EDGEPACK_KERNELS that is none."""
    ggml = load_ggml()
    for type in types:
        ggml.prepare(type)
    found = kernels_library(progress) if MADE.intersection(types) else None
    if found is None:
        return Quantizer(ggml)
    try:
        kernels = open_kernels(*found)
    except OSError as error:  # a file of another system's
        progress.warn(f"quantizing by ggml's own functions, which take longer: {error}")
        return Quantizer(ggml)
    wanted = kernels.gains.intersection(types)
    trusted = frozenset(type for type in wanted if _is_right(kernels, type))
    if wanted - trusted:
        names = ", ".join(sorted(type.name for type in wanted - trusted))
        progress.warn(f"the {kernels.variant} kernels do not give ggml's bits for {names} here: ggml makes them")
    return Quantizer(ggml, kernels, trusted)


def kernels_library(progress: Progress) -> tuple[Variant, Path] | None:
    """The kernels for this machine, or of the variant that EDGEPACK_KERNELS names; None for ggml.

    Raises UsageError where the variable names none.
    """
    said = os.environ.get(_VARIABLE, "")
    here = runnable()
    if said == "ggml" or not here:
        return None
    if said not in ("", *here):
        raise UsageError(
            f"{_VARIABLE}={said}: no kernels of that name run here",
            hint=f"leave it empty, or choose one of: ggml, {', '.join(here)}",
        )
    variant = Variant(said) if said else here[0]
    try:
        return variant, library(variant, progress)
    except NoCompiler as error:
        progress.step(f"quantizing by ggml's own functions, which take longer: {error}")
        return None


@cache
def _is_right(kernels: Kernels, type: TensorType) -> bool:
    """Whether they make of a sample what ggml makes of it on x86-64.

    Not what the ggml of this machine makes of it: compiled for another processor, it fuses and gives other bits.
    """
    return digest(kernels, type) == EXPECTED[type]
