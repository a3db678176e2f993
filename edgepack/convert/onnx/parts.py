"""The parts that encoders are made of, as nodes with weights at one precision; their order is a family's."""

import numpy as np

from edgepack.convert.onnx.blocks8 import quantized
from edgepack.convert.onnx.graph import CONTRIB, Graph
from edgepack.convert.onnx.stored import StoredWeights
from edgepack.domain.encoder import BLOCK, EMBED_BLOCKS, MULTIPLY_BLOCKS
from edgepack.domain.quant import OnnxQuant

FAR = -1e30
"""What is added to the score of a token that is not looked at."""
_INT8 = 4
"""MatMulNBits' accuracy_level at which activations are 8 bits too; the others are 2 to 4 times slower."""


class Parts:
    """A graph under construction, its weights, and how they are kept."""

    def __init__(self, weights: StoredWeights, quant: OnnxQuant) -> None:
        self.graph = Graph()
        self.weights = weights
        self.quant = quant

    def embedding(self, ids: str, name: str) -> str:
        """A row of the table `name` for each id."""
        table = self.weights.values(f"{name}.weight")
        if self.quant is OnnxQuant.F32:
            return self.graph.node("Gather", self.graph.tensor(f"{name}.weight", table), ids)
        codes, scales = quantized(table)
        rows, columns = table.shape
        kept = np.ascontiguousarray(codes.reshape(rows, -1)[:, :columns])
        return self.graph.node(
            EMBED_BLOCKS, self.graph.tensor(f"{name}.weight", kept), ids,
            self.graph.tensor(f"{name}.scales", scales), domain=CONTRIB, bits=8, block_size=BLOCK, gather_axis=0,
            quantize_axis=1,
        )  # fmt: skip

    def table(self, name: str) -> str:
        """A small table, in float32 whatever the rest is."""
        return self.graph.tensor(f"{name}.weight", self.weights.values(f"{name}.weight"))

    def linear(self, x: str, *names: str) -> str:
        """A matrix and its bias, if it has one; of several names one after the other in the last dimension."""
        matrix = np.concatenate([self.weights.values(f"{name}.weight") for name in names])
        biases = [self.weights.values(f"{name}.bias") for name in names if f"{name}.bias" in self.weights]
        bias = self.graph.tensor(f"{names[0]}.bias", np.concatenate(biases)) if biases else ""
        if self.quant is OnnxQuant.Q8:
            return self._multiplied8(x, names[0], matrix, bias)
        kept = self.graph.tensor(f"{names[0]}.weight", np.ascontiguousarray(matrix.T))
        product = self.graph.node("MatMul", x, kept)
        return self.graph.node("Add", product, bias) if bias else product

    def _multiplied8(
        self, x: str, name: str, matrix: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]", bias: str
    ) -> str:
        codes, scales = quantized(matrix)
        rows, columns = matrix.shape
        inputs = [
            x,
            self.graph.tensor(f"{name}.weight", codes),
            self.graph.tensor(f"{name}.scales", scales.reshape(-1)),
        ]
        return self.graph.node(
            MULTIPLY_BLOCKS, *inputs, *(("", "", bias) if bias else ()), domain=CONTRIB, K=columns, N=rows, bits=8,
            block_size=BLOCK, accuracy_level=_INT8,
        )  # fmt: skip

    def norm(self, x: str, name: str, epsilon: float) -> str:
        """Layer normalization; its bias may be absent."""
        scale = self.graph.tensor(f"{name}.weight", self.weights.values(f"{name}.weight"))
        has_bias = f"{name}.bias" in self.weights
        bias = (self.graph.tensor(f"{name}.bias", self.weights.values(f"{name}.bias")),) if has_bias else ()
        return self.graph.node("LayerNormalization", x, scale, *bias, axis=-1, epsilon=epsilon)

    def activation(self, x: str, kind: str) -> str:
        """By transformers' names."""
        if kind == "relu":
            return self.graph.node("Relu", x)
        return self.graph.node("Gelu", x, approximate="none" if kind == "gelu" else "tanh")

    def length(self, ids: str) -> str:
        """Tokens of the longest text, as a vector of one."""
        shape = self.graph.node("Shape", ids)
        return self.graph.node("Slice", shape, self.graph.wholes(1), self.graph.wholes(2))

    def masked(self, mask: str) -> str:
        """What is added to scores (texts, heads, tokens, tokens) so that padding is not looked at."""
        seen = self.graph.node("Cast", self.graph.node("Unsqueeze", mask, self.graph.wholes(1, 2)), to=1)
        unseen = self.graph.node("Sub", self.graph.number(1.0), seen)
        return self.graph.node("Mul", unseen, self.graph.number(FAR))

    def attention(self, queries: str, keys: str, values: str, added: str, *, heads: int, width: int) -> str:
        """Attention over heads of `width`, from (texts, tokens, heads * width) to the same."""
        apart = [self.split(part, heads, width) for part in (queries, keys, values)]
        return self.attended(apart[0], apart[1], apart[2], added, heads=heads, width=width)

    def split(self, x: str, heads: int, width: int) -> str:
        """(texts, tokens, heads * width) to (texts, heads, tokens, width)."""
        apart = self.graph.node("Reshape", x, self.graph.wholes(0, 0, heads, width))
        return self.graph.node("Transpose", apart, perm=[0, 2, 1, 3])

    def attended(self, queries: str, keys: str, values: str, added: str, *, heads: int, width: int) -> str:
        """The same where heads are apart already."""
        turned = self.graph.node("Transpose", keys, perm=[0, 1, 3, 2])
        scores = self.graph.node("MatMul", queries, turned)
        scaled = self.graph.node("Mul", scores, self.graph.number(float(np.float32(width**-0.5))))
        shares = self.graph.node("Softmax", self.graph.node("Add", scaled, added), axis=-1)
        mixed = self.graph.node("Transpose", self.graph.node("MatMul", shares, values), perm=[0, 2, 1, 3])
        return self.graph.node("Reshape", mixed, self.graph.wholes(0, 0, heads * width))
