"""A grammar that a model's words must keep, by llama.cpp's own sampler; whose grammar is not its business."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from edgepack.domain.errors import BadInputError
from edgepack.engines.llamacpp_library import OpenModel, failure

Logits = npt.NDArray[np.float32]
_DATA = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])  # llama.h: llama_token_data


class Constraint:
    """One text in the making: `choose` a token, then `accept` it."""

    def __init__(self, model: OpenModel, sampler: int, size: int) -> None:
        self._native = model.native
        self._sampler = sampler
        self._all = np.zeros(size, dtype=_DATA)

    def choose(self, logits: Logits) -> int | None:
        """The likeliest token that the grammar allows; None where it allows none, not even an end.

        The likeliest of all is looked at alone: a large vocabulary against a grammar takes longer than a small
        model's token.
        """
        best = int(logits.argmax())
        if np.isfinite(self._applied(np.array([best], dtype=np.int32), logits[best : best + 1])[0]):
            return best
        allowed = self._applied(np.arange(len(logits), dtype=np.int32), logits)
        best = int(allowed.argmax())
        return best if np.isfinite(allowed[best]) else None

    def accept(self, token: int) -> None:
        """Go on after a token; not after one that ends the text."""
        self._native.llama_sampler_accept(self._sampler, token)

    def _applied(self, tokens: npt.NDArray[np.int32], logits: Logits) -> Logits:
        from llama_cpp.llama_cpp import llama_token_data_array, llama_token_data_p

        data = self._all[: len(tokens)]
        data["id"], data["logit"] = tokens, logits
        array = llama_token_data_array(
            data=ctypes.cast(data.ctypes.data, llama_token_data_p), size=len(tokens), selected=-1, sorted=False
        )
        self._native.llama_sampler_apply(self._sampler, ctypes.byref(array))
        found: Logits = data["logit"]
        return found


@contextmanager
def constrained(model: OpenModel, gbnf: str) -> Iterator[Constraint]:
    """A text by a GBNF grammar, whose first rule is `root`; BadInputError where llama.cpp cannot read it."""
    native = model.native
    sampler = native.llama_sampler_init_grammar(model.vocabulary, gbnf.encode(), b"root")
    if not sampler:
        raise failure("answer.grammar: llama.cpp cannot read it", hint="correct the GBNF; it begins at a rule `root`")
    try:
        yield Constraint(model, sampler, int(native.llama_vocab_n_tokens(model.vocabulary)))
    finally:
        native.llama_sampler_free(sampler)


def grammar_of_schema(schema: str) -> str:
    """The GBNF of a JSON Schema, its properties in the schema's own order; BadInputError for what it cannot say."""
    import json

    from llama_cpp.llama_grammar import json_schema_to_gbnf

    try:
        gbnf: str = json_schema_to_gbnf(schema, prop_order=list(json.loads(schema).get("properties", {})))
    except (ValueError, AssertionError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
        raise BadInputError(
            f"answer.schema: llama.cpp's converter refuses it: {type(error).__name__}: {error}",
            hint="simplify the schema, or write its grammar (docs/tasks.md)",
        ) from error
    return gbnf
