"""A head put behind an encoder's ONNX file: what gave vectors gives classes; how it was fitted is not known here."""

from collections.abc import Mapping

import numpy as np

from edgepack.convert.onnx.fitting import LinearHead
from edgepack.domain.encoder import DESCRIPTION_KEY, LOGITS, EncoderDescription, description_json
from edgepack.infra.extras import onnx_extra

_MATRIX, _BIAS, _SCORES = "head.weight", "head.bias", "head.scores"


def with_head(encoder: bytes, head: LinearHead, description: EncoderDescription, notes: Mapping[str, str]) -> bytes:
    """The file of an encoder of vectors, which was checked, with `head` behind it.

    `description` is what the new file says of itself, `notes` what else goes into its metadata. The head stays in
    float32: it is small, and what it is multiplied with is one vector a text.
    """
    with onnx_extra():
        from onnx import TensorProto, helper, load_model_from_string, numpy_helper
    model = load_model_from_string(encoder)
    graph = model.graph
    (vector,) = (output.name for output in graph.output)
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(head.matrix.T), _MATRIX))
    graph.initializer.append(numpy_helper.from_array(head.bias, _BIAS))
    graph.node.append(helper.make_node("MatMul", [vector, _MATRIX], [_SCORES], name=_SCORES))
    graph.node.append(helper.make_node("Add", [_SCORES, _BIAS], [LOGITS], name=LOGITS))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, ["texts", description.width]))
    kept = {entry.key: entry.value for entry in model.metadata_props}
    said = {**kept, **notes, DESCRIPTION_KEY: description_json(description)}
    del model.metadata_props[:]
    helper.set_model_props(model, dict(sorted(said.items())))
    return bytes(model.SerializeToString(deterministic=True))
