"""A bundle as an OCI image layout after the CNCF's ModelPack: four layers, so that what stays is not sent again.

See https://github.com/modelpack/model-spec (v1) and https://github.com/opencontainers/image-spec (v1.1). The layers
are plain tars, since weights do not compress; nothing in it has a date.
"""

import json
from hashlib import sha256
from pathlib import Path

from edgepack.domain.bundle import LICENCES, RUNTIME, SBOM, SCRIPTS, Manifest
from edgepack.domain.packaging import PREFIX, Packaging
from edgepack.domain.progress import Bar
from edgepack.formats.tar import write_members
from edgepack.infra.digests import sha256_of

_MODEL = "application/vnd.cncf.model"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_WEIGHTS, _CODE, _DOCUMENTS, _SETTINGS = "weight", "code", "doc", "weight.config"
_LAYERS = (_WEIGHTS, _CODE, _DOCUMENTS, _SETTINGS)
"""What changes least comes first."""


def write_oci(tree: Path, manifest: Manifest, packaging: Packaging, destination: Path, bar: Bar) -> None:
    """Write the new directory: `oci-layout`, `index.json` and `blobs/`. The bar hears every byte."""
    blobs = destination / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    layers = [layer for kind in _LAYERS if (layer := _layer(tree, manifest, kind, blobs, bar))]
    config = _blob(blobs, _json(_config(manifest, packaging, layers)), f"{_MODEL}.config.v1+json")
    image = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "artifactType": f"{_MODEL}.manifest.v1+json",
        "config": config,
        "layers": layers,
        "annotations": {
            "org.opencontainers.image.title": manifest.facts.name,
            "org.opencontainers.image.version": packaging.version,
        },
    }
    found = _blob(blobs, _json(image), _MANIFEST)
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{**found, "annotations": {"org.opencontainers.image.ref.name": packaging.version}}],
    }
    (destination / "index.json").write_bytes(_json(index))
    (destination / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))


def _layer(tree: Path, manifest: Manifest, kind: str, blobs: Path, bar: Bar) -> dict[str, object] | None:
    """The files of one kind as a layer whose names begin where a device has bundles; None where there are none."""
    paths = sorted(path for path in tree.rglob("*") if path.is_file() and _kind(path.relative_to(tree)) == kind)
    if not paths:
        return None
    partial = blobs / f"{kind}.partial"
    top = f"{PREFIX}/{manifest.facts.name}"
    write_members({f"{top}/{path.relative_to(tree)}": path for path in paths}, partial, bar)
    digest, size = sha256_of(partial), partial.stat().st_size
    partial.rename(blobs / digest)
    return {
        "mediaType": f"{_MODEL}.{kind}.v1.tar", "digest": f"sha256:{digest}", "size": size,
        "annotations": {"org.cncf.model.filepath": top},
    }  # fmt: skip


def _kind(path: Path) -> str:
    match path.parts[0]:
        case "model":
            return _WEIGHTS
        case top if top in (RUNTIME, "wheels", *SCRIPTS):
            return _CODE
        case top if top in (LICENCES, SBOM, "evidence"):
            return _DOCUMENTS
        case _:
            return _SETTINGS


def _config(manifest: Manifest, packaging: Packaging, layers: list[dict[str, object]]) -> dict[str, object]:
    facts = manifest.facts
    model, licence = facts.model, facts.model.licence
    descriptor: dict[str, object] = {
        "name": model.name, "family": model.architecture, "version": packaging.version,
        "title": f"{model.name} for {facts.profile.name}",
    }  # fmt: skip
    if model.revision:
        descriptor["revision"] = model.revision
    if licence.spdx:
        descriptor["licenses"] = [licence.spdx]
    config: dict[str, object] = {
        "architecture": "transformer",
        "format": "onnx" if facts.encoder else "gguf",
        "paramSize": _rounded(model.parameters),
    }
    if facts.quantization:
        config["quantization"] = str(facts.quantization)
    digests = [layer["digest"] for layer in layers]
    return {"descriptor": descriptor, "config": config, "modelfs": {"type": "layers", "diffIds": digests}}


def _rounded(parameters: int) -> str:
    """As ModelPack writes it: `500m`, `1.2b`."""
    if parameters >= 1_000_000_000:
        return f"{parameters / 1e9:.1f}b".replace(".0b", "b")
    return f"{parameters / 1e6:.1f}m".replace(".0m", "m")


def _blob(blobs: Path, content: bytes, media_type: str) -> dict[str, object]:
    digest = sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def _json(values: object) -> bytes:
    return json.dumps(values, indent=2, sort_keys=True).encode() + b"\n"
