"""Logits of some GGUFs under llama.cpp beside those of one ONNX decoder, piece by piece of a text; it judges none."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgepack.domain.agreement import Agreement
from edgepack.domain.errors import BadInputError
from edgepack.engines.llamacpp_logits import Pieces, forced_logits
from edgepack.engines.onnxruntime_decoder import Reader, opened_decoder

Logits = npt.NDArray[np.float32]


def agreements(reference: Path, candidates: Sequence[Path], pieces: Pieces, *, threads: int) -> tuple[Agreement, ...]:
    """How far each of the GGUFs agrees with `reference`, a decoder that gives every token's logits.

    All are open at once, mapped rather than read; of logits there is a piece of each. Raises BadInputError where
    their vocabularies are not of one size.
    """
    tallies = [_Tally() for _ in candidates]
    theirs = [forced_logits(candidate, pieces, threads=threads) for candidate in candidates]
    for wanted, *found in zip(_reference(reference, pieces, threads), *theirs, strict=True):
        for path, tally, logits in zip(candidates, tallies, found, strict=True):
            if logits.shape != wanted.shape:
                raise BadInputError(
                    f"{path}: {logits.shape[1]} tokens, and its checkpoint has {wanted.shape[1]}",
                    hint="compare files of one model",
                )
            tally.add(logits, wanted)
    return tuple(tally.agreement() for tally in tallies)


def _reference(path: Path, pieces: Pieces, threads: int) -> Iterator[Logits]:
    # Read once and not again: packing would but copy all of it into memory.
    with opened_decoder(path, threads=threads, pack=False) as decoder:
        reader = Reader(decoder, places=sum(map(len, pieces)))
        for piece in pieces:
            yield reader.read(piece)


@dataclass(slots=True)
class _Tally:
    cosines: list[float] = field(default_factory=list)
    divergences: list[float] = field(default_factory=list)
    same: list[bool] = field(default_factory=list)

    def add(self, ours: Logits, theirs: Logits) -> None:
        for one, other in zip(ours, theirs, strict=True):  # row by row: float64 of a whole piece would be large
            mine, wanted = one.astype(np.float64), other.astype(np.float64)
            self.cosines.append(float(mine @ wanted / (np.linalg.norm(mine) * np.linalg.norm(wanted))))
            expected, found = _log_probabilities(wanted), _log_probabilities(mine)
            self.divergences.append(float((np.exp(expected) * (expected - found)).sum()))
            self.same.append(bool(mine.argmax() == wanted.argmax()))

    def agreement(self) -> Agreement:
        return Agreement(
            places=len(self.cosines), cosine=float(np.mean(self.cosines)), worst_cosine=min(self.cosines),
            divergence=float(np.mean(self.divergences)), same_top=float(np.mean(self.same)),
        )  # fmt: skip


def _log_probabilities(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shifted: npt.NDArray[np.float64] = logits - logits.max()
    shifted -= np.log(np.exp(shifted).sum())
    return shifted
