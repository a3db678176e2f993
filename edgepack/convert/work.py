"""What a model's tensors make a device do for a token, at each quantization: sizes alone, before any weight."""

from edgepack.convert import blocks
from edgepack.convert.outline import Outline
from edgepack.convert.typeplan import Mixture
from edgepack.domain.work import Work, work_of


def outlined_work(outline: Outline, mixture: Mixture) -> Work:
    """The work of a model as its config describes it."""
    family, config = outline.family, outline.config
    attending = sum(family.caching(config, number) for number in range(blocks.layers(config)))
    return work_of(
        ((source.name, source.shape, type) for source, type in outline.plan.types(mixture)),
        attention=2 * attending * blocks.query(config),
        state=family.state(config),
    )
