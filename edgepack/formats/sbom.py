"""sbom.cdx.json: CycloneDX 1.6 for one model, the same everywhere: no time, no serial number.

Fields follow https://cyclonedx.org/docs/1.6/json/.
"""

import json
from urllib.parse import quote

from edgepack.domain.bundle import BundleFacts, LicenceName, PayloadFile, PinnedSource


def sbom_json(facts: BundleFacts, weights: PayloadFile) -> str:
    """The document's text: the bundle, the model in it with hash and licence, and what made it."""
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "tools": {"components": [_edgepack(facts), _pin(facts.provenance.llama_cpp)]},
            "component": {"type": "application", "bom-ref": "bundle", "name": facts.name},
        },
        "components": [_model(facts, weights)],
        "dependencies": [{"ref": "bundle", "dependsOn": ["model"]}, {"ref": "model"}],
    }
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _edgepack(facts: BundleFacts) -> dict[str, object]:
    return {"type": "application", "name": "edgepack", "version": facts.provenance.edgepack}


def _pin(pin: PinnedSource) -> dict[str, object]:
    return {"type": "library", "name": pin.name, "version": pin.version, "hashes": _hashes(pin.sha256)}


def _model(facts: BundleFacts, weights: PayloadFile) -> dict[str, object]:
    model = facts.model
    component: dict[str, object] = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": model.name,
        "hashes": _hashes(weights.sha256),
        "modelCard": {"modelParameters": {"modelArchitecture": model.architecture}},
        "properties": [
            {"name": f"edgepack:{name}", "value": value}
            for name, value in (
                ("file", weights.path),
                ("origin", model.origin),
                ("parameters", str(model.parameters)),
                ("quantization", facts.quantization or "as delivered"),
            )
        ],
    }
    if model.revision:
        component["version"] = model.revision
    if licences := _licences(model.licence):
        component["licenses"] = licences
    if model.revision and model.origin.count("/") == 1:
        # https://github.com/package-url/purl-spec: type huggingface
        repository = quote(model.origin, safe="/")
        component["purl"] = f"pkg:huggingface/{repository}@{quote(model.revision.lower(), safe='')}"
    return component


def _licences(licence: LicenceName) -> list[dict[str, object]]:
    if licence.spdx and not set(licence.spdx) & set(" ()"):
        return [{"license": {"id": licence.spdx}}]
    if licence.spdx:
        return [{"expression": licence.spdx}]
    return [{"license": {"name": licence.name}}] if licence.name else []


def _hashes(sha256: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": sha256}]
