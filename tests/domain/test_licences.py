"""Licence policies: what each accepts, the reason where it does not, files read with their mistakes named."""

from typing import Any

import pytest

from edgepack.domain.errors import BadInputError
from edgepack.domain.licences import ANY, PERMISSIVE, PERMISSIVE_POLICY, Licence, LicencePolicy, parse_policy
from edgepack.infra.library import load_catalogue


def licence(**changes: Any) -> Licence:
    terms: dict[str, Any] = {
        "name": "House Licence", "spdx": None, "url": None, "commercial": None, "excluded_regions": (),
        "restrictions": None, "source": "a page", "gated": False, "gated_source": "a page",
    }  # fmt: skip
    return Licence(**{**terms, **changes})


def test_any_accepts_everything_that_the_catalogue_has() -> None:
    assert [ANY.objection(model.licence) for model in load_catalogue().models if ANY.objection(model.licence)] == []


def test_permissive_accepts_spdx_identifiers_that_ask_for_a_notice_and_nothing_else() -> None:
    for model in load_catalogue().models:
        accepted = PERMISSIVE_POLICY.objection(model.licence) is None
        assert accepted == (model.licence.spdx in PERMISSIVE), model.id


def test_permissive_refuses_by_name_where_spdx_has_none() -> None:
    reason = PERMISSIVE_POLICY.objection(licence(name="Gemma Terms of Use"))
    assert reason == "Gemma Terms of Use is not among the licences that the policy permissive allows"


@pytest.mark.parametrize(
    ("policy", "terms", "reason"),
    [
        ({"refused": frozenset({"GPL-3.0-only"})}, {"spdx": "GPL-3.0-only"}, "GPL-3.0-only is refused"),
        ({"allowed": frozenset({"MIT"})}, {"spdx": "Apache-2.0"}, "Apache-2.0 is not among"),
        ({"commercial": True}, {"commercial": False}, "House Licence forbids commercial use"),
        ({"commercial": True}, {"commercial": None}, "House Licence does not plainly allow commercial use"),
        ({"gated": False}, {"gated": True}, "House Licence must be accepted on the hub"),
        ({"regions": frozenset({"EU", "US"})}, {"excluded_regions": ("EU", "GB")}, "House Licence excludes EU"),
    ],
)  # fmt: skip
def test_a_refusal_says_why(policy: dict[str, Any], terms: dict[str, Any], reason: str) -> None:
    found = LicencePolicy(name="ours", **policy).objection(licence(**terms))
    assert found is not None
    assert found.startswith(reason)
    assert "ours" in found


@pytest.mark.parametrize(
    ("policy", "terms"),
    [
        ({"allowed": frozenset({"House Licence"})}, {}),
        ({"commercial": True}, {"commercial": True}),
        ({"gated": False}, {"gated": False}),
        ({"regions": frozenset({"US"})}, {"excluded_regions": ("EU",)}),
    ],
)
def test_terms_that_a_policy_names_or_does_not_mind_are_accepted(
    policy: dict[str, Any], terms: dict[str, Any]
) -> None:
    assert LicencePolicy(name="ours", **policy).objection(licence(**terms)) is None


def test_a_file_may_leave_out_what_it_does_not_mind() -> None:
    assert parse_policy({"schema": 1}, name="ours") == LicencePolicy(name="ours")
    whole = {
        "schema": 1, "allow": ["MIT"], "refuse": ["GPL-3.0-only"], "commercial": True, "gated": False,
        "regions": ["EU"],
    }  # fmt: skip
    assert parse_policy(whole, name="ours") == LicencePolicy(
        name="ours", allowed=frozenset({"MIT"}), refused=frozenset({"GPL-3.0-only"}), commercial=True, gated=False,
        regions=frozenset({"EU"}),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({}, "schema: expected int, got nothing"),
        ({"schema": 1, "allows": ["MIT"]}, "allows: unknown key; did you mean allow?"),
        ({"schema": 1, "commercial": "yes"}, "commercial: expected bool, got string"),
        ({"schema": 1, "regions": "EU"}, "regions: expected array of strings, got string"),
    ],
)
def test_a_mistake_in_a_file_is_named_with_its_place(table: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadInputError) as caught:
        parse_policy(table, name="ours")
    assert caught.value.what == f"licence policy ours: {complaint}"
