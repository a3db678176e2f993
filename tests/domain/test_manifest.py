"""manifest.json: written the same everywhere, read strictly."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.domain.address import Address
from edgepack.domain.bundle import (
    LARGE,
    BundledRoute,
    BundleFacts,
    LargeModel,
    Manifest,
    PayloadFile,
    PromptState,
    is_safe_name,
    is_safe_path,
    safe_name,
)
from edgepack.domain.confidence import Calibration, Signal
from edgepack.domain.converter import Converter
from edgepack.domain.errors import BadInputError
from edgepack.domain.manifest import manifest_json, parse_manifest
from edgepack.domain.quant import Quant
from tests.formats.bundles import ADAPTER, FACTS

WEIGHTS = PayloadFile(path="model/tiny.gguf", size=5, sha256="a" * 64)
RUN = PayloadFile(path="run", size=7, sha256="b" * 64, executable=True)
LICENCE = PayloadFile(path="LICENSES/LICENSE", size=3, sha256="c" * 64)
MANIFEST = Manifest(facts=FACTS, weights=WEIGHTS, files=(LICENCE, WEIGHTS, RUN))
LORA = PayloadFile(path="model/adapter.gguf", size=4, sha256="d" * 64)
WITH_ADAPTER = Manifest(
    facts=replace(FACTS, adapter=ADAPTER), weights=WEIGHTS, adapter=LORA, files=(LICENCE, LORA, WEIGHTS, RUN)
)
WITH_STATE = replace(MANIFEST, facts=replace(FACTS, state=PromptState(tokens=348, commit="0c1e570")))
WITH_MERGED = replace(MANIFEST, facts=replace(FACTS, adapter=replace(ADAPTER, merged=True)))
VALUES: dict[str, Any] = json.loads(manifest_json(MANIFEST))
SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "manifest.schema.json"


def text_of(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2, sort_keys=True) + "\n"


def changed(*place: str | int, to: object) -> str:
    """The manifest's text with one value changed."""
    values = json.loads(json.dumps(VALUES))
    inner = values
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = to
    return text_of(values)


def leaves(values: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(values, dict):
        for key, value in values.items():
            yield from leaves(value, (*place, key))
    elif isinstance(values, list):
        for index, value in enumerate(values):
            yield from leaves(value, (*place, index))
    else:
        yield place


def test_what_is_written_is_read_again() -> None:
    assert parse_manifest(manifest_json(MANIFEST)) == MANIFEST


def test_optional_facts_may_be_absent() -> None:
    model = replace(FACTS.model, revision=None, licence=replace(FACTS.model.licence, name=None, spdx=None))
    facts = replace(FACTS, plan=None, checkpoint=None, quantization=None, model=model)
    manifest = replace(MANIFEST, facts=facts)
    assert parse_manifest(manifest_json(manifest)) == manifest


BY_UPSTREAM = replace(
    MANIFEST, facts=replace(FACTS, provenance=replace(FACTS.provenance, converter=Converter.UPSTREAM))
)


CALIBRATION = Calibration(intercept=-0.4, weights={Signal.PRODUCT: 1.6, Signal.WEAKEST: 0.5})
LARGER = PayloadFile(path=LARGE, size=4, sha256="7" * 64)
ROUTED = BundledRoute(
    calibration=CALIBRATION,
    threshold=0.53,
    large=LargeModel(model=replace(FACTS.model, name="larger"), quantization=Quant.Q8_0),
)
WITH_LARGE = replace(
    MANIFEST,
    facts=replace(FACTS, route=ROUTED),
    large=LARGER,
    files=tuple(sorted((*MANIFEST.files, LARGER), key=lambda file: file.path)),
)
WITH_ADDRESS = replace(
    MANIFEST,
    facts=replace(FACTS, route=replace(ROUTED, large=Address(url="http://10.0.0.2:8080/v1", model="larger"))),
)


@pytest.mark.parametrize("manifest", [WITH_ADAPTER, WITH_MERGED, BY_UPSTREAM, WITH_STATE, WITH_LARGE, WITH_ADDRESS])
def test_what_few_bundles_say_is_read_again_and_follows_the_schema(manifest: Manifest) -> None:
    text = manifest_json(manifest)
    assert parse_manifest(text) == manifest
    jsonschema.validate(json.loads(text), json.loads(SCHEMA.read_text()))


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (("adapter", "merged"), True, "a file exactly where it is not merged"),
        (("adapter", "file"), None, "a file exactly where it is not merged"),
        (("adapter", "file", "sha256"), "0" * 64, "differs from the one among the files"),
        (("adapter", "file", "path"), "model/other.gguf", "is not among the files"),
        (("adapter", "origin"), "/home/me/lora", "is a path, not a name"),
        (("adapter", "rank"), 8, "unknown key"),
    ],
)
def test_an_adapter_that_contradicts_itself_is_refused(place: tuple[str, ...], value: object, says: str) -> None:
    values = json.loads(manifest_json(WITH_ADAPTER))
    inner = values
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises(BadInputError, match=says):
        parse_manifest(text_of(values))


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (("large", "weights", "path"), "model/other.gguf", "is not among the files"),
        (("large", "weights", "size"), 5, "differs from the one among the files"),
        (("large", "model", "origin"), "/home/me/larger.gguf", "is a path, not a name"),
        (("large", "address"), "http://a:b@c/v1", "a password in it"),
        (("large", "address"), "ftp://c/v1", "not the address"),
        (("calibration", "weights", "product"), -1, "more than 0"),
        (("calibration", "weights", "mood"), 1, "unknown key"),
        (("threshold",), "high", "expected number"),
    ],
)
def test_a_route_that_leads_nowhere_is_refused(place: tuple[str, ...], value: object, says: str) -> None:
    values = json.loads(manifest_json(WITH_LARGE))
    inner = values["route"]
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises(BadInputError, match=says):
        parse_manifest(text_of(values))


