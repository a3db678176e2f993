"""A GGUF of a model's exact shape, tensors and types, filled with arbitrary blocks: for its speed and its memory."""

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

from edgepack.convert.family import GeneratedTensor
from edgepack.convert.filling import reserved
from edgepack.convert.following import Frontier, digest_behind
from edgepack.convert.ggml import Ggml, load_ggml
from edgepack.convert.layout import Placed, add_tensors, write_head
from edgepack.convert.metadata import write_hyperparameters, write_quant_keys
from edgepack.convert.outline import Outline
from edgepack.convert.quantizer import Quantizer
from edgepack.convert.slabs import SlabWriter, write_at
from edgepack.convert.typeplan import Mixture
from edgepack.convert.vocabulary import TokenType
from edgepack.domain.progress import Bar, Progress
from edgepack.domain.quant import Quant, TensorType
from edgepack.domain.weights import SYNTHETIC_KEY

# Weights that are quantized in earnest, for each type; a tensor repeats them from a place of its own on.
_PATTERN = 1 << 20
# Bytes a write.
_STRIDE = 4 << 20
# As a freshly initialised transformer has them: with norms of one, activations stay near one and are never denormal.
_DEVIATION = 0.02
# The centres of what is not spread around zero. A decay (`ssm_a`) must be below zero, or a state grows without end;
# softplus makes 0.02 of a step (`ssm_dt.bias`).
_CENTRES = (("norm.weight", 1.0), (".ssm_a", -4.0), (".ssm_d", 1.0), (".ssm_dt.bias", -4.0))


def write_synthetic(outline: Outline, name: str, quant: Quant, path: Path, *, progress: Progress) -> str:
    """Write what a conversion of such a model to `quant` would, but for values and vocabulary; returns its sha256.

    `path` must not exist. Each weight is finite and of a trained model's magnitude. The same bytes each time.
    """
    tensors = outline.plan.types(Mixture(quant=quant))
    writer = gguf.GGUFWriter(None, outline.architecture)
    add_tensors(writer, tensors)
    _write_keys(outline, name, writer)
    write_quant_keys(quant, writer)
    placed, size = write_head(writer, path, tensors)
    frontier = Frontier([*(tensor.offset for tensor in placed[1:]), size])
    with (
        reserved(path, size) as target,
        progress.bar(f"synthetic {name} {quant}", size, "B") as bar,
        digest_behind(target, frontier) as digest,
    ):
        filler = _Filler(load_ggml(), target, bar)
        for index, tensor in enumerate(placed):
            filler.fill(tensor)
            frontier.reached(index)
    return digest[0]


def _write_keys(outline: Outline, name: str, writer: gguf.GGUFWriter) -> None:
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(f"{name} (synthetic)")
    writer.add_bool(SYNTHETIC_KEY, True)
    write_hyperparameters(outline.family, outline.config, writer)
    rows = {source.name: source.shape[0] for source in outline.plan.sources}
    _write_vocabulary(rows["token_embd.weight"], writer)
    if kinds := rows.get("token_types.weight"):
        writer.add_token_type_count(kinds)  # an encoder's vocabulary says it


def _write_vocabulary(count: int, writer: gguf.GGUFWriter) -> None:
    """One that spells in bytes, of the right length: every program of llama.cpp can begin, read and say something."""
    special = [("<unk>", TokenType.UNKNOWN), ("<s>", TokenType.CONTROL), ("</s>", TokenType.CONTROL)]
    spelt = [(f"<0x{byte:02X}>", TokenType.BYTE) for byte in range(256)]
    # llama.cpp looks for it in every model whose name says phi-3, and refuses one without it.
    phi = ("<|endoftext|>", TokenType.CONTROL)
    others = [(f"▁{number:x}", TokenType.NORMAL) for number in range(count)]
    tokens = [*special, *spelt, phi, *others][:count]
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([text for text, _ in tokens])
    writer.add_token_scores([0.0] * count)
    writer.add_token_types([type for _, type in tokens])


@dataclass(slots=True)
class _Filler:
    """Writes tensors into an open file."""

    ggml: Ggml
    target: int
    bar: Bar
    _patterns: dict[TensorType, npt.NDArray[np.uint8]] = field(default_factory=dict)

    def fill(self, tensor: Placed) -> None:
        if isinstance(tensor.source.origin, GeneratedTensor):
            SlabWriter(Quantizer(self.ggml), self.target, {}).fill_generated(tensor)
            self.bar.advance(tensor.size)
        elif tensor.type is TensorType.F32 and (centre := _centre(tensor.source.name)):
            values = np.resize(self._pattern(TensorType.F32).view(np.float32), tensor.source.elements)
            write_at(self.target, (values + np.float32(centre)).view(np.uint8), tensor.offset)
            self.bar.advance(tensor.size)
        else:
            self._repeat(tensor)

    def _repeat(self, tensor: Placed) -> None:
        pattern, (_, block) = self._pattern(tensor.type), tensor.type.block
        stride = _STRIDE // block * block
        start, done = _place(tensor.source.name, _PATTERN // tensor.type.block[0]) * block, 0
        while done < tensor.size:
            piece = pattern[start : start + min(stride, tensor.size - done)]
            write_at(self.target, piece, tensor.offset + done)
            self.bar.advance(piece.nbytes)
            start, done = 0, done + piece.nbytes

    def _pattern(self, type: TensorType) -> npt.NDArray[np.uint8]:
        """Blocks of the type, enough for a stride from any place in their first repetition."""
        if type not in self._patterns:
            self._patterns[type] = _made(self.ggml, type)
        return self._patterns[type]


def _made(ggml: Ggml, type: TensorType) -> npt.NDArray[np.uint8]:
    values = np.random.default_rng(type.value).standard_normal(_PATTERN, np.float32) * np.float32(_DEVIATION)
    once = np.empty(type.row_bytes(_PATTERN), np.uint8)
    ggml.prepare(type)
    ggml.quantize(type, values, once, 1)
    return np.tile(once, -(-_STRIDE // once.nbytes) + 1)


def _centre(name: str) -> float:
    return next((centre for ending, centre in _CENTRES if name.endswith(ending)), 0.0)


def _place(name: str, blocks: int) -> int:
    """Where a tensor begins in its type's pattern: another place for each, or all layers would be one."""
    return int.from_bytes(sha256(name.encode()).digest()[:8], "little") % blocks
