"""Every family that edgepack converts, on one page; a new one is a file and a line."""

import reprlib

from edgepack.convert.config import Config
from edgepack.convert.families.gemma import GEMMA
from edgepack.convert.families.gemma2 import GEMMA2
from edgepack.convert.families.gemma3 import GEMMA3
from edgepack.convert.families.granite import GRANITE
from edgepack.convert.families.granite_hybrid import GRANITE_HYBRID
from edgepack.convert.families.llama import LLAMA
from edgepack.convert.families.olmo2 import OLMO2
from edgepack.convert.families.phi2 import PHI2
from edgepack.convert.families.phi3 import PHI3
from edgepack.convert.families.qwen2 import QWEN2
from edgepack.convert.families.qwen3 import QWEN3
from edgepack.convert.families.smollm3 import SMOLLM3
from edgepack.convert.families.stablelm import STABLELM
from edgepack.convert.family import Family
from edgepack.domain.errors import BadInputError

FAMILIES: tuple[Family, ...] = (
    GEMMA,
    GEMMA2,
    GEMMA3,
    GRANITE,
    GRANITE_HYBRID,
    LLAMA,
    OLMO2,
    PHI2,
    PHI3,
    QWEN2,
    QWEN3,
    SMOLLM3,
    STABLELM,
)

_BY_CLASS = {name: family for family in FAMILIES for name in family.classes}


def family_of(config: Config) -> Family:
    """The family that a checkpoint's class belongs to; raises BadInputError for one that none converts."""
    name = config.checkpoint_class
    if name not in _BY_CLASS:
        known = ", ".join(sorted(_BY_CLASS))
        raise BadInputError(
            f"{config.path}: architecture {reprlib.repr(name)} is not converted", hint=f"use one of: {known}"
        )
    return _BY_CLASS[name]
