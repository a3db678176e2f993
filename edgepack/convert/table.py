"""Every family that edgepack converts, on one page; a new one is a file and a line."""

import reprlib

from edgepack.convert.config import Config
from edgepack.convert.families.bert import BERT
from edgepack.convert.families.ernie4_5 import ERNIE4_5
from edgepack.convert.families.exaone4 import EXAONE4
from edgepack.convert.families.falcon_h1 import FALCON_H1
from edgepack.convert.families.gemma import GEMMA
from edgepack.convert.families.gemma2 import GEMMA2
from edgepack.convert.families.gemma3 import GEMMA3
from edgepack.convert.families.granite import GRANITE
from edgepack.convert.families.granite_hybrid import GRANITE_HYBRID
from edgepack.convert.families.hunyuan import HUNYUAN
from edgepack.convert.families.internlm2 import INTERNLM2
from edgepack.convert.families.lfm2 import LFM2
from edgepack.convert.families.llama import LLAMA
from edgepack.convert.families.minicpm import MINICPM
from edgepack.convert.families.olmo2 import OLMO2
from edgepack.convert.families.phi2 import PHI2
from edgepack.convert.families.phi3 import PHI3
from edgepack.convert.families.qwen2 import QWEN2
from edgepack.convert.families.qwen3 import QWEN3
from edgepack.convert.families.qwen3_5 import QWEN3_5
from edgepack.convert.families.smollm3 import SMOLLM3
from edgepack.convert.families.stablelm import STABLELM
from edgepack.convert.families.xlm_roberta import XLM_ROBERTA, XLM_ROBERTA_CLASSIFIER
from edgepack.convert.family import Family
from edgepack.domain.errors import BadInputError

FAMILIES: tuple[Family, ...] = (
    BERT,
    ERNIE4_5,
    EXAONE4,
    FALCON_H1,
    GEMMA,
    GEMMA2,
    GEMMA3,
    GRANITE,
    GRANITE_HYBRID,
    HUNYUAN,
    INTERNLM2,
    LFM2,
    LLAMA,
    MINICPM,
    OLMO2,
    PHI2,
    PHI3,
    QWEN2,
    QWEN3,
    QWEN3_5,
    SMOLLM3,
    STABLELM,
    XLM_ROBERTA,
    XLM_ROBERTA_CLASSIFIER,
)

_BY_CLASS = {name: family for family in FAMILIES for name in family.classes}


def family_of(config: Config) -> Family:
    """The family that a checkpoint's class belongs to; raises BadInputError for one that none converts."""
    name = config.checkpoint_class
    if name not in _BY_CLASS:
        raise BadInputError(
            f"{config.path}: architecture {reprlib.repr(name)} is not converted",
            hint="let llama.cpp's own converter try: pip install 'edgepack[upstream]' and --converter upstream",
        )
    return _BY_CLASS[name]
