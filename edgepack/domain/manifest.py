"""manifest.json, written and strictly read; what the fields mean is the bundle's business."""

import json

from edgepack.domain.address import Address, parse_address
from edgepack.domain.bundle import (
    EVIDENCE,
    LICENCES,
    MANIFEST,
    SCHEMA,
    SUMS,
    BundledAdapter,
    BundledEncoder,
    BundledModel,
    BundledRoute,
    BundledRuntime,
    BundleFacts,
    LargeModel,
    LicenceName,
    Manifest,
    PayloadFile,
    PinnedSource,
    PredictedMemory,
    ProfileRef,
    PromptState,
    Provenance,
    RuntimeKind,
    WheelPlatform,
    is_path,
    is_safe_name,
    is_safe_path,
    is_sha256,
)
from edgepack.domain.confidence import calibration_values, read_calibration
from edgepack.domain.converter import Converter
from edgepack.domain.encoder import Gives
from edgepack.domain.errors import BadInputError, UsageError
from edgepack.domain.flags_json import flags_values, read_flags
from edgepack.domain.quant import OnnxQuant, Quant
from edgepack.domain.reading import Table

_ONNXRUNTIME = "onnxruntime"
_HINT = "make the bundle again with `edgepack build`, or copy it again from where it was made"


def manifest_json(manifest: Manifest) -> str:
    """The bytes of manifest.json: sorted keys, two spaces, a final newline, ASCII."""
    return json.dumps(_manifest_values(manifest), indent=2, sort_keys=True) + "\n"


def _manifest_values(manifest: Manifest) -> dict[str, object]:
    facts, model = manifest.facts, manifest.facts.model
    pin = facts.provenance.llama_cpp
    # Absent where there is nothing to say: what bundles said before there were any, they say still.
    adapter = {"adapter": _adapter_values(facts.adapter, manifest.adapter)} if facts.adapter else {}
    state = {"state": {"tokens": facts.state.tokens, "commit": facts.state.commit}} if facts.state else {}
    route = {"route": _route_values(facts.route, manifest.large)} if facts.route else {}
    encoder = {"encoder": _encoder_values(facts.encoder)} if facts.encoder else {}
    native = {"runtime_build": _native_values(facts.native)} if facts.native else {}
    upstream = facts.provenance.converter is not Converter.EDGEPACK
    converter = {"converter": facts.provenance.converter} if upstream else {}
    return {
        "schema": SCHEMA,
        "name": facts.name,
        "model": _model_values(model),
        "over_3b": facts.over_3b,
        "checkpoint": facts.checkpoint,
        "quantization": facts.quantization,
        "weights": _file_values(manifest.weights),
        **adapter,
        **state,
        **route,
        **encoder,
        "profile": {"name": facts.profile.name, "digest": facts.profile.digest},
        "flags": flags_values(facts.flags),
        **({} if facts.tuned is None else {"tuned": facts.tuned}),
        "runtime": facts.runtime,
        **native,
        "sample_prompt": facts.sample_prompt,
        "plan": facts.plan and {"predicted_bytes": dict(facts.plan.parts), "total_bytes": facts.plan.total},
        "provenance": {
            "edgepack": facts.provenance.edgepack,
            "llama_cpp": {"name": pin.name, "version": pin.version, "sha256": pin.sha256},
            **converter,
        },
        "sizes": {"payload": manifest.payload_size, "weights": manifest.weights.size},
        "files": [
            {"path": file.path, "size": file.size, "sha256": file.sha256, "executable": file.executable}
            for file in sorted(manifest.files, key=lambda file: file.path)
        ],
        "licences": list(manifest.licences),
    }  # fmt: skip


def _model_values(model: BundledModel) -> dict[str, object]:
    return {
        "name": model.name,
        "origin": model.origin,
        "revision": model.revision,
        "architecture": model.architecture,
        "parameters": model.parameters,
        "licence": {"name": model.licence.name, "spdx": model.licence.spdx},
    }


