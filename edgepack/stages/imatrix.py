"""The importance matrix that a conversion is tuned with: a file that is there, or one computed once in the store."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import assert_never

import edgepack
from edgepack.convert.imatrix import ImportanceMatrix, read_matrix, write_matrix
from edgepack.convert.onepass import Convertible, write_gguf
from edgepack.convert.typeplan import Mixture
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Progress
from edgepack.domain.quant import Quant, TensorType
from edgepack.domain.step import Step
from edgepack.domain.tuning import ComputedMatrix, MatrixChoice
from edgepack.engines.llamacpp_imatrix import CHUNK_TOKENS, collect
from edgepack.infra.store import Store, require_space

# Raised whenever the matrix that a model and a text give changes: it is part of the key.
_COLLECTOR = "edgepack-imatrix/1"
_FILE = "imatrix.gguf"
_LONGEST_TEXT = 1 << 24
"""Bytes; some four million tokens, days of computing."""


def find_matrix(
    choice: MatrixChoice | None,
    conversion: Convertible,
    *,
    weights: Mapping[str, str],
    llama_cpp: str,
    store: Store,
    threads: int,
    progress: Progress,
) -> ImportanceMatrix | None:
    """The matrix that the user chose, read and checked; None where none was.

    `weights` are the digests that the conversion's weights depend on, by name. Raises BadInputError for a file or
    a text that cannot be used.
    """
    match choice:
        case None:
            return None
        case Path():
            return read_matrix(choice)
        case ComputedMatrix(calibration=calibration):
            text = calibration or Path(edgepack.__file__).parent / "data" / "calibration.txt"
            path = _computed(text, conversion, weights, llama_cpp, store, threads, progress)
            progress.step(f"importance matrix of {conversion.name}: {path}")
            return read_matrix(path)
        case _:
            assert_never(choice)


def _computed(
    calibration: Path,
    conversion: Convertible,
    weights: Mapping[str, str],
    llama_cpp: str,
    store: Store,
    threads: int,
    progress: Progress,
) -> Path:
    data = _read(calibration)
    step = Step(
        name="imatrix",
        inputs={**weights, "calibration": sha256(data).hexdigest()},
        parameters={
            "dataset": calibration.name,
            "quant": _precision(conversion),
        },
        tool=f"{_COLLECTOR} {llama_cpp}",
    )

    def make(place: Path) -> None:
        progress.step(f"computing an importance matrix of {conversion.name} on {calibration.name}")
        _make(place, _text(calibration, data), calibration.name, conversion, threads, progress)

    entry, _ = store.get_or_make(step, make)
    return entry.path / _FILE


def _make(place: Path, text: str, dataset: str, conversion: Convertible, threads: int, progress: Progress) -> None:
    """Run the model at the checkpoint's precision; its GGUF goes again before the store keeps the directory."""
    quant = _precision(conversion)
    require_space(place, conversion.plan.size(Mixture(quant=quant)), f"{conversion.name} {quant}")
    full = place / "full.gguf"
    write_gguf(conversion, quant, full, threads=threads, progress=progress)
    found = collect(full, text, threads=threads, progress=progress)
    full.unlink()
    write_matrix(
        place / _FILE, found.sums, found.counts, chunks=found.chunks, chunk_tokens=CHUNK_TOKENS, dataset=dataset
    )


def _precision(conversion: Convertible) -> Quant:
    """Of 16 bits the kind that loses nothing, or for float32 the one that loses less."""
    return Quant.BF16 if conversion.plan.stored(TensorType.BF16) else Quant.F16


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > _LONGEST_TEXT:
            raise BadInputError(
                f"{path}: a calibration text of {size:,} bytes", hint=f"give one of at most {_LONGEST_TEXT:,} bytes"
            )
        return path.read_bytes()
    except OSError as error:
        raise BadInputError(
            f"{path}: cannot be read: {error.strerror}", hint="check the path of --calibration and its permissions"
        ) from error


def _text(path: Path, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BadInputError(
            f"{path}: byte {error.start} is not UTF-8", hint="save the calibration text as UTF-8"
        ) from error
