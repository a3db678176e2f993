"""What encoders end in: one vector a text, or scores of classes for a text or each of its tokens; knows no family."""

from edgepack.convert.config import Config
from edgepack.convert.encoders import class_labels
from edgepack.convert.onnx.family import Inputs
from edgepack.convert.onnx.parts import Parts
from edgepack.convert.pooling import CLS, LAST, MEAN, POOLING
from edgepack.domain.errors import BadInputError

_LEAST = 1e-9  # tokens of a text, where there is none: sentence-transformers' own


def pooled(parts: Parts, config: Config, inputs: Inputs, states: str) -> str:
    """One vector of length 1, pooled as sentence-transformers' files say."""
    match POOLING.value(config):
        case way if way == MEAN:
            vector = mean(parts, inputs, states)
        case way if way == CLS:
            vector = first(parts, states)
        case way if way == LAST:
            raise BadInputError(
                f"{config.path.parent}: pools by the last token, which no encoder here is trained for",
                hint="convert it to GGUF: edgepack convert MODEL --quant Q8_0",
            )
        case _:
            raise BadInputError(
                f"{config.path.parent}: says no pooling by which a text gets one vector",
                hint="take a checkpoint that has modules.json and 1_Pooling/config.json, or one with a classifier",
            )
    return parts.graph.node("LpNormalization", vector, axis=-1, p=2)


def first(parts: Parts, states: str) -> str:
    """The first token's state: (texts, hidden)."""
    return parts.graph.node("Gather", states, parts.graph.whole(0), axis=1)


def mean(parts: Parts, inputs: Inputs, states: str) -> str:
    """The mean of a text's states: (texts, hidden)."""
    graph = parts.graph
    weights = graph.node("Unsqueeze", graph.node("Cast", inputs.mask, to=1), graph.wholes(2))
    total = graph.node("ReduceSum", graph.node("Mul", states, weights), graph.wholes(1), keepdims=0)
    count = graph.node("ReduceSum", weights, graph.wholes(1), keepdims=0)
    return graph.node("Div", total, graph.node("Clip", count, graph.number(_LEAST)))


def token_classes(parts: Parts, _config: Config, _inputs: Inputs, states: str) -> str:
    """A matrix over every token's state."""
    return parts.linear(states, "cls.output")


def labels_of(config: Config) -> tuple[str, ...]:
    """The classes' names; those of two that nobody named are numbers."""
    return class_labels(config) or ("LABEL_0", "LABEL_1")


def label_count(config: Config) -> int:
    return len(labels_of(config))