def _route_values(route: BundledRoute, file: PayloadFile | None) -> dict[str, object]:
    large = route.large
    where: dict[str, object] = (
        {"address": str(large)}
        if isinstance(large, Address)
        else {
            "model": _model_values(large.model),
            "quantization": large.quantization,
            "weights": file and _file_values(file),
        }
    )
    return {"threshold": route.threshold, "calibration": calibration_values(route.calibration), "large": where}


def _encoder_values(encoder: BundledEncoder) -> dict[str, object]:
    wheels = encoder.wheels
    return {
        "engine": _ONNXRUNTIME,
        "gives": encoder.gives,
        "width": encoder.width,
        "vocabulary": encoder.vocabulary,
        "labels": list(encoder.labels),
        "packages": dict(encoder.packages),
        "wheels": wheels and {"python": wheels.python, "architecture": wheels.architecture},
    }


def _adapter_values(adapter: BundledAdapter, file: PayloadFile | None) -> dict[str, object]:
    return {
        "name": adapter.name,
        "origin": adapter.origin,
        "checkpoint": adapter.checkpoint,
        "licence": {"name": adapter.licence.name, "spdx": adapter.licence.spdx},
        "merged": adapter.merged,
        "file": file and _file_values(file),
    }


def _native_values(native: BundledRuntime) -> dict[str, object]:
    return {"target": native.target, "origin": native.origin, "digest": native.digest}


def _file_values(file: PayloadFile) -> dict[str, object]:
    return {"path": file.path, "size": file.size, "sha256": file.sha256}


def parse_manifest(text: str, *, subject: str = MANIFEST) -> Manifest:
    """Read manifest.json strictly.

    `subject` names the file in errors. Raises BadInputError that names the place: not JSON, another schema,
    unknown or missing keys, wrong types, unsafe or repeated paths, and figures that contradict each other.
    """
    try:
        values = json.loads(text, object_pairs_hook=_no_key_twice)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{subject}: not JSON: {error}", hint=_HINT) from error
    if not isinstance(values, dict):
        raise BadInputError(f"{subject}: expected a JSON object", hint=_HINT)
    table = Table(values, subject=subject, hint=_HINT)
    schema = table.text("schema")
    if schema != SCHEMA:
        hint = "use the edgepack that made it, or make it again with this one"
        raise BadInputError(f"{subject}: schema: expected {SCHEMA}, got {schema!r}", hint=hint)
    manifest = _manifest(table)
    if manifest_json(manifest) != text:
        raise BadInputError(f"{subject}: not written as edgepack writes it", hint=_HINT)
    return manifest


def _no_key_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return values


def _manifest(table: Table) -> Manifest:
    files = _files(table)
    inner = table.table_or_none("adapter")
    adapter, file = _adapter(inner, files) if inner else (None, None)
    up = table.table_or_none("route")
    route, large = _route(up, files) if up else (None, None)
    manifest = Manifest(
        facts=_facts(table, adapter, route), weights=_listed(table.table("weights"), files), adapter=file,
        large=large, files=files,
    )  # fmt: skip
    _check_repeated(table, manifest)
    table.finish()
    return manifest


def _check_repeated(table: Table, manifest: Manifest) -> None:
    """The keys that say again, for people and scripts, what other keys say."""
    if table.flag("over_3b") != manifest.facts.over_3b:
        table.fail("over_3b", f"does not agree with {manifest.facts.model.parameters} parameters")
    if table.texts("licences") != manifest.licences:
        table.fail("licences", f"are not the files in {LICENCES}/")
    sizes = table.table("sizes")
    if (sizes.whole("payload"), sizes.whole("weights")) != (manifest.payload_size, manifest.weights.size):
        table.fail("sizes", "do not agree with the files")
    sizes.finish()


