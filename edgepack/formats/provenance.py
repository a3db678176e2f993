"""Where a bundle comes from, in the words of in-toto (Statement v1) and SLSA (Provenance v1); it has no date.

See https://in-toto.io/Statement/v1, https://slsa.dev/spec/v1.0/provenance. It is evidence: the quantizer's build is
this machine's, and the payload is the same wherever it was made.
"""

import json
from collections.abc import Iterator, Mapping

from edgepack.domain.bundle import SUMS, BundleFacts, Manifest

PROVENANCE = "provenance.intoto.json"
_REPOSITORY = "https://github.com/edgepack/edgepack"
_BUILD_TYPE = f"{_REPOSITORY}/blob/main/docs/provenance.md#v1"


def provenance_json(manifest: Manifest, payload_digest: str, quantizer: Mapping[str, str]) -> str:
    """The statement about the payload and the weights in it; `quantizer` is what quantized, by name and sha256."""
    facts = manifest.facts
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": SUMS, "digest": {"sha256": payload_digest}},
            {"name": manifest.weights.path, "digest": {"sha256": manifest.weights.sha256}},
        ],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": _BUILD_TYPE,
                "externalParameters": _asked(facts),
                "internalParameters": {"quantizer": dict(sorted(quantizer.items()))},
                "resolvedDependencies": list(_inputs(manifest)),
            },
            "runDetails": {"builder": {"id": _REPOSITORY, "version": {"edgepack": facts.provenance.edgepack}}},
        },
    }
    return json.dumps(statement, indent=2, sort_keys=True) + "\n"


def _asked(facts: BundleFacts) -> dict[str, object]:
    asked: dict[str, object] = {
        "model": facts.model.origin,
        "profile": facts.profile.name,
        "quantization": str(facts.quantization) if facts.quantization else "as delivered",
        "context": facts.flags.context,
        "converter": str(facts.provenance.converter),
    }
    if facts.adapter:
        asked["adapter"] = facts.adapter.origin
    if facts.large:
        asked["large"] = facts.large.model.origin
    return asked


def _inputs(manifest: Manifest) -> Iterator[dict[str, object]]:
    """What went in, each by its digest where it has one."""
    facts = manifest.facts
    model = {"name": "model", "uri": facts.model.origin}
    yield {
        **model,
        **_digest(facts.checkpoint),
        **({"annotations": _revision(facts)} if facts.model.revision else {}),
    }
    if facts.adapter:
        yield {"name": "adapter", "uri": facts.adapter.origin, **_digest(facts.adapter.checkpoint)}
    if facts.large:
        yield {"name": "large", "uri": facts.large.model.origin}
    yield {"name": "profile", "uri": facts.profile.name, **_digest(facts.profile.digest)}
    if not facts.encoder:
        pin = facts.provenance.llama_cpp
        yield {"name": "llama.cpp", "uri": f"pkg:pypi/{pin.name}@{pin.version}", **_digest(pin.sha256)}
    elif facts.encoder.wheels:
        for name, version in facts.encoder.packages:
            yield {"name": name, "uri": f"pkg:pypi/{name}@{version}", **_digest(manifest.wheel(name).sha256)}
    if facts.native:
        yield {"name": "runtime", "uri": facts.native.origin, **_digest(facts.native.digest)}


def _revision(facts: BundleFacts) -> dict[str, object]:
    return {"revision": facts.model.revision}


def _digest(sha256: str | None) -> dict[str, object]:
    return {"digest": {"sha256": sha256}} if sha256 else {}
