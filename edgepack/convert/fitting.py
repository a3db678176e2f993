"""An adapter against its base model: which of the model's tensors it updates, checked by name and shape."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgepack.convert.adapter import Adapter, LowRank
from edgepack.convert.family import Family
from edgepack.convert.safetensors import StoredTensor
from edgepack.convert.tensors import Source
from edgepack.domain.errors import BadInputError

_OTHER_BASE = "the adapter was made for another model: give it the base model that its adapter_config.json names"
_HEAD = "output.weight"
EMBEDDING = "token_embd.weight"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """What an adapter does to the tensors of the GGUF; one stored matrix may become several of them."""

    updates: tuple[tuple[LowRank, tuple[Source, ...]], ...]
    """In the adapter's order; the tensors in the family's."""
    vectors: tuple[tuple[StoredTensor, tuple[Source, ...]], ...]


def fit(adapter: Adapter, family: Family, sources: Sequence[Source]) -> Fitted:
    """Find the base model's tensors; raises BadInputError naming one that it does not have, or not in this shape."""
    base = _by_name(family, sources)
    updates = tuple((update, _targets(update.a, update.name, family, base)) for update in adapter.updates)
    vectors = tuple((tensor, _targets(tensor, name, family, base)) for name, tensor in adapter.vectors.items())
    taken = [targets[0].name for _, targets in (*updates, *vectors)]
    if len(set(taken)) != len(taken):
        raise BadInputError(f"{adapter.directory}: two updates of one tensor", hint=_OTHER_BASE)
    for update, targets in updates:
        _check_matrix(update, targets, tied=all(source.name != _HEAD for source in sources))
    for tensor, targets in vectors:
        if _stored(targets).shape != tensor.shape:
            raise _wrong_shape(tensor, tensor.shape, _stored(targets))
    return Fitted(updates=updates, vectors=vectors)


def merged(fitted: Fitted, sources: Sequence[Source]) -> list[Source]:
    """The tensors of the model that the adapter makes of its base, in float32."""
    updates = {source.name: update for update, targets in fitted.updates for source in targets}
    vectors = {source.name: tensor for tensor, targets in fitted.vectors for source in targets}
    return [
        replace(
            source, update=updates.get(source.name), origin=vectors.get(source.name, source.origin), widened=True
        )
        for source in sources
    ]  # fmt: skip


def _by_name(family: Family, sources: Sequence[Source]) -> dict[str, tuple[Source, ...]]:
    """The tensors that are made of each stored one, in the family's order."""
    places = {row.written: place for place, row in enumerate(family.rows)}
    found: dict[str, list[Source]] = {}
    for source in sources:
        if isinstance(source.origin, StoredTensor):
            name = family.known_as(source.origin.name)
            assert name is not None, "match() takes no other tensors"
            found.setdefault(name, []).append(source)
    return {
        name: tuple(sorted(made, key=lambda source: places[re.sub(r"^blk\.\d+\.", "blk.{n}.", source.name)]))
        for name, made in found.items()
    }


def _targets(
    tensor: StoredTensor, name: str, family: Family, base: Mapping[str, tuple[Source, ...]]
) -> tuple[Source, ...]:
    known = family.known_as(name)
    if known is None or known not in base:
        raise BadInputError(
            f"{tensor.path}: tensor {tensor.name!r}: the base model has no {name}",
            hint=f"{_OTHER_BASE} (a tied head has no tensor of its own)" if "lm_head" in name else _OTHER_BASE,
        )
    return base[known]


def _stored(targets: tuple[Source, ...]) -> StoredTensor:
    origin = targets[0].origin
    assert isinstance(origin, StoredTensor)
    return origin


def _check_matrix(update: LowRank, targets: tuple[Source, ...], *, tied: bool) -> None:
    base = _stored(targets)
    shape = (update.b.shape[0], update.a.shape[1])
    if update.embedding:
        shape = shape[::-1]
    if base.shape != shape:
        raise _wrong_shape(update.a, shape, base)
    if update.embedding != (targets[0].name == EMBEDDING):
        raise _refused(update, "an embedding has lora_embedding_A and lora_embedding_B, all else lora_A and lora_B")
    if update.embedding and tied:
        raise _refused(update, "the embedding is the model's head too, which the adapter was not trained as")
    if any(len(source.shape) != 2 or source.shape[1] != base.shape[1] for source in targets):
        raise _refused(update, f"{targets[0].name} is not written as a matrix of these rows")


def _wrong_shape(tensor: StoredTensor, shape: tuple[int, ...], base: StoredTensor) -> BadInputError:
    return BadInputError(
        f"{tensor.path}: tensor {tensor.name!r} is for {list(shape)}, the base model's is {list(base.shape)}",
        hint=_OTHER_BASE,
    )


def _refused(update: LowRank, why: str) -> BadInputError:
    return BadInputError(
        f"{update.a.path}: tensor {update.a.name!r}: {why}",
        hint="merge it into its base model with PEFT, and give that checkpoint instead",
    )