def _listed(table: Table, files: tuple[PayloadFile, ...]) -> PayloadFile:
    """The file that `table` says again."""
    path, size, sha256 = table.text("path"), table.whole("size"), _digest(table, "sha256")
    table.finish()
    found = next((file for file in files if file.path == path), None)
    if found is None:
        table.fail("path", f"{path!r} is not among the files")
    if (found.size, found.sha256) != (size, sha256):
        table.fail("sha256", "size or digest differs from the one among the files")
    return found


def _files(table: Table) -> tuple[PayloadFile, ...]:
    files = tuple(_file(inner) for inner in table.tables("files", least=1))
    paths = [file.path for file in files]
    # Compared without case: two names that differ in case alone are one file on some systems.
    if len({path.lower() for path in paths}) != len(paths):
        table.fail("files", "a path stands there twice")
    for path in paths:
        if any(path.startswith(f"{other}/") for other in paths):
            table.fail("files", f"{path!r} lies inside another file")
    return files


def _file(table: Table) -> PayloadFile:
    path = table.text("path")
    if not is_safe_path(path) or path in (MANIFEST, SUMS) or path.split("/")[0] == EVIDENCE:
        table.fail("path", f"{path!r} cannot be a payload file")
    file = PayloadFile(
        path=path,
        size=table.whole("size"),
        sha256=_digest(table, "sha256"),
        executable=table.flag("executable"),
    )
    table.finish()
    return file


def _digest(table: Table, key: str) -> str:
    digest = table.text(key)
    if not is_sha256(digest):
        table.fail(key, "expected a sha256 of 64 lower-case hexadecimal digits")
    return digest


def _adapter(table: Table, files: tuple[PayloadFile, ...]) -> tuple[BundledAdapter, PayloadFile | None]:
    file = table.table_or_none("file")
    adapter = BundledAdapter(
        name=table.text("name"),
        origin=_origin(table),
        checkpoint=_digest(table, "checkpoint"),
        licence=_licence(table.table("licence")),
        merged=table.flag("merged"),
    )
    if adapter.merged != (file is None):
        table.fail("merged", "an adapter has a file exactly where it is not merged")
    table.finish()
    return adapter, _listed(file, files) if file else None


def _route(table: Table, files: tuple[PayloadFile, ...]) -> tuple[BundledRoute, PayloadFile | None]:
    calibration = read_calibration(table.table("calibration"))
    threshold, inner, file = table.number("threshold"), table.table("large"), None
    large: LargeModel | Address
    if inner.has("address"):
        try:
            large = parse_address(inner.text("address"))
        except UsageError as error:
            inner.fail("address", error.what)
    else:
        quantization = inner.choice("quantization", Quant) if inner.text_or_none("quantization") else None
        large = LargeModel(model=_model(inner.table("model")), quantization=quantization)
        file = _listed(inner.table("weights"), files)
    inner.finish()
    table.finish()
    return BundledRoute(calibration=calibration, threshold=threshold, large=large), file


def _facts(table: Table, adapter: BundledAdapter | None, route: BundledRoute | None) -> BundleFacts:
    name = table.text("name")
    if not is_safe_name(name):
        table.fail("name", f"{name!r} is not letters, digits and ._+- only")
    encoder = _encoder(table.table_or_none("encoder"))
    prompt = table.text("sample_prompt")
    if not prompt.isprintable():
        table.fail("sample_prompt", "expected one line of text")
    return BundleFacts(
        name=name,
        model=_model(table.table("model")),
        checkpoint=_digest(table, "checkpoint") if table.text_or_none("checkpoint") else None,
        quantization=_quantization(table, encoder is not None),
        encoder=encoder,
        profile=_profile(table.table("profile")),
        flags=read_flags(table.table("flags")),
        provenance=_provenance(table.table("provenance")),
        adapter=adapter,
        state=_state(table.table_or_none("state")),
        plan=_plan(table.table_or_none("plan")),
        native=_native(table, python=encoder is not None),
        route=route,
        tuned=_one_line_or_none(table, "tuned"),
        sample_prompt=prompt,
    )


def _quantization(table: Table, is_onnx: bool) -> Quant | OnnxQuant | None:
    if is_onnx:
        return table.choice("quantization", OnnxQuant)
    return table.choice_or_none("quantization", Quant)


