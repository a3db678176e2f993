"""A model's sizes at every quantization, counted over the tensors that its config describes."""

from edgepack.convert.memory import loaded_weights, memory_shape
from edgepack.convert.outline import Outline
from edgepack.convert.typeplan import Mixture
from edgepack.convert.work import outlined_work
from edgepack.domain.quant import Quant
from edgepack.domain.repacking import Loading
from edgepack.domain.sizes import ModelSizes, QuantSizes, Repacking, repacks_for


def model_sizes(outline: Outline, quants: tuple[Quant, ...] = tuple(Quant)) -> ModelSizes:
    """Takes about 0.1 s a quantization: llama.cpp is asked for the types."""
    return ModelSizes(memory=memory_shape(outline), quants={quant: _sizes(outline, quant) for quant in quants})


def _sizes(outline: Outline, quant: Quant) -> QuantSizes:
    mixture = Mixture(quant=quant)
    return QuantSizes(
        size=outline.plan.size(mixture),
        work=outlined_work(outline, mixture),
        loaded={
            repacking: loaded_weights(
                outline.plan, mixture, Loading(repacks=repacks_for(repacking)), writes=not outline.embeds
            )
            for repacking in Repacking
        },
        fallen=sum(fallback.extra_bytes for fallback in outline.plan.fallbacks(mixture)),
    )
