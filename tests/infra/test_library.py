"""The data that edgepack carries: every profile and every model, and how they are found."""

import re
from pathlib import Path

import pytest

import edgepack
from edgepack.domain.catalogue import CatalogueModel, ModelKind
from edgepack.domain.errors import BadInputError, UsageError
from edgepack.domain.profile import BandwidthKind, DeviceClass
from edgepack.infra.library import (
    load_catalogue,
    load_policy,
    load_profile,
    profile_aliases,
    profile_names,
    read_profile,
    read_toml,
    write_profile,
)

PROMISED = (
    "rpi5-2gb rpi5-4gb rpi5-8gb rpi5-16gb rpi4 rpi-zero-2w orange-pi-5 jetson-orin-nano n100 laptop-x86 macbook-m2"
    " galaxy-s23 pixel-9 phone-mid phone-low rpi5 rock-5b radxa-zero-3w radxa-dragon-q6a orion-o6 beagleplay imx8mp"
    " imx93 stm32mp257 milkv-jupiter n150 laptop-core-ultra laptop-ryzen-ai macbook-m1 macbook-m4 steam-deck pixel-8"
    " poco-f5 oneplus-12 snapdragon-8-elite snapdragon-6-gen-1 dimensity-9300 helio-g99 phone-high rk3588 bpi-f3"
)


@pytest.mark.parametrize("name", PROMISED.split())
def test_every_promised_profile_loads_by_name(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == profile_aliases().get(name, name)
    assert profile.memory_budget > 0


@pytest.mark.parametrize("name", profile_names())
def test_every_figure_of_every_profile_says_where_it_comes_from(name: str) -> None:
    """No source is a mere key, and the RAM a model may use is either assumed or said to be unverified."""
    profile = load_profile(name)
    figures = [profile.ram.gib, profile.ram.usable_gib, profile.power.idle, profile.power.load]
    sources = [figure.source for figure in figures if figure]
    sources += [profile.soc.source, profile.isa_source, *(cluster.source for cluster in profile.clusters)]
    sources += [bandwidth.source for bandwidth in profile.memory.bandwidths]
    assert all(len(source) > 8 for source in sources)
    assert not any(re.fullmatch(r"[A-Z0-9]+", source) for source in sources)
    assert re.search("assumed|unverified", profile.ram.usable_gib.source)


def test_there_are_phones_boards_laptops_and_computers_enough() -> None:
    classes = [load_profile(name).device_class for name in profile_names()]
    assert len(classes) >= 30
    assert min(classes.count(one) for one in DeviceClass) >= 3


@pytest.mark.parametrize("name", profile_names())
def test_no_measured_bandwidth_beats_theory(name: str) -> None:
    memory = load_profile(name).memory
    theory = memory.of(BandwidthKind.THEORETICAL)
    assert theory
    assert all(found.gbs <= theory.gbs for found in memory.bandwidths)


def test_the_sizes_of_a_board_differ_in_their_ram_alone() -> None:
    small, large = load_profile("rpi5-2gb"), load_profile("rpi5-16gb")
    assert (small.ram.gib.value, large.ram.gib.value) == (2, 16)
    assert small.memory_budget < large.memory_budget
    assert (small.clusters, small.memory, small.runtime) == (large.clusters, large.memory, large.runtime)


def test_an_alias_points_at_a_profile() -> None:
    assert set(profile_aliases().values()) <= set(profile_names())
    assert not set(profile_aliases()) & set(profile_names())


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(BadInputError, match="no profile is called 'rpi55'") as caught:
        load_profile("rpi55")
    assert "did you mean rpi5" in caught.value.hint


def test_a_path_is_read_as_a_file_named_after_itself(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('base = "rpi5"\ntitle = "My own Pi"\n', encoding="utf-8")
    profile = load_profile(str(path))
    assert (profile.name, profile.title) == ("mine", "My own Pi")
    assert profile.clusters == load_profile("rpi5").clusters


def test_a_table_written_anew_replaces_the_whole_table_of_the_base(tmp_path: Path) -> None:
    """Otherwise a new figure could keep the old one's source."""
    path = tmp_path / "mine.toml"
    path.write_text('base = "rpi5-8gb"\n[ram]\ngib = 4\n', encoding="utf-8")
    with pytest.raises(BadInputError, match=r"profile mine: ram\.source: expected string, got nothing"):
        read_profile(path)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"title = ", "not TOML: Invalid value"),
        (b'title = "\xff"', "not UTF-8 at byte 9"),
        (b'base = "rpi6"', "profile mine: base: no profile is called 'rpi6'"),
        (b"base = 5", "profile mine: base: expected string, got int"),
        (b"", "profile mine: schema: expected int, got nothing"),
    ],
)
def test_a_file_that_is_no_profile_is_bad_input(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=complaint):
        read_profile(path)