def _encoder(table: Table | None) -> BundledEncoder | None:
    if table is None:
        return None
    if table.text("engine") != _ONNXRUNTIME:
        table.fail("engine", f"expected {_ONNXRUNTIME}")
    inner = table.table_or_none("wheels")
    encoder = BundledEncoder(
        gives=table.choice("gives", Gives),
        width=table.whole("width", least=1),
        vocabulary=table.whole("vocabulary", least=1),
        labels=table.texts("labels"),
        packages=tuple(table.table("packages").strings().items()),
        wheels=_wheels(inner) if inner else None,
    )
    if len(encoder.labels) != (0 if encoder.gives is Gives.VECTOR else encoder.width):
        table.fail("labels", f"{len(encoder.labels)} of them for what gives a {encoder.gives}")
    table.finish()
    return encoder


def _wheels(table: Table) -> WheelPlatform:
    platform = WheelPlatform(python=table.text("python"), architecture=table.text("architecture"))
    table.finish()
    return platform


def _native(table: Table, *, python: bool) -> BundledRuntime | None:
    kind = table.choice("runtime", RuntimeKind)
    if (kind is RuntimeKind.PYTHON) != python:
        table.fail("runtime", f"{RuntimeKind.PYTHON} stands exactly where there is an encoder")
    bundled = kind is RuntimeKind.BUNDLED
    inner = table.table_or_none("runtime_build")
    if bundled != (inner is not None):
        table.fail("runtime_build", "stands exactly where the runtime is bundled")
    if inner is None:
        return None
    native = BundledRuntime(target=inner.text("target"), origin=inner.text("origin"), digest=_digest(inner, "digest"))
    inner.finish()
    return native


def _one_line_or_none(table: Table, key: str) -> str | None:
    text = table.text_or_none(key)
    if text is not None and not text.isprintable():
        table.fail(key, "expected one line of text")
    return text


def _model(table: Table) -> BundledModel:
    model = BundledModel(
        name=table.text("name"),
        origin=_origin(table),
        revision=table.text_or_none("revision"),
        architecture=table.text("architecture"),
        parameters=table.whole("parameters", least=1),
        licence=_licence(table.table("licence")),
    )
    table.finish()
    return model


def _state(table: Table | None) -> PromptState | None:
    if table is None:
        return None
    state = PromptState(tokens=table.whole("tokens", least=1), commit=table.text("commit"))
    if not is_safe_name(state.commit):
        table.fail("commit", "expected letters and digits")
    table.finish()
    return state


def _origin(table: Table) -> str:
    origin = table.text("origin")
    if is_path(origin):
        table.fail("origin", f"{origin!r} is a path, not a name")
    return origin


def _licence(table: Table) -> LicenceName:
    licence = LicenceName(name=table.text_or_none("name"), spdx=table.text_or_none("spdx"))
    table.finish()
    return licence


def _profile(table: Table) -> ProfileRef:
    profile = ProfileRef(name=table.text("name"), digest=_digest(table, "digest"))
    table.finish()
    return profile


def _provenance(table: Table) -> Provenance:
    pin = table.table("llama_cpp")
    provenance = Provenance(
        edgepack=table.text("edgepack"),
        llama_cpp=PinnedSource(name=pin.text("name"), version=pin.text("version"), sha256=_digest(pin, "sha256")),
        converter=table.choice("converter", Converter) if table.text_or_none("converter") else Converter.EDGEPACK,
    )
    pin.finish()
    table.finish()
    return provenance


def _plan(table: Table | None) -> PredictedMemory | None:
    if table is None:
        return None
    parts = table.table("predicted_bytes")
    plan = PredictedMemory(parts=tuple((part, parts.whole(part)) for part in sorted(parts.numbers())))
    if table.whole("total_bytes") != plan.total:
        table.fail("total_bytes", "is not the sum of the parts")
    table.finish()
    return plan
