"""A graph whose large weights lie in a file beside it; which layers it has it does not know."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from edgepack.convert.onnx.decoder_data import Bytes, DataFile, Part
from edgepack.convert.onnx.graph import Graph
from edgepack.domain.decoder import DECODER_OPERATORS
from edgepack.infra.extras import onnx_extra

_KINDS = {np.dtype(np.uint8): 2, np.dtype(np.float32): 1}  # TensorProto.DataType: UINT8, FLOAT


class DecoderGraph(Graph):
    """Nodes, small initializers within, and large ones in `data`, which `location` names."""

    operators = DECODER_OPERATORS

    def __init__(self, data: DataFile, location: str) -> None:
        super().__init__()
        self._data = data
        self._location = location
        self._parts: dict[str, Part] = {}

    def add_value(self, name: str, kind: int, shape: Sequence[str | int], *, given: bool) -> str:
        """An input where it is `given`, else an output that a node makes by this name; `kind` by TensorProto."""
        with onnx_extra():
            from onnx import helper
        values = self._inputs if given else self._outputs
        values.append(helper.make_tensor_value_info(name, kind, list(shape)))
        return name

    def large(self, name: str, shape: Sequence[int], dtype: "np.dtype[Any]", pieces: Iterable[Bytes]) -> str:
        """An initializer of `shape`, written now."""
        return self._placed(name, shape, dtype, self._data.add(pieces))

    def same(self, name: str, of: str, shape: Sequence[int]) -> str:
        """Another initializer on the bytes of `of`, in another shape."""
        return self._placed(name, shape, np.dtype(np.uint8 if self._is_codes(of) else np.float32), self._parts[of])

    def ending(self, kind: str, outputs: Sequence[str], *inputs: str, domain: str = "", **attributes: Any) -> None:
        """A node whose outputs have names of their own; an empty one is left out."""
        with onnx_extra():
            from onnx import helper
        assert kind in self.operators, f"{kind}: the engine would refuse it"
        name = f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, outputs, name=name, domain=domain, **attributes))

    def _is_codes(self, name: str) -> bool:
        return int(self._tensors[name].data_type) == _KINDS[np.dtype(np.uint8)]

    def _placed(self, name: str, shape: Sequence[int], dtype: "np.dtype[Any]", part: Part) -> str:
        with onnx_extra():
            from onnx import TensorProto
        assert name not in self._tensors, f"{name}: written twice"
        tensor = TensorProto(name=name, data_type=_KINDS[dtype], dims=shape, data_location=TensorProto.EXTERNAL)
        for key, value in (("location", self._location), ("offset", part.offset), ("length", part.size)):
            tensor.external_data.add(key=key, value=str(value))
        self._tensors[name], self._parts[name] = tensor, part
        return name
