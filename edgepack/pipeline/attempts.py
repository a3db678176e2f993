"""What a search may try: each model at each quantization, by the engine that runs it, the smallest first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from edgepack.domain.catalogue import CatalogueModel
from edgepack.domain.engine import Engine
from edgepack.domain.errors import UsageError
from edgepack.domain.progress import Progress
from edgepack.domain.quant import OnnxQuant, Quant
from edgepack.domain.source import GgufSource, HubSource, OnnxSource, Source, Wanted
from edgepack.infra.library import load_catalogue, load_sizes
from edgepack.pipeline.material import is_encoder
from edgepack.pipeline.order import Order, Planned
from edgepack.pipeline.planning import prepare
from edgepack.stages.encoder import class_becomes_onnx, encoder_size

_USUAL: dict[Engine, tuple[Quant | OnnxQuant, ...]] = {
    Engine.LLAMA_CPP: (Quant.Q4_0, Quant.Q4_K_M, Quant.Q8_0), Engine.ONNX: (OnnxQuant.Q8,),
}  # fmt: skip
"""The fast one, the good one of the same size, and the one that loses next to nothing; of encoders that one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """A model at a quantization that may be tried."""

    source: Source
    title: str
    """The model, as the user or the catalogue calls it."""
    engine: Engine
    quant: Quant | OnnxQuant | None
    """None for weights that are quantized already."""
    parameters: int
    size: int
    """Bytes of the weights. Both from the catalogue, or as planned."""
    planned: Planned | None = field(default=None, compare=False)
    """None for a model of the catalogue: it is not fetched before its turn."""

    def ordered(self, order: Order) -> Order:
        """The order for it."""
        return _for(order, self.source, self.engine, self.quant)


def attempts(order: Order, wanted: Sequence[Wanted], progress: Progress) -> tuple[Attempt, ...]:
    """What may be tried, the smallest weights first.

    A model of the catalogue is not fetched for this. Raises UsageError for what cannot be asked as it would be built,
    and what `prepare` raises for models that are not of the catalogue.
    """
    _refuse_unasked(order)
    asked: dict[tuple[str, Source], list[Quant | OnnxQuant]] = {}
    for title, source, quant in wanted:
        asked.setdefault((title, source), []).extend([quant] if quant else [])
    found = [
        one for (title, source), quants in asked.items() for one in _all_of(order, title, source, quants, progress)
    ]
    return tuple(sorted(found, key=lambda attempt: (attempt.size, attempt.title)))


def _refuse_unasked(order: Order) -> None:
    if order.adapter and not order.adapter.merge:
        raise UsageError(
            "--task T with --adapter: what would be asked is the model without it",
            hint="add --merge, so that the adapter is in the weights",
        )


def _all_of(
    order: Order, title: str, source: Source, asked: Sequence[Quant | OnnxQuant], progress: Progress
) -> Iterator[Attempt]:
    """At each quantization that its engine has of those asked for, or at the usual ones; ready weights once."""
    listed = load_catalogue().find(source.repository) if isinstance(source, HubSource) else None
    engine = _engine_of(listed, replace(order, source=source), progress)
    kind = OnnxQuant if engine is Engine.ONNX else Quant
    quants = [quant for quant in dict.fromkeys(asked) if isinstance(quant, kind)] or _USUAL[engine]
    if isinstance(source, GgufSource | OnnxSource):
        yield _opened(order, title, source, engine, None, progress)
        return
    for quant in quants:
        if listed:
            yield Attempt(
                source=source, title=title, engine=engine, quant=quant, parameters=listed.parameters,
                size=_listed_size(listed, quant),
            )  # fmt: skip
        else:
            yield _opened(order, title, source, engine, quant, progress)


def _engine_of(listed: CatalogueModel | None, order: Order, progress: Progress) -> Engine:
    """A model of the catalogue is not fetched to know."""
    if listed is None:
        return Engine.ONNX if is_encoder(order, progress) else Engine.LLAMA_CPP
    usual = Engine.ONNX if class_becomes_onnx(listed.architecture) else Engine.LLAMA_CPP
    return order.engine or usual


def _listed_size(listed: CatalogueModel, quant: Quant | OnnxQuant) -> int:
    if isinstance(quant, OnnxQuant):
        return encoder_size(listed.parameters, quant)
    return load_sizes()[listed.id].quants[quant].size


def _opened(
    order: Order, title: str, source: Source, engine: Engine, quant: Quant | OnnxQuant | None, progress: Progress
) -> Attempt:
    planned = prepare(replace(_for(order, source, engine, quant), force=True), progress)
    return Attempt(
        source=source, title=title, engine=engine, quant=quant, parameters=planned.material.parameters,
        size=planned.plan.chosen.size, planned=planned,
    )  # fmt: skip


def _for(order: Order, source: Source, engine: Engine, quant: Quant | OnnxQuant | None) -> Order:
    """An encoder keeps no context: it takes texts as long as it was made for."""
    return replace(
        order, source=source, quant=quant if isinstance(quant, Quant) else None,
        precision=quant if isinstance(quant, OnnxQuant) else None,
        context=None if engine is Engine.ONNX else order.context,
    )  # fmt: skip
