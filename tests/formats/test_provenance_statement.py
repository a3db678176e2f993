"""Where a bundle comes from: an in-toto statement with SLSA's predicate, about the payload, the same each time."""

import json
from dataclasses import replace

import jsonschema

from edgepack.domain.bundle import Manifest, PayloadFile
from edgepack.formats.provenance import provenance_json
from tests.formats.bundles import ADAPTER, FACTS

WEIGHTS = PayloadFile(path="model/tiny.gguf", size=5, sha256="a" * 64)
QUANTIZER = {"libggml-base.so": "b" * 64}
_RESOURCE = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "uri": {"type": "string"},
        "digest": {
            "type": "object", "minProperties": 1,
            "additionalProperties": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        },
        "annotations": {"type": "object"},
    },
    "additionalProperties": False,
}  # fmt: skip
# https://in-toto.io/Statement/v1 and https://slsa.dev/spec/v1.0/provenance, as far as it is used.
STATEMENT = {
    "type": "object",
    "required": ["_type", "subject", "predicateType", "predicate"],
    "additionalProperties": False,
    "properties": {
        "_type": {"const": "https://in-toto.io/Statement/v1"},
        "subject": {"type": "array", "minItems": 1, "items": {**_RESOURCE, "required": ["name", "digest"]}},
        "predicateType": {"const": "https://slsa.dev/provenance/v1"},
        "predicate": {
            "type": "object",
            "required": ["buildDefinition", "runDetails"],
            "properties": {
                "buildDefinition": {
                    "type": "object",
                    "required": ["buildType", "externalParameters"],
                    "properties": {
                        "buildType": {"type": "string", "pattern": "^https://"},
                        "externalParameters": {"type": "object"},
                        "internalParameters": {"type": "object"},
                        "resolvedDependencies": {"type": "array", "items": _RESOURCE},
                    },
                    "additionalProperties": False,
                },
                "runDetails": {
                    "type": "object",
                    "required": ["builder"],
                    "properties": {
                        "builder": {
                            "type": "object", "required": ["id"],
                            "properties": {
                                "id": {"type": "string"},
                                "version": {"type": "object", "additionalProperties": {"type": "string"}},
                            },
                        }
                    },
                },
            },
            "additionalProperties": False,
        },
    },
}  # fmt: skip


def test_it_is_a_statement_about_payload_and_weights_with_all_that_went_in() -> None:
    facts = replace(FACTS, adapter=ADAPTER)
    text = provenance_json(Manifest(facts=facts, weights=WEIGHTS, files=(WEIGHTS,)), "d" * 64, QUANTIZER)
    statement = json.loads(text)
    jsonschema.validate(statement, STATEMENT)
    digests = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    assert digests == {"SHA256SUMS": "d" * 64, "model/tiny.gguf": "a" * 64}
    definition = statement["predicate"]["buildDefinition"]
    assert definition["internalParameters"] == {"quantizer": QUANTIZER}
    inputs = {one["name"]: one for one in definition["resolvedDependencies"]}
    assert set(inputs) == {"model", "adapter", "profile", "llama.cpp"}
    assert inputs["model"]["digest"] == {"sha256": FACTS.checkpoint}
    assert inputs["model"]["annotations"] == {"revision": FACTS.model.revision}


def test_ready_weights_have_no_digest_of_a_checkpoint() -> None:
    facts = replace(FACTS, checkpoint=None)
    text = provenance_json(Manifest(facts=facts, weights=WEIGHTS, files=(WEIGHTS,)), "d" * 64, {})
    jsonschema.validate(json.loads(text), STATEMENT)
    assert "digest" not in json.loads(text)["predicate"]["buildDefinition"]["resolvedDependencies"][0]