def test_a_missing_file_and_a_directory_are_bad_input(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.toml", tmp_path):
        with pytest.raises(BadInputError, match=re.escape(str(path))):
            read_profile(path)


def test_a_written_profile_reads_back_and_is_never_overwritten(tmp_path: Path) -> None:
    profile = load_profile("n100")
    path = tmp_path / "n100.toml"
    write_profile(profile, path)
    assert read_profile(path) == profile
    with pytest.raises(UsageError, match="exists"):
        write_profile(profile, path)
    with pytest.raises(UsageError, match="is no directory"):
        write_profile(profile, tmp_path / "absent" / "n100.toml")
    assert [found.name for found in tmp_path.iterdir()] == ["n100.toml"]


DATA = Path(edgepack.__file__).parent / "data"
MODELS = load_catalogue().models


def test_the_catalogue_has_at_least_fifty_models() -> None:
    assert len(MODELS) >= 50
    assert {ModelKind.INSTRUCT, ModelKind.BASE, ModelKind.EMBEDDING} == {model.kind for model in MODELS}


def test_models_over_three_billion_are_few_and_say_so() -> None:
    over = [model for model in MODELS if model.parameters > 3_000_000_000]
    assert len(over) <= 5
    assert all("over 3 billion" in (model.note or "") for model in over)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_every_source_is_a_text_and_not_a_key(model: CatalogueModel) -> None:
    sources = {model.parameters_source, model.context_source, model.released_source, model.licence.source}
    sources |= {model.licence.gated_source, model.languages.source, *model.config.sources.values()}
    sources |= {score.harness.source for score in model.scores}
    assert all(len(source) > 8 for source in sources)


def test_every_harness_measured_a_model() -> None:
    """None is left over, and none is spelt in two ways."""
    table = read_toml(DATA / "harnesses.toml")
    assert {score.harness.id for model in MODELS for score in model.scores} == table.keys() - {"schema"}


def test_permissive_licences_allow_products_and_the_restricted_say_so() -> None:
    for model in MODELS:
        if model.licence.spdx:
            assert model.licence.commercial, model.id
        else:
            assert model.licence.restrictions, model.id


def test_regions_that_a_licence_excludes_are_data() -> None:
    hunyuan = load_catalogue().find("hunyuan-0.5b-instruct")
    assert hunyuan
    assert hunyuan.licence.excluded_regions == ("EU", "GB", "KR")


def test_models_stand_in_the_order_of_their_parameters() -> None:
    assert [model.parameters for model in MODELS] == sorted(model.parameters for model in MODELS)


@pytest.mark.parametrize("name", ["qwen2.5-0.5b-instruct", "Qwen/Qwen2.5-0.5B-Instruct"])
def test_a_model_is_found_by_id_and_by_hub_id(name: str) -> None:
    found = load_catalogue().find(name)
    assert found
    assert (found.parameters, found.config.values["num_hidden_layers"]) == (494_032_768, 24)


def test_a_gated_licence_says_so() -> None:
    llama = load_catalogue().find("llama-3.2-1b-instruct")
    assert llama
    assert llama.licence.gated
    assert llama.licence.spdx is None


def test_the_file_in_the_documentation_is_a_profile(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/profiles.md").read_text(encoding="utf-8")
    variant, whole = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    for text in (variant, whole):
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        assert read_profile(path).memory_budget > 0


def test_the_policy_in_the_documentation_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/licences.md").read_text(encoding="utf-8")
    path = tmp_path / "ours.toml"
    path.write_text(re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)[0], encoding="utf-8")
    policy = load_policy(str(path))
    accepted = [model.id for model in MODELS if policy.objection(model.licence) is None]
    assert "qwen2.5-0.5b-instruct" in accepted
    assert not {"llama-3.2-1b-instruct", "hunyuan-0.5b-instruct", "gemma-3-1b-it"} & set(accepted)


def test_a_policy_that_is_neither_a_name_nor_a_file_is_bad_input() -> None:
    assert load_policy("permissive").name == "permissive"
    with pytest.raises(BadInputError, match="no licence policy is called 'permisive'") as caught:
        load_policy("permisive")
    assert "known are any, permissive" in caught.value.hint
