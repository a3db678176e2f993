"""Where everything is from: one model, two, or one and an address."""

from dataclasses import replace

from edgepack.domain.address import Address
from edgepack.domain.bundle import BundledRoute, LargeModel, Manifest, PayloadFile
from edgepack.domain.confidence import Calibration, Signal
from edgepack.domain.quant import Quant
from edgepack.domain.report import SeenBundle
from edgepack.report.section_trust import provenance_section
from edgepack.report.view import Cell, Code, Facts
from tests.formats.bundles import ADAPTER, FACTS

WEIGHTS = PayloadFile(path="model/tiny.gguf", size=70_000, sha256="1" * 64)
LICENCE = PayloadFile(path="LICENSES/LICENSE", size=17, sha256="2" * 64)
LARGE = PayloadFile(path="model/large.gguf", size=170_000, sha256="3" * 64)
ROUTE = BundledRoute(
    calibration=Calibration(intercept=0.0, weights={Signal.PRODUCT: 1.0}), threshold=0.5,
    large=LargeModel(model=replace(FACTS.model, name="big", origin="Example/Big"), quantization=Quant.Q8_0),
)  # fmt: skip


def rows(manifest: Manifest) -> dict[str, Cell]:
    section = provenance_section(SeenBundle(manifest=manifest, payload_digest="4" * 64))
    facts = section.blocks[0]
    assert isinstance(facts, Facts)
    return dict(facts.rows)


def test_one_model_has_its_origin_licence_and_digests() -> None:
    found = rows(Manifest(facts=FACTS, weights=WEIGHTS, files=(LICENCE, WEIGHTS)))
    assert found["Licence"] == "Apache License 2.0 (Apache-2.0)"
    assert found["Origin"] == Code(text="Example/Tiny-Instruct")
    assert found["Weights"] == Code(text="1" * 64)
    assert found["Payload"] == Code(text="4" * 64)
    assert not {"Adapter", "Larger model", "Goes up to"} & found.keys()


def test_an_adapter_has_its_own_licence() -> None:
    found = rows(Manifest(facts=replace(FACTS, adapter=ADAPTER), weights=WEIGHTS, files=(WEIGHTS,)))
    assert found["Adapter"] == "tiny-lora, mit"


def test_two_models_have_two_origins() -> None:
    manifest = Manifest(facts=replace(FACTS, route=ROUTE), weights=WEIGHTS, large=LARGE, files=(LARGE, WEIGHTS))
    found = rows(manifest)
    assert str(found["Larger model"]).startswith("big Q8_0, ")
    assert found["Its origin"] == Code(text="Example/Big")
    assert found["Its weights"] == Code(text="3" * 64)


def test_an_address_is_named() -> None:
    route = replace(ROUTE, large=Address(url="http://10.0.0.2:8080/v1", model="larger"))
    found = rows(Manifest(facts=replace(FACTS, route=route), weights=WEIGHTS, files=(WEIGHTS,)))
    assert found["Goes up to"] == Code(text="http://10.0.0.2:8080/v1#larger")
