"""sbom.cdx.json: CycloneDX 1.6 for one model, the same everywhere: no time, no serial number.

Fields follow https://cyclonedx.org/docs/1.6/json/.
"""

import json
from urllib.parse import quote

from edgepack.domain.bundle import (
    RUNTIME,
    BundledAdapter,
    BundledModel,
    BundledRuntime,
    BundleFacts,
    LargeModel,
    LicenceName,
    Manifest,
    PayloadFile,
    PinnedSource,
    Provenance,
)
from edgepack.domain.native import ROUTER
from edgepack.domain.quant import OnnxQuant, Quant

_PACKAGE_LICENCES = {"numpy": "BSD-3-Clause", "onnxruntime": "MIT", "tokenizers": "Apache-2.0"}


def sbom_json(manifest: Manifest) -> str:
    """The document's text: the bundle, the model in it with hash and licence, its adapter, and what made it.

    The manifest need not list all files yet.
    """
    facts = manifest.facts
    components = [_model(facts, manifest.weights)]
    if facts.adapter:
        components.append(_adapter(facts.adapter, manifest.adapter))
    if facts.large and manifest.large:
        components.append(_large(facts.large, manifest.large))
    if facts.native:
        components.append(_native(facts.native, facts.provenance.llama_cpp))
    if facts.route:
        components.append(_router(facts.provenance))
    if facts.encoder and facts.encoder.wheels:
        components += [_package(*package, manifest) for package in facts.encoder.packages]
    refs = [str(component["bom-ref"]) for component in components]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "tools": {"components": _tools(facts)},
            "component": {"type": "application", "bom-ref": "bundle", "name": facts.name},
        },
        "components": components,
        "dependencies": [{"ref": "bundle", "dependsOn": refs}, *({"ref": ref} for ref in refs)],
    }
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _tools(facts: BundleFacts) -> list[dict[str, object]]:
    """What made it; llama.cpp has no part in an encoder."""
    return [_edgepack(facts), *([] if facts.encoder else [_pin(facts.provenance.llama_cpp)])]


def _package(name: str, version: str, manifest: Manifest) -> dict[str, object]:
    """A package in wheels/."""
    wheel = manifest.wheel(name)
    component: dict[str, object] = {
        "type": "library", "bom-ref": f"wheel-{name}", "name": name, "version": version,
        "purl": f"pkg:pypi/{name}@{version}", "hashes": _hashes(wheel.sha256),
        "properties": _properties(("file", wheel.path)),
    }  # fmt: skip
    if name in _PACKAGE_LICENCES:
        component["licenses"] = [{"license": {"id": _PACKAGE_LICENCES[name]}}]
    return component


def _edgepack(facts: BundleFacts) -> dict[str, object]:
    return {"type": "application", "name": "edgepack", "version": facts.provenance.edgepack}


def _pin(pin: PinnedSource) -> dict[str, object]:
    return {"type": "library", "name": pin.name, "version": pin.version, "hashes": _hashes(pin.sha256)}


def _model(facts: BundleFacts, weights: PayloadFile) -> dict[str, object]:
    return _weights("model", facts.model, facts.quantization, weights)


def _large(large: LargeModel, weights: PayloadFile) -> dict[str, object]:
    """What requests go up to."""
    return _weights("large", large.model, large.quantization, weights)


def _weights(
    ref: str, model: BundledModel, quantization: Quant | OnnxQuant | None, weights: PayloadFile
) -> dict[str, object]:
    component: dict[str, object] = {
        "type": "machine-learning-model",
        "bom-ref": ref,
        "name": model.name,
        "hashes": _hashes(weights.sha256),
        "modelCard": {"modelParameters": {"modelArchitecture": model.architecture}},
        "properties": _properties(
            ("file", weights.path),
            ("origin", model.origin),
            ("parameters", str(model.parameters)),
            ("quantization", quantization or "as delivered"),
        ),
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


def _adapter(adapter: BundledAdapter, file: PayloadFile | None) -> dict[str, object]:
    component: dict[str, object] = {
        "type": "machine-learning-model",
        "bom-ref": "adapter",
        "name": adapter.name,
        "properties": _properties(
            ("file", file.path if file else "merged into the model"),
            ("origin", adapter.origin),
            ("checkpoint", adapter.checkpoint),
        ),
    }
    if file:
        component["hashes"] = _hashes(file.sha256)
    if licences := _licences(adapter.licence):
        component["licenses"] = licences
    return component


def _native(native: BundledRuntime, source: PinnedSource) -> dict[str, object]:
    """The programs in runtime/, all of one build."""
    return {
        "type": "application",
        "bom-ref": "runtime",
        "name": "llama.cpp",
        "version": native.origin,
        "licenses": [{"license": {"id": "MIT"}}],
        "properties": _properties(
            ("target", native.target),
            ("digest", native.digest),
            ("source", f"{source.name} {source.version} sha256 {source.sha256}"),
        ),
    }


def _router(made: Provenance) -> dict[str, object]:
    """runtime/router: edgepack's own source, with two libraries that llama.cpp carries."""
    pin = made.llama_cpp
    return {
        "type": "application",
        "bom-ref": "router",
        "name": "edgepack-router",
        "version": made.edgepack,
        "licenses": [{"license": {"id": "Apache-2.0"}}],
        "properties": _properties(
            ("file", f"{RUNTIME}/{ROUTER}"),
            ("libraries", f"cpp-httplib and nlohmann/json, MIT, of {pin.name} {pin.version} sha256 {pin.sha256}"),
        ),
    }


def _properties(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"name": f"edgepack:{name}", "value": value} for name, value in pairs]


def _licences(licence: LicenceName) -> list[dict[str, object]]:
    if licence.spdx and not set(licence.spdx) & set(" ()"):
        return [{"license": {"id": licence.spdx}}]
    if licence.spdx:
        return [{"expression": licence.spdx}]
    return [{"license": {"name": licence.name}}] if licence.name else []


def _hashes(sha256: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": sha256}]
