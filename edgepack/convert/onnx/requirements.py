"""What encoders require of a config where the graphs here compute less than the checkpoint's class."""

import reprlib
from collections.abc import Callable

from edgepack.convert.blocks import heads, hidden
from edgepack.convert.config import Config
from edgepack.domain.errors import BadInputError

ACTIVATIONS = ("gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "relu")


def graphed(key: str, *values: object) -> Callable[[Config], None]:
    """The config says one of `values` under `key`, or nothing."""

    def check(config: Config) -> None:
        value = config.table.get(key)
        if value is not None and value not in values:
            raise BadInputError(
                f"{config.path}: {key}: expected {' or '.join(map(repr, values))}, got {reprlib.repr(value)}",
                hint="choose another model: the graph would not compute what the checkpoint does",
            )

    return check


def whole_heads(config: Config) -> None:
    """Heads share the hidden size evenly."""
    if hidden(config) % heads(config):
        raise config.wrong("num_attention_heads", f"a divisor of hidden_size {hidden(config)}", heads(config))


ENCODER_REQUIRES = (
    graphed("hidden_act", *ACTIVATIONS),
    graphed("position_embedding_type", "absolute"),
    graphed("is_decoder", False),
    whole_heads,
)