def test_memory_is_needed_for_both_models() -> None:
    assert replace(WITH_LARGE, facts=replace(WITH_LARGE.facts, plan=None)).memory_needed == MANIFEST.weights.size + 4


def test_without_an_adapter_the_manifest_does_not_speak_of_one() -> None:
    assert "adapter" not in VALUES


def test_the_text_has_sorted_keys_two_spaces_and_a_final_newline() -> None:
    text = manifest_json(MANIFEST)
    assert text == text_of(json.loads(text))
    assert text.endswith("}\n")
    assert text.isascii()


def test_the_manifest_follows_its_schema() -> None:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(VALUES, schema)


@pytest.mark.parametrize("place", list(leaves(VALUES)), ids=lambda place: ".".join(map(str, place)))
def test_every_value_of_another_type_is_refused(place: tuple[str | int, ...]) -> None:
    with pytest.raises(BadInputError, match=r"^manifest\.json: "):
        parse_manifest(changed(*place, to={"not": "this"}))


@pytest.mark.parametrize("key", sorted(VALUES))
def test_every_key_is_needed(key: str) -> None:
    values = {name: value for name, value in VALUES.items() if name != key}
    with pytest.raises(BadInputError):
        parse_manifest(text_of(values))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (changed("files", 1, "size", to="5"), r"files\[1\]\.size: expected int, got string"),
        (changed("files", 1, "path", to="../x"), r"files\[1\]\.path: '\.\./x' cannot be a payload file"),
        (changed("files", 1, "path", to="/x"), "cannot be a payload file"),
        (changed("files", 1, "path", to="SHA256SUMS"), "cannot be a payload file"),
        (changed("files", 1, "path", to="evidence/x"), "cannot be a payload file"),
        (changed("files", 2, "path", to="MODEL/TINY.gguf"), "stands there twice"),
        (changed("files", 2, "path", to="model/tiny.gguf/x"), "lies inside another file"),
        (changed("files", 2, "sha256", to="B" * 64), "64 lower-case hexadecimal digits"),
        (changed("weights", "path", to="run2"), "is not among the files"),
        (changed("weights", "size", to=6), "differs from the one among the files"),
        (changed("sizes", "payload", to=1), "sizes: do not agree"),
        (changed("over_3b", to=True), "does not agree with 120000 parameters"),
        (changed("licences", to=[]), "are not the files in LICENSES/"),
        (changed("plan", "total_bytes", to=1), "is not the sum"),
        (changed("model", "origin", to="/home/someone/model"), "is a path"),
        (changed("name", to="a b"), "letters, digits"),
        (changed("flags", "cache_type", to="; rm -rf /"), "flags.cache_type"),
        (changed("sample_prompt", to="a\nb"), "one line of text"),
        (changed("schema", to="edgepack.bundle/2"), "schema: expected edgepack.bundle/1, got 'edgepack.bundle/2'"),
        (changed("more", to=1), "more: unknown key"),
        ("{", "not JSON"),
        ("[]", "expected a JSON object"),
        ("[" * 100_000, "not JSON"),
        (manifest_json(MANIFEST).replace('"run"', '"r\\u0075n"'), "not written as edgepack writes it"),
        (manifest_json(MANIFEST)[:-3] + ',\n  "name": "again"\n}\n', "a key stands twice"),
    ],
)
def test_an_error_names_the_place(text: str, says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        parse_manifest(text)


@given(st.text(max_size=300))
def test_no_text_ends_in_anything_but_an_error_of_ours(text: str) -> None:
    with pytest.raises(BadInputError):
        parse_manifest(text)


def test_more_than_three_billion_parameters_are_said() -> None:
    facts = replace(FACTS, model=replace(FACTS.model, parameters=3_000_000_001))
    assert facts.over_3b
    assert not FACTS.over_3b
    assert json.loads(manifest_json(replace(MANIFEST, facts=facts)))["over_3b"] is True


def test_the_memory_needed_is_the_plan_or_else_the_weights() -> None:
    assert MANIFEST.memory_needed == 1024 + 2048 + 4096
    assert replace(MANIFEST, facts=replace(FACTS, plan=None)).memory_needed == WEIGHTS.size


@pytest.mark.parametrize("name", ["a", "LICENSE", "Qwen2.5-0.5B+x_1.gguf"])
def test_plain_names_are_safe(name: str) -> None:
    assert is_safe_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "-rf", "a b", "a/b", "a\n", "a'b", "é", "a.", "x" * 101])
