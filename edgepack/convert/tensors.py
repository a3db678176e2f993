"""Which tensors a checkpoint stores, and which its family writes: matched by name and shape before any is read."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from edgepack.convert import blocks
from edgepack.convert.adapter import LowRank
from edgepack.convert.config import Config, read_json
from edgepack.convert.family import Change, Family, GeneratedTensor, Row, RowOrder
from edgepack.convert.safetensors import READABLE, StoredTensor, read_header
from edgepack.domain.checkpoint import INDEX, weight_files
from edgepack.domain.errors import BadInputError

_HEAD = "lm_head.weight"
_FETCH_AGAIN = "fetch the checkpoint again; it is incomplete or damaged"


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One tensor of the GGUF and where its values come from: stored rows, or generated values."""

    name: str
    shape: tuple[int, ...]
    """As written, slowest dimension first."""
    origin: StoredTensor | GeneratedTensor
    order: RowOrder | None = None
    change: Change | None = None
    update: LowRank | None = None
    """What an adapter adds to the stored matrix, before all else."""
    widened: bool = False
    """Whether the checkpoint counts as float32, as one that an adapter was merged into is saved."""

    @property
    def dtype(self) -> str:
        """Of its values before they are written, by safetensors' names."""
        return "F32" if self.widened or isinstance(self.origin, GeneratedTensor) else self.origin.dtype

    @property
    def paths(self) -> frozenset[Path]:
        """The files that it is read from."""
        stored = [self.origin] if isinstance(self.origin, StoredTensor) else []
        halves = [self.update.a, self.update.b] if self.update else []
        return frozenset(tensor.path for tensor in (*stored, *halves))

    @property
    def elements(self) -> int:
        return prod(self.shape)


def stored_tensors(directory: Path) -> dict[str, StoredTensor]:
    """Every tensor of a single or sharded checkpoint by name, headers checked.

    Raises BadInputError for pickled-only checkpoints, missing shards, and an index that lies.
    """
    index = directory / INDEX
    weight_map = read_json(index).get("weight_map") if index.is_file() else None
    names = [file.name for file in directory.iterdir() if file.is_file()]
    files = weight_files(names, read_index=lambda: index.read_text(encoding="utf-8"), where=str(directory))
    tensors = _by_name(tensor for name in files for tensor in read_header(directory / name))
    if isinstance(weight_map, dict) and (differing := set(weight_map) ^ set(tensors)):
        raise BadInputError(f"{index}: {_some(differing)} not as in the shards", hint=_FETCH_AGAIN)
    return tensors


def _by_name(tensors: Iterable[StoredTensor]) -> dict[str, StoredTensor]:
    found: dict[str, StoredTensor] = {}
    for tensor in tensors:
        if tensor.name in found:
            raise BadInputError(
                f"{tensor.path}: tensor {tensor.name!r} is also in {found[tensor.name].path.name}",
                hint=_FETCH_AGAIN,
            )
        found[tensor.name] = tensor
    return found


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return ", ".join(listed[:3]) + more


def match(family: Family, config: Config, stored: Mapping[str, StoredTensor]) -> list[Source]:
    """What the GGUF will hold, in its order: by layer, then name, as llama-quantize writes it.

    Raises BadInputError naming tensors that are missing, unknown, of a wrong shape or an unreadable type.
    """
    known = dict(_known(family, config, stored))
    found = list(_expected(family, config, known))
    left = known.keys() - {name for name, _ in found}
    if left:
        raise BadInputError(
            f"{config.path.parent}: tensors that {config.checkpoint_class} does not have: {_some(left)}",
            hint="the checkpoint is another architecture than its config.json says",
        )
    if config.table.get("tie_word_embeddings") is False and _HEAD not in known and _has_head(family):
        raise BadInputError(
            f"{config.path.parent}: missing tensors: {_HEAD}, and tie_word_embeddings is false", hint=_FETCH_AGAIN
        )
    generated = (make(config) for make in family.generated)
    extra = (_generated(tensor) for tensor in generated if tensor is not None)
    return sorted([*(source for _, source in found), *extra], key=written_order)


def _known(family: Family, config: Config, stored: Mapping[str, StoredTensor]) -> Iterator[tuple[str, StoredTensor]]:
    left_out = family.left_out(config)
    for stored_name, tensor in stored.items():
        name = family.known_as(stored_name)
        if name is not None and name not in left_out:
            yield name, tensor


def _has_head(family: Family) -> bool:
    return any(row.stored == _HEAD for row in family.rows)


def _generated(tensor: GeneratedTensor) -> Source:
    return Source(name=tensor.name, shape=tensor.values.shape, origin=tensor)


def _expected(family: Family, config: Config, stored: Mapping[str, StoredTensor]) -> Iterator[tuple[str, Source]]:
    missing = []
    for row in family.rows:
        for layer in layers_with(row, config):
            name = row.stored.format(n=layer)
            if name in stored:
                yield name, _source(row, layer, config, stored[name])
            elif not row.optional:
                missing.append(name)
    if missing:
        raise BadInputError(f"{config.path.parent}: missing tensors: {_some(missing)}", hint=_FETCH_AGAIN)


def layers_with(row: Row, config: Config) -> Iterable[int]:
    """The layers that have the row's tensor; one for a tensor that belongs to none."""
    numbers = range(blocks.layers(config)) if "{n}" in row.stored else (row.block(config) if row.block else 0,)
    return (layer for layer in numbers if row.layers is None or row.layers(config, layer))


def _source(row: Row, layer: int, config: Config, tensor: StoredTensor) -> Source:
    shape = tuple(size(config) for size in row.shape)
    if tensor.shape != shape:
        raise BadInputError(
            f"{tensor.path}: tensor {tensor.name!r} is {list(tensor.shape)}, config.json says {list(shape)}",
            hint="the checkpoint's weights and config.json are not of the same model",
        )
    if tensor.dtype not in READABLE:
        raise BadInputError(
            f"{tensor.path}: tensor {tensor.name!r} is {tensor.dtype}; only {', '.join(READABLE)} are converted",
            hint="use the unquantized checkpoint of this model",
        )
    order = row.order(config) if row.order else None
    written = tuple(size(config) for size in row.becomes) if row.becomes else _taken(shape, order)
    change = row.change(config) if row.change else None
    return Source(name=row.written.format(n=layer), shape=written, origin=tensor, order=order, change=change)


def _taken(shape: tuple[int, ...], order: RowOrder | None) -> tuple[int, ...]:
    return (len(order.rows), *shape[1:]) if order else shape


def written_order(source: Source) -> tuple[int, str]:
    """By layer, then name: as llama-quantize writes them."""
    layer = re.match(r"blk\.(\d+)\.", source.name)
    return (int(layer[1]) if layer else -1, source.name)
