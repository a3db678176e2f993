"""An ONNX graph, put together node by node under names that are the same each time; knows no architecture."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgepack.domain.encoder import OPERATORS
from edgepack.domain.errors import BadInputError
from edgepack.infra.extras import onnx_extra

CONTRIB = "com.microsoft"
"""The domain of onnxruntime's own operators."""
OPSET = 20  # the first with Gelu
_IR_VERSION = 10  # what onnxruntime 1.18 and later read
_LARGEST = (1 << 31) - (1 << 24)  # protobuf's limit, and room for what is not weights

Array = npt.NDArray[np.float32] | npt.NDArray[np.uint8] | npt.NDArray[np.int64]


class Graph:
    """Nodes and initializers, in the order in which they were added."""

    operators = OPERATORS
    """What the engine would run of it."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._tensors: dict[str, Any] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._size = 0

    def add_input(self, name: str) -> str:
        """An input of whole numbers: (texts, tokens)."""
        with onnx_extra():
            from onnx import TensorProto, helper
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"]))
        return name

    def add_output(self, value: str, name: str, shape: Sequence[str | int]) -> None:
        """`value` leaves the graph under `name`."""
        with onnx_extra():
            from onnx import TensorProto, helper
        self._nodes.append(helper.make_node("Identity", [value], [name], name=name))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)))

    def tensor(self, name: str, values: Array) -> str:
        """An initializer; of two with the same name the first stays."""
        with onnx_extra():
            from onnx import TensorProto, helper
        if name not in self._tensors:
            self._size += values.nbytes
            if self._size > _LARGEST:
                raise BadInputError(
                    "the graph holds over 2 GiB of weights, more than an ONNX file can", hint="choose --quant q8"
                )
            kind = helper.np_dtype_to_tensor_dtype(values.dtype)
            made = TensorProto(name=name, data_type=kind, dims=values.shape)
            made.raw_data = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
            self._tensors[name] = made
        return name

    def number(self, value: float) -> str:
        """A float32 without dimensions."""
        return self.tensor(f"number.{value!r}", np.array(value, np.float32))

    def wholes(self, *values: int) -> str:
        """A vector of whole numbers."""
        return self.tensor("wholes." + "_".join(map(str, values)), np.array(values, np.int64))

    def whole(self, value: int) -> str:
        """A whole number without dimensions."""
        return self.tensor(f"whole.{value}", np.array(value, np.int64))

    def node(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """A node with one output, whose name is given back."""
        return self.nodes(kind, *inputs, count=1, domain=domain, **attributes)[0]

    def nodes(self, kind: str, *inputs: str, count: int, domain: str = "", **attributes: Any) -> tuple[str, ...]:
        """The same with `count` outputs."""
        with onnx_extra():
            from onnx import helper
        assert kind in self.operators, f"{kind}: the engine would refuse it"
        name = f"{kind}_{len(self._nodes)}"
        outputs = (name,) if count == 1 else tuple(f"{name}.{number}" for number in range(count))
        self._nodes.append(helper.make_node(kind, inputs, outputs, name=name, domain=domain, **attributes))
        return outputs

    def serialized(self, name: str, metadata: Mapping[str, str]) -> bytes:
        """The whole file."""
        with onnx_extra():
            from onnx import helper
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, list(self._tensors.values()))
        domains = sorted({node.domain for node in self._nodes})
        model = helper.make_model(
            graph, ir_version=_IR_VERSION, producer_name="edgepack",
            opset_imports=[helper.make_opsetid(domain, 1 if domain else OPSET) for domain in domains],
        )  # fmt: skip
        helper.set_model_props(model, dict(sorted(metadata.items())))
        return bytes(model.SerializeToString(deterministic=True))
