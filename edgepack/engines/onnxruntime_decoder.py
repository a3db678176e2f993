"""A decoder through onnxruntime: logits behind tokens, keys and values in buffers; it chooses no token."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any

import numpy as np
import numpy.typing as npt

from edgepack.domain.decoder import DATA_SUFFIX, HINT, LOGITS, DecoderDescription, past, present
from edgepack.domain.encoder import IDS, MASK
from edgepack.domain.errors import BadInputError, NoSpaceError
from edgepack.engines.onnxruntime_decoder_checking import checked_decoder
from edgepack.engines.onnxruntime_library import session, translated
from edgepack.infra.extras import onnx_extra

CHUNK = 512
"""Tokens of a long prompt that are read together."""

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenDecoder:
    """A decoder in memory."""

    path: Path
    said: DecoderDescription
    session: Any
    """onnxruntime.InferenceSession, which has no types."""


class Reader:
    """One text that grows: its keys and values lie in buffers that are made once and written in place."""

    def __init__(self, decoder: OpenDecoder, *, places: int) -> None:
        with onnx_extra():
            from onnxruntime import OrtValue
        said = decoder.said
        if not 0 < places <= said.context_length:
            raise BadInputError(
                f"{decoder.path}: a text of {places} tokens in a context of {said.context_length}",
                hint="give a shorter text",
            )
        self._decoder, self._places, self._wrap = decoder, places, OrtValue.ortvalue_from_numpy
        self.length = 0
        """Tokens read so far."""
        try:
            self._mask = np.ones((1, places), np.int64)
            self._one, self._last = np.zeros((1, 1), np.int64), np.empty((1, 1, said.vocabulary), np.float32)
            shape = (1, said.key_value_heads, places, said.head_width)
            self._kept = [np.zeros(shape, np.float32) for _ in range(2 * said.layers)]
        except MemoryError as error:
            raise NoSpaceError(
                f"{decoder.path}: no memory for {places} tokens", hint="give a shorter text"
            ) from error
        self._binding = decoder.session.io_binding()
        names = [pair for layer in range(said.layers) for pair in zip(past(layer), present(layer), strict=True)]
        for (before, after), buffer in zip(names, self._kept, strict=True):
            value = self._wrap(buffer)
            self._binding.bind_ortvalue_input(before, value)
            self._binding.bind_ortvalue_output(after, value)
        self._one_value, self._last_value = self._wrap(self._one), self._wrap(self._last)

    def forget(self) -> None:
        """Begin a new text in the same buffers."""
        self.length = 0

    def read(self, tokens: Sequence[int]) -> Logits:
        """Logits behind the last token, or with `every` behind each: (rows, vocabulary), good until the next call.

        Raises BadInputError for a token that the model does not have and for more tokens than there are places.
        """
        self._check(tokens)
        if len(tokens) == 1:
            self._one[0, 0] = tokens[0]
            return self._run(self._one_value, 1)
        logits = [
            self._run(self._wrap(np.array([part], np.int64)), len(part)).copy()
            for part in (tokens[start : start + CHUNK] for start in range(0, len(tokens), CHUNK))
        ]
        return np.concatenate(logits) if self._decoder.said.every else logits[-1]

    def _run(self, ids: Any, count: int) -> Logits:
        binding, every = self._binding, self._decoder.said.every and count > 1
        logits = np.empty((1, count, self._last.shape[-1]), np.float32) if every else self._last
        self.length += count
        binding.bind_ortvalue_input(IDS, ids)
        binding.bind_ortvalue_input(MASK, self._wrap(self._mask[:, : self.length]))
        binding.bind_ortvalue_output(LOGITS, self._wrap(logits) if every else self._last_value)
        with translated(self._decoder.path):
            self._decoder.session.run_with_iobinding(binding)
        rows: Logits = logits[0]
        return rows

    def _check(self, tokens: Sequence[int]) -> None:
        path, vocabulary = self._decoder.path, self._decoder.said.vocabulary
        # onnxruntime reads past a table's end without a word.
        wrong = next((token for token in tokens if not 0 <= token < vocabulary), None)
        if wrong is not None:
            raise BadInputError(
                f"{path}: token {wrong} of {vocabulary}", hint="give tokens of this model's vocabulary"
            )
        if not tokens or self.length + len(tokens) > self._places:
            raise BadInputError(
                f"{path}: {len(tokens)} more tokens behind {self.length}, and there are {self._places} places",
                hint="give a shorter text, or more places",
            )


@contextmanager
def opened_decoder(path: Path, *, threads: int, spinning: bool = False, pack: bool = True) -> Iterator[OpenDecoder]:
    """Load a decoder; raises BadInputError for one that is not as `edgepack convert` makes them.

    Threads that wait spin with `spinning`: quicker on a machine where nobody else works. Without `pack` weights are
    not copied into the order in which they are read: for a decoder of float32 that is used once.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read: {error.strerror}", hint="check the path") from error
    said = checked_decoder(path, data)
    _check_weights(path.with_name(path.name + DATA_SUFFIX), said.data_size)
    made = session(path, data, threads, spinning=spinning, pack=pack, beside=True)
    try:
        yield OpenDecoder(path=path, said=said, session=made)
    finally:
        del made


def _check_weights(path: Path, size: int) -> None:
    """All of it is there, and it is no way to another file."""
    try:
        found = path.lstat()
    except OSError as error:
        raise BadInputError(
            f"{path}: the weights cannot be read ({error.strerror})", hint="keep both files together; " + HINT
        ) from error
    if not S_ISREG(found.st_mode) or found.st_size != size:
        what = f"{found.st_size} bytes, not {size}" if S_ISREG(found.st_mode) else "no file, but a way to one"
        raise BadInputError(f"{path}: {what}", hint=HINT)
