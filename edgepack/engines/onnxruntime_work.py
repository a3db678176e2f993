"""What an encoder's graph makes a processor do for a token, read from its file; no device is known here."""

from math import prod
from pathlib import Path

from edgepack.domain.encoder import MULTIPLY_BLOCKS, TOKEN_TABLE
from edgepack.domain.quant import TensorType
from edgepack.domain.work import Work, tensor_size
from edgepack.infra.extras import onnx_extra


def encoder_work(path: Path) -> Work:
    """Of a file that was checked: its matrices as llama.cpp's nearest types, Q8_0 and F32."""
    with onnx_extra():
        import onnx
    graph = onnx.load(path).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    streamed: dict[TensorType, int] = {}
    multiplied: dict[TensorType, int] = {}
    products = layers = 0
    for node in graph.node:
        layers += node.op_type == "Softmax"
        if node.op_type == MULTIPLY_BLOCKS:
            said = {attribute.name: attribute.i for attribute in node.attribute}
            type, shape = TensorType.Q8_0, (said["N"], said["K"])
        elif node.op_type == "MatMul" and node.input[1] in shapes:
            type, shape = TensorType.F32, shapes[node.input[1]]
        else:
            continue
        products += 1
        streamed[type] = streamed.get(type, 0) + tensor_size(shape, type)
        multiplied[type] = multiplied.get(type, 0) + prod(shape)
    hidden = shapes[TOKEN_TABLE][-1]
    # Each token looks at all others, not only at those before it, which `predicted` counts half.
    return Work(streamed=streamed, multiplied=multiplied, products=products, attention=4 * layers * hidden, state=0)
