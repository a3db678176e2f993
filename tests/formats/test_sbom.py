"""The bill of materials names the model, its hash, licence and origin, and nothing that varies."""

import json
from dataclasses import replace
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from edgepack.domain.bundle import BundledRuntime, BundleFacts, LicenceName, Manifest, PayloadFile
from edgepack.formats.sbom import sbom_json
from tests.formats.bundles import ADAPTER, FACTS

NATIVE = BundledRuntime(target="aarch64-linux-musl", origin="0.3.36", digest="d" * 64)
WEIGHTS = PayloadFile(path="model/tiny.gguf", size=5, sha256="a" * 64)


def text_of(facts: BundleFacts, adapter: PayloadFile | None = None) -> str:
    return sbom_json(Manifest(facts=facts, weights=WEIGHTS, adapter=adapter, files=(WEIGHTS,)))


def model_of(facts: BundleFacts) -> dict[str, Any]:
    document = json.loads(text_of(facts))
    (model,) = document["components"]
    assert isinstance(model, dict)
    return model


def test_it_says_which_version_of_cyclonedx_it_is() -> None:
    document = json.loads(text_of(FACTS))
    assert (document["bomFormat"], document["specVersion"], document["version"]) == ("CycloneDX", "1.6", 1)


def test_it_has_no_time_and_no_serial_number() -> None:
    assert not {"timestamp", "serialNumber"} & set(text_of(FACTS).split('"'))


def test_the_model_has_the_weights_hash_and_the_hubs_address() -> None:
    model = model_of(FACTS)
    assert model["type"] == "machine-learning-model"
    assert model["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert model["purl"] == f"pkg:huggingface/Example/Tiny-Instruct@{FACTS.model.revision}"
    assert model["version"] == FACTS.model.revision


def test_a_model_from_no_hub_has_no_address() -> None:
    assert "purl" not in model_of(replace(FACTS, model=replace(FACTS.model, origin="demo", revision=None)))


@pytest.mark.parametrize(
    ("name", "spdx", "expected"),
    [
        ("Apache License 2.0", "Apache-2.0", [{"license": {"id": "Apache-2.0"}}]),
        ("two", "MIT OR Apache-2.0", [{"expression": "MIT OR Apache-2.0"}]),
        ("Llama 3.2 Community License", None, [{"license": {"name": "Llama 3.2 Community License"}}]),
        (None, None, None),
    ],
)
def test_the_licence_is_an_identifier_an_expression_or_a_name(
    name: str | None, spdx: str | None, expected: object
) -> None:
    facts = replace(FACTS, model=replace(FACTS.model, licence=LicenceName(name=name, spdx=spdx)))
    assert model_of(facts).get("licenses") == expected


@pytest.mark.parametrize("merged", [True, False])
def test_an_adapter_is_a_model_of_its_own_with_a_hash_unless_it_is_merged(merged: bool) -> None:
    file = None if merged else PayloadFile(path="model/adapter.gguf", size=3, sha256="b" * 64)
    document = json.loads(text_of(replace(FACTS, adapter=replace(ADAPTER, merged=merged)), file))
    adapter = document["components"][1]
    assert (adapter["name"], adapter["licenses"]) == ("tiny-lora", [{"license": {"name": "mit"}}])
    assert adapter.get("hashes") == (None if merged else [{"alg": "SHA-256", "content": "b" * 64}])
    assert document["dependencies"][0]["dependsOn"] == ["model", "adapter"]


@pytest.mark.parametrize("adapter", [None, PayloadFile(path="model/adapter.gguf", size=5, sha256="b" * 64)])
def test_it_is_valid_by_cyclonedxs_own_schema(adapter: PayloadFile | None) -> None:
    facts = replace(FACTS, adapter=ADAPTER if adapter else None, native=NATIVE)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text_of(facts, adapter)) is None


def test_an_expression_of_licences_is_valid_too() -> None:
    licence = LicenceName(name="either", spdx="MIT OR Apache-2.0")
    facts = replace(FACTS, model=replace(FACTS.model, licence=licence))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text_of(facts)) is None
