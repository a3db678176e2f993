"""run, bench and selftest: POSIX sh made from templates and the manifest's facts; it runs nothing itself."""

import re
from importlib.resources import files

from edgepack.domain.bundle import SCRIPTS, BundleFacts, PayloadFile


def scripts(facts: BundleFacts, weights: PayloadFile, *, memory_needed: int) -> dict[str, bytes]:
    """Each script's bytes by its name.

    `memory_needed` is in bytes. What is filled in is digits and safe names, which need no quotes, and the
    sample prompt, which gets them.
    """
    values = {
        "NAME": facts.name,
        "WEIGHTS": weights.path,
        "CONTEXT": str(facts.flags.context),
        "THREADS": str(facts.flags.threads),
        "MICRO_BATCH": str(facts.flags.micro_batch),
        "CACHE_TYPE": facts.flags.cache_type,
        "PROMPT": _quoted(facts.sample_prompt),
        "NEED_KIB": str(-(-memory_needed // 1024)),
    }
    return {name: _filled(_template(name), values).encode() for name in SCRIPTS}


def _filled(text: str, values: dict[str, str]) -> str:
    text = text.replace("@PRELUDE@\n", _template("prelude"))
    # One pass: a value that looks like a place to fill is not filled again.
    return re.sub(r"@([A-Z_]+)@", lambda place: values[place[1]], text)


def _quoted(text: str) -> str:
    """One word of POSIX sh."""
    return "'" + text.replace("'", "'\\''") + "'"


def _template(name: str) -> str:
    return files("edgepack").joinpath("data", "bundle", name).read_text(encoding="utf-8")
