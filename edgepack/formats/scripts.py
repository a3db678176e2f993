"""run, bench and selftest: POSIX sh made from templates and the manifest's facts; it runs nothing itself.

Those of an encoder's bundle start its encoder.py, which is the same in all of them.
"""

import re
from importlib.resources import files

from edgepack.domain.bundle import ENCODER, ROUTE, SCRIPTS, STATE, Manifest
from edgepack.domain.flags import bench_fixed_arguments, fixed_arguments, speculation_arguments

GOLDEN_TOLERANCE = "0.1"
"""Nats that a mean log-probability may differ by; docs/bundle.md has what was seen."""

_WORDS = {
    "run": "what the model gives for texts, a JSON line each: ./run 'some text' …, or a text a line on stdin",
    "bench": "milliseconds a text on this machine: ./bench, or ./bench --json",
    "selftest": "check this bundle on this machine: every file, the memory, what the model gives for known texts;\n"
    "# first, where EDGEPACK_KEY names a public key in a PEM file, that it has signed SHA256SUMS",
}


def scripts(manifest: Manifest) -> dict[str, bytes]:
    """Each script's bytes by its name, for a manifest that need not list all files yet.

    What is filled in is digits and safe names, which need no quotes, and the sample prompt, which gets them.
    """
    facts = manifest.facts
    if facts.encoder:
        return {name: _started(facts.name, name) for name in SCRIPTS}
    values = {
        "NAME": facts.name,
        "WEIGHTS": manifest.weights.path,
        "ADAPTER": manifest.adapter.path if manifest.adapter else "",
        "ROUTE": ROUTE if facts.route else "",
        "LARGE": manifest.large.path if manifest.large else "",
        "CONTEXT": str(facts.flags.context),
        "THREADS": str(facts.flags.threads),
        "THREADS_BATCH": str(facts.flags.threads_batch or ""),
        "FLAGS": " ".join(fixed_arguments(facts.flags)),
        "BENCH_FLAGS": " ".join(bench_fixed_arguments(facts.flags)),
        "SPECULATION": " ".join(speculation_arguments(facts.flags)),
        "TUNED": f"# Flags found by edgepack tune: {facts.tuned}.\n" if facts.tuned else "",
        "MICRO_BATCH": str(facts.flags.micro_batch),
        "STATE": STATE if facts.state else "",
        "STATE_TOKENS": str(facts.state.tokens) if facts.state else "0",
        "STATE_COMMIT": facts.state.commit if facts.state else "",
        "WEIGHTS_SIZE": str(manifest.weights.size),
        "WEIGHTS_DIGEST": manifest.weights.sha256,
        "GOLDEN_TOLERANCE": GOLDEN_TOLERANCE,
        "PROMPT": _quoted(facts.sample_prompt),
        "NEED_KIB": str(-(-manifest.memory_needed // 1024)),
    }
    return {name: _filled(_template(name), values).encode() for name in SCRIPTS}


def encoder_program() -> bytes:
    """What runs an encoder on a device that has Python."""
    return _template(ENCODER).encode()


def _started(bundle: str, name: str) -> bytes:
    check = "\n@SIGNING@\n\n" if name == "selftest" else "\n"
    text = _template("python").replace("@CHECK@", check)
    return _filled(text, {"NAME": bundle, "VERB": name, "WORDS": _WORDS[name]}).encode()


def _filled(text: str, values: dict[str, str]) -> str:
    for part in ("prelude", "place", "signing", "routing", "serving", "restoring"):
        text = text.replace(f"@{part.upper()}@\n", _template(part))
    # One pass: a value that looks like a place to fill is not filled again.
    return re.sub(r"@([A-Z_]+)@", lambda place: values[place[1]], text)


def _quoted(text: str) -> str:
    """One word of POSIX sh."""
    return "'" + text.replace("'", "'\\''") + "'"


def _template(name: str) -> str:
    return files("edgepack").joinpath("data", "bundle", name).read_text(encoding="utf-8")
