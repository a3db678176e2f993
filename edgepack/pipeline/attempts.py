"""What a search may try: each model at each quantization, by the engine that runs it, the smallest first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from edgepack.domain.engine import Engine
from edgepack.domain.errors import UsageError
from edgepack.domain.progress import Progress
from edgepack.domain.quant import OnnxQuant, Quant
from edgepack.domain.source import GgufSource, HubSource, OnnxSource, Source, Wanted
from edgepack.infra.library import load_catalogue, load_sizes
from edgepack.pipeline.material import is_encoder
from edgepack.pipeline.order import Order, Planned
from edgepack.pipeline.planning import prepare

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
        return _for(order, self.source, self.quant)


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
    onnx = listed is None and is_encoder(replace(order, source=source), progress)
    engine = Engine.ONNX if onnx else Engine.LLAMA_CPP
    kind = OnnxQuant if onnx else Quant
    quants = [quant for quant in dict.fromkeys(asked) if isinstance(quant, kind)] or _USUAL[engine]
    if isinstance(source, GgufSource | OnnxSource):
        yield _opened(order, title, source, engine, None, progress)
        return
    for quant in quants:
        if listed and isinstance(quant, Quant):
            size = load_sizes()[listed.id].quants[quant].size
            yield Attempt(
                source=source, title=title, engine=engine, quant=quant, parameters=listed.parameters, size=size
            )
        else:
            yield _opened(order, title, source, engine, quant, progress)


def _opened(
    order: Order, title: str, source: Source, engine: Engine, quant: Quant | OnnxQuant | None, progress: Progress
) -> Attempt:
    planned = prepare(replace(_for(order, source, quant), force=True), progress)
    return Attempt(
        source=source, title=title, engine=engine, quant=quant, parameters=planned.material.parameters,
        size=planned.plan.chosen.size, planned=planned,
    )  # fmt: skip


def _for(order: Order, source: Source, quant: Quant | OnnxQuant | None) -> Order:
    return replace(
        order, source=source, quant=quant if isinstance(quant, Quant) else None,
        precision=quant if isinstance(quant, OnnxQuant) else None,
    )  # fmt: skip
