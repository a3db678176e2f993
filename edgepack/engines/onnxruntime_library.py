"""onnxruntime: an encoder's file opened on the CPU, its failures translated; not what is asked of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgepack.domain.encoder import HINT, IDS, MASK, TYPES, EncoderDescription
from edgepack.domain.errors import BadInputError, NoSpaceError
from edgepack.domain.measurement import Runtime
from edgepack.domain.weights import Weights, WeightsFormat
from edgepack.engines.onnxruntime_checking import checked
from edgepack.infra.digests import sha256_of
from edgepack.infra.extras import onnx_extra

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

_FATAL = 4  # what goes wrong is raised as well: onnxruntime's log would say it twice


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenEncoder:
    """An encoder in memory, with its tokenizer."""

    path: Path
    said: EncoderDescription
    session: Any
    """onnxruntime.InferenceSession, which has no types."""
    tokenizer: "Tokenizer"
    inputs: frozenset[str]


def runtime() -> Runtime:
    """The library."""
    with onnx_extra():
        import onnxruntime
    return Runtime(
        name="onnxruntime", version=onnxruntime.__version__, build=onnxruntime.get_build_info(),
        system_info=" ".join(onnxruntime.get_available_providers()),
    )  # fmt: skip


def describe(path: Path) -> EncoderDescription:
    """What an encoder's file says of itself; raises BadInputError for one that `edgepack convert` did not make."""
    return checked(path, _read(path))[0]


def identify(weights: Path, *, memo: Path | None = None, advance: Callable[[int], None] | None = None) -> Weights:
    """An encoder's file, by its metadata and sha256; `memo` and `advance` as in `sha256_of`."""
    said = describe(weights)
    return Weights(
        path=weights, sha256=sha256_of(weights, memo=memo, advance=advance), size=weights.stat().st_size,
        name=said.name, architecture=said.architecture, quant=said.quant, parameters=said.parameters,
        context_length=said.context_length, format=WeightsFormat.ONNX,
    )  # fmt: skip


def open_encoder(path: Path, *, threads: int) -> OpenEncoder:
    """Load an encoder's file; raises BadInputError for one that is not as `edgepack convert` makes them."""
    data = _read(path)
    said, tokenizer = checked(path, data)
    made = session(path, data, threads)
    inputs = frozenset(given.name for given in made.get_inputs())
    return OpenEncoder(path=path, said=said, session=made, tokenizer=_tokenizer(path, tokenizer), inputs=inputs)


def run(encoder: OpenEncoder, encoding: "Encoding") -> npt.NDArray[np.float32]:
    """What the graph gives for one text; raises BadInputError where it gives no numbers."""
    columns = {IDS: encoding.ids, MASK: encoding.attention_mask, TYPES: encoding.type_ids}
    fed = {name: np.array([columns[name]], np.int64) for name in encoder.inputs}
    with translated(encoder.path):
        (given,) = encoder.session.run(None, fed)
    values: npt.NDArray[np.float32] = given
    wanted = (1, *encoder.said.shape(len(encoding.ids)))
    if values.dtype != np.float32 or values.shape != wanted:
        raise BadInputError(f"{encoder.path}: the graph gives {values.shape} numbers, not {wanted}", hint=HINT)
    if not np.isfinite(values).all():
        raise BadInputError(f"{encoder.path}: the graph gives no finite numbers", hint=HINT)
    return values.reshape(wanted[1:])


def encoded(encoder: OpenEncoder, text: str, number: int) -> "Encoding":
    """A text's tokens; raises BadInputError for none, for too many, and for those that the model does not have."""
    encoding = tokenized(encoder, text)
    count, most = len(encoding.ids), encoder.said.context_length
    if not 0 < count <= most:
        raise BadInputError(
            f"{encoder.path}: text {number} has {count} tokens, and the model takes 1 to {most}",
            hint="cut the text into shorter ones",
        )
    if max(encoding.ids) >= encoder.said.vocabulary:
        raise BadInputError(
            f"{encoder.path}: its tokenizer gives token {max(encoding.ids)} of {encoder.said.vocabulary}", hint=HINT
        )
    return encoding


def tokenized(encoder: OpenEncoder, text: str) -> "Encoding":
    """A text's tokens, however many; raises BadInputError where the tokenizer fails."""
    with _tokenizing(encoder.path):
        return encoder.tokenizer.encode(text)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """onnxruntime's failures within it are raised as edgepack's."""
    with onnx_extra():
        from onnxruntime.capi import onnxruntime_pybind11_state as state
    failures = (
        state.Fail, state.InvalidArgument, state.NoSuchFile, state.NoModel, state.EngineError, state.RuntimeException,
        state.InvalidProtobuf, state.NotImplemented, state.InvalidGraph, state.EPFail, RuntimeError, ValueError,
    )  # fmt: skip
    try:
        yield
    except MemoryError as error:
        raise NoSpaceError(
            f"{path}: memory does not hold it", hint="free memory, or choose a smaller model"
        ) from error
    except failures as error:
        said = " ".join(str(error).split())
        raise BadInputError(f"{path}: onnxruntime does not run it: {said[:200]}", hint=HINT) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInputError(
            f"{path}: cannot be read: {error.strerror}", hint="check the path and its permissions"
        ) from error


def session(
    path: Path, data: bytes, threads: int, *, spinning: bool = False, pack: bool = True, beside: bool = False
) -> Any:
    """An InferenceSession on checked bytes; `beside` lets it map the weights that they name in `path`'s folder."""
    with onnx_extra():
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = _FATAL
    # Threads that wait do not take the CPU from others: on a small device others are there.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
    options.add_session_config_entry("session.disable_prepacking", "0" if pack else "1")
    if beside:
        # Mapped where they lie. Given as values they would all be copied.
        folder = str(path.absolute().parent)
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
    with translated(path):
        # From bytes that were checked, so that no other file is ever looked for.
        # Without falling back on another provider, which it would print.
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"], enable_fallback=0)


def _tokenizer(path: Path, text: str) -> "Tokenizer":
    from tokenizers import Tokenizer

    with _tokenizing(path):
        tokenizer = Tokenizer.from_str(text)
        tokenizer.no_truncation()
        tokenizer.no_padding()
    return tokenizer


@contextmanager
def _tokenizing(path: Path) -> Iterator[None]:
    """The tokenizer's failures within it are raised as edgepack's."""
    try:
        yield
    except BaseException as error:  # the library raises Exception itself, and panics beside it
        if type(error) is not Exception and type(error).__name__ not in ("PanicException", "TypeError", "ValueError"):
            raise
        said = " ".join(str(error).split())
        raise BadInputError(f"{path}: its tokenizer does not work ({said[:120]})", hint=HINT) from error
