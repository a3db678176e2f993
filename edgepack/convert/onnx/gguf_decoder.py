"""A decoder read from a GGUF: numbers from its keys, weights where they lie; what cannot be kept is refused."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np

from edgepack.convert.gguf_head import Entry, read_head
from edgepack.convert.head import RawValue
from edgepack.convert.onnx.decoder_shape import Blocks, DecoderShape, Floats, Slab
from edgepack.convert.onnx.gguf_blocks import BLOCKS, Raw, unpacked
from edgepack.domain.errors import BadInputError
from edgepack.domain.quant import Quant, TensorType

_INTERLEAVED = {"llama": True, "qwen2": False, "qwen3": False}
"""The architectures that are known here, and whether llama.cpp turns neighbours (`llama_model_rope_type`)."""
_FORMS = {
    gguf.GGUFValueType.UINT32: "<I", gguf.GGUFValueType.INT32: "<i", gguf.GGUFValueType.FLOAT32: "<f",
    gguf.GGUFValueType.BOOL: "<?", gguf.GGUFValueType.UINT64: "<Q", gguf.GGUFValueType.UINT16: "<H",
}  # fmt: skip
_FLOATS = {TensorType.F32: "<f4", TensorType.F16: "<f2", TensorType.BF16: "<u2"}
_ENDS = ("eos", "eot", "eom")
_ROPE_BASE = 10000.0  # where the file says none: llama.cpp's
_FACTORS = "rope_freqs.weight"
_SLAB_BYTES = 8 << 20
_AS_GGUF = "run it as the GGUF that it is: onnxruntime cannot hold these weights as they are"


@dataclass(frozen=True, kw_only=True, slots=True)
class GgufDecoder:
    """A GGUF, read as far as its head."""

    path: Path
    keys: Mapping[str, RawValue]
    entries: Mapping[str, Entry]
    used: set[str] = field(default_factory=set)
    """Names of tensors that were asked for."""

    def shape(self) -> DecoderShape:
        """Raises BadInputError for what the graph would not compute as llama.cpp does."""
        architecture = self._text("general.architecture")
        if architecture not in _INTERLEAVED:
            raise BadInputError(
                f"{self.path}: architecture {architecture[:40]!r}; {', '.join(_INTERLEAVED)} become ONNX",
                hint="run it as the GGUF that it is",
            )
        self._refuse_others(architecture)
        heads = self._whole(f"{architecture}.attention.head_count")
        width = self._whole(f"{architecture}.attention.key_length", self._width(architecture, heads))
        shape = DecoderShape(
            architecture=architecture, layers=self._whole(f"{architecture}.block_count"), heads=heads,
            key_value_heads=self._whole(f"{architecture}.attention.head_count_kv", heads), head_width=width,
            epsilon=self._number(f"{architecture}.attention.layer_norm_rms_epsilon"),
            context_length=self._whole(f"{architecture}.context_length"),
            frequencies=self._frequencies(architecture, width), interleaved=_INTERLEAVED[architecture],
        )  # fmt: skip
        if not 0 < shape.key_value_heads <= heads or heads % shape.key_value_heads or width % 2 or width < 2:
            raise self._bad(f"{heads} heads of {width}, {shape.key_value_heads} of them kept", "make it again")
        return shape

    @property
    def name(self) -> str:
        """general.name, or the file's without one."""
        return self._text("general.name") if "general.name" in self.keys else self.path.stem

    @property
    def quant(self) -> Quant | None:
        said = self._whole("general.file_type", 0)
        return next((quant for quant in Quant if quant.file_type == said), None)

    @property
    def parameters(self) -> int:
        return sum(int(np.prod(entry.shape)) for entry in self.entries.values())

    @property
    def size(self) -> int:
        """Bytes of its weights as ONNX, about: a float32 for each block, or for each weight that has none."""
        sizes = (
            (int(np.prod(entry.shape)), BLOCKS.get(entry.type, Blocks(bits=32, size=32)))
            for entry in self.entries.values()
        )
        return sum(count // blocks.size * (blocks.bytes + 4) for count, blocks in sizes)

    @property
    def ends(self) -> tuple[int, ...]:
        """Tokens at which generation stops, as far as the keys name them."""
        named = (f"tokenizer.ggml.{end}_token_id" for end in _ENDS)
        return tuple(sorted({self._whole(key) for key in named if key in self.keys}))

    def __contains__(self, name: str) -> bool:
        return self._entry(name) is not None

    def matrix(self, name: str) -> "GgufMatrix":
        """Raises BadInputError for a type that would have to be rounded, and for a tensor that is not there."""
        entry = self._required(name, dimensions=2)
        if entry.type not in BLOCKS and entry.type not in _FLOATS:
            kept = ", ".join(type.name for type in (*BLOCKS, *_FLOATS))
            raise self._bad(
                f"tensor {entry.name} is {entry.type.name}; {kept} become ONNX without loss",
                "quantize the model to Q8_0, Q6_K, or Q4_0 without an importance matrix; or run it as the GGUF",
            )
        return GgufMatrix(path=self.path, entry=entry)

    def vector(self, name: str) -> Floats:
        entry = self._required(name, dimensions=1)
        if entry.type not in _FLOATS:
            raise self._bad(f"tensor {entry.name} is {entry.type.name}, no vector of floats", _AS_GGUF)
        (values,) = _rows(self.path, entry, 1)
        return _widened(values[0], entry.type)

    def refuse_left_over(self) -> None:
        """Raise BadInputError for tensors that nobody asked for: the graph would leave out what they do."""
        left = sorted(self.entries.keys() - self.used)
        if left:
            raise self._bad(f"tensor {left[0]} and {len(left) - 1} more are none that the graph has", _AS_GGUF)

    def _entry(self, name: str) -> Entry | None:
        return self.entries.get(name if name.endswith(".bias") else f"{name}.weight")

    def _required(self, name: str, *, dimensions: int) -> Entry:
        entry = self._entry(name)
        if entry is None or len(entry.shape) != dimensions:
            raise self._bad(f"no tensor {name} of {dimensions} dimensions", "make it again from its checkpoint")
        self.used.add(entry.name)
        return entry

    def _refuse_others(self, architecture: str) -> None:
        scaling = self._text_or_none(f"{architecture}.rope.scaling.type")
        if scaling not in (None, "none", "linear"):
            raise self._bad(f"rotary places scaled by {scaling[:40]!r}", _AS_GGUF)
        for key in ("attention.causal", "pooling_type"):
            if f"{architecture}.{key}" in self.keys:
                raise self._bad("it gives vectors of texts and writes none", "run it as the GGUF that it is")
        if self._whole("split.count", 1) > 1:
            raise self._bad("a part of a split GGUF", "merge the parts with llama-gguf-split --merge")

    def _width(self, architecture: str, heads: int) -> int:
        hidden = self._whole(f"{architecture}.embedding_length")
        if heads < 1:
            raise self._bad("no heads", "make it again from its checkpoint")
        return hidden // heads

    def _frequencies(self, architecture: str, width: int) -> Floats:
        if self._whole(f"{architecture}.rope.dimension_count", width) != width:
            raise self._bad("rotary places in a part of each head", _AS_GGUF)
        base = self._number(f"{architecture}.rope.freq_base", _ROPE_BASE)
        exponents = np.arange(0, width, 2, dtype=np.float64) / width
        frequencies = base**-exponents
        if _FACTORS in self.entries:
            frequencies = frequencies / self.vector(_FACTORS.removesuffix(".weight")).astype(np.float64)
        return (frequencies / self._number(f"{architecture}.rope.scaling.factor", 1.0)).astype(np.float32)

    def _whole(self, key: str, silent: int | None = None) -> int:
        value = self._number(key, silent)
        if value != int(value) or value < 0:
            raise self._bad(f"{key}: expected a whole number, got {value:g}", "make it again from its checkpoint")
        return int(value)

    def _number(self, key: str, silent: float | None = None) -> float:
        found = self.keys.get(key)
        if found is None and silent is not None:
            return silent
        form = _FORMS.get(found.type) if found else None
        if found is None or form is None:
            raise self._bad(f"{key}: expected a number", "make it again from its checkpoint")
        return float(struct.unpack(form, found.value)[0])

    def _text(self, key: str) -> str:
        found = self._text_or_none(key)
        if found is None:
            raise self._bad(f"{key}: expected a text", "make it again from its checkpoint")
        return found

    def _text_or_none(self, key: str) -> str | None:
        found = self.keys.get(key)
        if found is None or found.type is not gguf.GGUFValueType.STRING:
            return None
        return bytes(found.value[8:]).decode()

    def _bad(self, what: str, hint: str) -> BadInputError:
        return BadInputError(f"{self.path}: {what}", hint=hint)


@dataclass(frozen=True, kw_only=True, slots=True)
class GgufMatrix:
    """One tensor, read in slabs."""

    path: Path
    entry: Entry

    @property
    def rows(self) -> int:
        return self.entry.shape[0]

    @property
    def columns(self) -> int:
        return self.entry.shape[1]

    @property
    def blocks(self) -> Blocks | None:
        return BLOCKS.get(self.entry.type)

    def slabs(self) -> Iterator[Slab]:
        for raw in self._raw():
            yield unpacked(raw, self.entry.type)

    def floats(self) -> Iterator[Floats]:
        for raw in self._raw():
            yield _widened(raw, self.entry.type)

    def _raw(self) -> Iterator[Raw]:
        row = self.entry.type.row_bytes(self.columns)
        return _rows(self.path, self.entry, max(1, _SLAB_BYTES // row))


def open_gguf_decoder(path: Path) -> GgufDecoder:
    """Raises BadInputError for a file that is no whole GGUF."""
    head = read_head(path)
    for entry in head.entries:
        try:
            fits = entry.offset + entry.size <= head.end
        except (ValueError, ZeroDivisionError, IndexError):
            fits = False
        if not fits:
            raise BadInputError(f"{path}: tensor {entry.name[:60]!r} is not whole", hint="make it again")
    return GgufDecoder(path=path, keys=head.keys, entries={entry.name: entry for entry in head.entries})


def _rows(path: Path, entry: Entry, count: int) -> Iterator[Raw]:
    """As they lie, `count` at a time."""
    row = entry.type.row_bytes(entry.shape[-1])
    rows = entry.size // row
    with path.open("rb") as file:
        file.seek(entry.offset)
        for first in range(0, rows, count):
            taken = min(count, rows - first)
            yield np.frombuffer(file.read(taken * row), np.uint8).reshape(taken, row)


def _widened(raw: Raw, type: TensorType) -> Floats:
    values = raw.view(_FLOATS[type])
    if type is TensorType.BF16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32)