def test_other_names_are_not(name: str) -> None:
    assert not is_safe_name(name)


@pytest.mark.parametrize("path", ["/a", "a//b", "a/../b", "./a", "a/", "a\\b", "a/" * 200 + "a"])
def test_paths_that_could_leave_are_not_safe(path: str) -> None:
    assert not is_safe_path(path)


@pytest.mark.parametrize("origin", ["/srv/models/x", "~/x", "./x", "../x", "C:\\x", "C:/x"])
def test_facts_hold_no_path_of_the_machine(origin: str) -> None:
    with pytest.raises(ValueError, match="is a path of this machine"):
        replace(FACTS, model=replace(FACTS.model, origin=origin))


@pytest.mark.parametrize("change", [{"name": "../x"}, {"sample_prompt": "a\nb"}, {"sample_prompt": " "}])
def test_facts_refuse_what_a_script_could_not_hold(change: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        BundleFacts(**{field: getattr(FACTS, field) for field in FACTS.__slots__} | change)


@pytest.mark.parametrize(
    ("text", "name"),
    [("Qwen 2.5 (0.5B)", "Qwen_2.5_0.5B_"), (".hidden", "hidden"), ("a/b", "a_b"), ("x" * 200, "x" * 100)],
)
def test_the_nearest_safe_name_is_safe(text: str, name: str) -> None:
    assert safe_name(text) == name
    assert is_safe_name(safe_name(text))


@pytest.mark.parametrize("text", ["", "...", "_"])
def test_a_text_without_letters_makes_no_name(text: str) -> None:
    with pytest.raises(ValueError):
        safe_name(text)
