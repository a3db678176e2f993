"""What a decoder's layers are made of, as nodes: matrices of any blocks, norms, embeddings; it knows no layer."""

from collections.abc import Iterator

import numpy as np

from edgepack.convert.onnx.decoder_data import Bytes
from edgepack.convert.onnx.decoder_graph import DecoderGraph
from edgepack.convert.onnx.decoder_shape import DecoderWeights, Floats, Matrix
from edgepack.convert.onnx.graph import CONTRIB
from edgepack.domain.encoder import EMBED_BLOCKS, MULTIPLY_BLOCKS
from edgepack.domain.errors import BadInputError

_UINT8, _FLOAT32 = np.dtype(np.uint8), np.dtype(np.float32)
_INT8 = 4
"""MatMulNBits' accuracy_level at which activations are 8 bits too, as llama.cpp's are; the others halve decode."""
_TABLE = "token_embd"


class DecoderParts:
    """A graph under construction and its weights."""

    def __init__(self, graph: DecoderGraph, weights: DecoderWeights, epsilon: float) -> None:
        self.graph = graph
        self.weights = weights
        self.epsilon = epsilon

    def linear(self, x: str, *names: str) -> str:
        """Matrices of the same blocks and their biases; of several one after the other in the last dimension."""
        matrices = [self.weights.matrix(name) for name in names]
        bias = self._bias(names, matrices)
        if matrices[0].blocks is None:
            product = self._multiplied(x, self._floats(names[0], matrices))
            return self.graph.node("Add", product, bias) if bias else product
        rows, count = sum(matrix.rows for matrix in matrices), _count(matrices[0])
        shape = [rows, count, matrices[0].blocks.bytes]
        codes, scales = self._blocks(names[0], matrices, shape, [rows * count])
        return self._multiplied_blocks(x, codes, scales, matrices, bias)

    def alike(self, *names: str) -> bool:
        """Whether the matrices can be one: all have the same blocks."""
        return len({self.weights.matrix(name).blocks for name in names}) == 1

    def embedding(self, ids: str) -> str:
        """A row of the table for each token."""
        table = self.weights.matrix(_TABLE)
        if table.blocks is None:
            return self.graph.node("Gather", self._floats(_TABLE, [table]), ids)
        rows, count = table.rows, _count(table)
        codes, scales = self._blocks(_TABLE, [table], [rows, count * table.blocks.bytes], [rows, count])
        return self.graph.node(
            EMBED_BLOCKS, codes, ids, scales, domain=CONTRIB, bits=table.blocks.bits, block_size=table.blocks.size,
            gather_axis=0, quantize_axis=1,
        )  # fmt: skip

    def head(self, x: str) -> str:
        """Logits: by a matrix of its own, or by the table of embeddings, whose bytes it then shares."""
        if "output" in self.weights:
            return self.linear(x, "output")
        table = self.weights.matrix(_TABLE)
        if table.blocks is None:
            return self._multiplied(x, f"{_TABLE}.weight")
        rows, count = table.rows, _count(table)
        codes = self.graph.same("output.weight", f"{_TABLE}.weight", [rows, count, table.blocks.bytes])
        scales = self.graph.same("output.scales", f"{_TABLE}.scales", [rows * count])
        return self._multiplied_blocks(x, codes, scales, [table], "")

    def norm(self, x: str, name: str) -> str:
        """Divided by the root of its mean square."""
        return self.graph.node(
            "SimplifiedLayerNormalization", x, self._vector(name), axis=-1, epsilon=self.epsilon, stash_type=1
        )

    def norm_of_sum(self, x: str, added: str, name: str) -> tuple[str, str]:
        """The norm of a sum, and the sum."""
        normed, _, _, total = self.graph.nodes(
            "SkipSimplifiedLayerNormalization", x, added, self._vector(name), count=4, domain=CONTRIB,
            epsilon=self.epsilon,
        )  # fmt: skip
        return normed, total

    def gated(self, gate: str, up: str) -> str:
        """silu(gate) * up."""
        return self.graph.node("Mul", self.graph.node("QuickGelu", gate, domain=CONTRIB, alpha=1.0), up)

    def _vector(self, name: str) -> str:
        return self.graph.tensor(f"{name}.weight", self.weights.vector(name))

    def _bias(self, names: tuple[str, ...], matrices: list[Matrix]) -> str:
        """Of all, zeros for those that have none; nothing where none has."""
        named = [f"{name}.bias" for name in names]
        if not any(name in self.weights for name in named):
            return ""
        values = [
            self.weights.vector(name) if name in self.weights else np.zeros(matrix.rows, np.float32)
            for name, matrix in zip(named, matrices, strict=True)
        ]
        for name, value, matrix in zip(named, values, matrices, strict=True):
            if value.shape != (matrix.rows,):
                raise BadInputError(f"{name}: not of {matrix.rows} numbers", hint="make the weights again")
        return self.graph.tensor(named[0], np.concatenate(values))

    def _multiplied(self, x: str, weight: str) -> str:
        # Rows stand as they are stored, so that a tied head shares the table's bytes.
        return self.graph.node("FusedMatMul", x, weight, domain=CONTRIB, transB=1)

    def _multiplied_blocks(self, x: str, codes: str, scales: str, matrices: list[Matrix], bias: str) -> str:
        blocks = matrices[0].blocks
        assert blocks is not None
        return self.graph.node(
            MULTIPLY_BLOCKS, x, codes, scales, *(("", "", bias) if bias else ()), domain=CONTRIB,
            K=matrices[0].columns, N=sum(matrix.rows for matrix in matrices), bits=blocks.bits,
            block_size=blocks.size, accuracy_level=_INT8,
        )  # fmt: skip

    def _floats(self, name: str, matrices: list[Matrix]) -> str:
        shape = [sum(matrix.rows for matrix in matrices), matrices[0].columns]
        pieces = (rows for matrix in matrices for rows in matrix.floats())
        return self.graph.large(f"{name}.weight", shape, _FLOAT32, map(_finite, pieces))

    def _blocks(
        self, name: str, matrices: list[Matrix], shape: list[int], scales_shape: list[int]
    ) -> tuple[str, str]:
        scales: list[Floats] = []  # a thirtieth of the codes: kept until those are written

        def codes() -> Iterator[Bytes]:
            for matrix in matrices:
                for slab in matrix.slabs():
                    scales.append(_finite(slab.scales))
                    yield slab.codes

        weight = self.graph.large(f"{name}.weight", shape, _UINT8, codes())
        return weight, self.graph.large(f"{name}.scales", scales_shape, _FLOAT32, scales)


def _count(matrix: Matrix) -> int:
    assert matrix.blocks is not None
    return matrix.columns // matrix.blocks.size


def _finite(values: Floats) -> Floats:
    if not np.isfinite(values).all():
        raise BadInputError("weights hold NaN or infinity", hint="they are damaged: make or fetch them again")
    return values
