"""What the terms of a redemption have to be: each rule by field, and what of them is fixed once a coupon is out."""

from typing import Any

import msgspec
import pytest

from gateway.campaigns.check import checked
from gateway.campaigns.definition import Definition, read_definition, write_definition
from gateway.campaigns.life import State
from gateway.campaigns.patch import FROZEN, DefinitionPatch, patched, refuse_fixed
from gateway.errors import Refusal
from gateway.wire import read_json

NOW_MS = 1_795_000_000_000  # 2026-11-18


def decide(**changes: Any) -> Definition:
    """What POST /v1/campaigns does with a body before it touches anything."""
    body = {
        "id": "flash-1",
        "name": "Summer flash",
        "currency": "CNY",
        "stock": 100_000,
        "value": {"type": "amount_off", "minor": 500, "threshold_minor": 3000},
        "starts_at": "2026-11-22T10:00:00Z",
        "ends_at": "2026-11-22T11:00:00Z",
        "validity": {"days": 7},
        **changes,
    }
    return checked(read_json(msgspec.json.encode(body), Definition), NOW_MS)


def every(**changes: Any) -> dict[str, Any]:
    """A body whose value takes off for every threshold spent."""
    value = {"type": "amount_off", "minor": 500, "threshold_minor": 3000, "every": True, "cap_minor": 1500}
    return {"value": {**value, **changes}}


BALANCE = {"type": "balance", "minor": 300}
ACCEPTED: list[dict[str, Any]] = [
    every(),
    every(cap_minor=500),
    every(threshold_minor=1),
    {**every(), "limits": {"budget_minor": 1500}},
    {"value": BALANCE, "on_rollback": {"extend_days": 3}},
    {"scope": {}},
    {"scope": {"skus": [f"s{n}" for n in range(200)], "categories_excluded": ["茶 & tea"], "stores": ["x" * 64]}},
    {"scope": {"channels": ["pos", "app"], "channels_excluded": ["kiosk"], "skus_excluded": ["GIFT-CARD"]}},
    {"scope": {"skus": ["a"], "categories_excluded": ["a"]}},
    {"conditions": {"first_order": True, "quantity_min": 1_000_000}},
    {"stacking": {"exclusive": True, "group": None, "priority": -1000}},
    {"stacking": {"group": "shipping_1", "priority": 1000}},
    {"transferable": True},
    {"on_rollback": {"extend_days": 3650, "stock": "restore", "holder_slot": "restore", "reasons_exempt": ["fraud"]}},
    {"on_rollback": {"coupon": "end", "holder_slot": "keep"}},
    {"on_expiry": {"stock": "restore"}, "on_revoke": {"holder_slot": "restore"}},
]


@pytest.mark.parametrize("changes", ACCEPTED, ids=str)
def test_terms_within_the_rules_are_accepted_and_survive_storage(changes: dict[str, Any]) -> None:
    """A valid body is accepted, and is the same definition after a way through Postgres' JSON."""
    definition = decide(**changes)

    assert read_definition(msgspec.json.decode(write_definition(definition))) == definition


def test_a_definition_without_terms_has_them_by_default() -> None:
    """A definition kept before there were terms reads as: everything in scope, no condition, nothing given back."""
    definition = decide()

    assert definition == decide(
        scope={},
        conditions={"first_order": False, "quantity_min": 1},
        stacking={"exclusive": False, "group": None, "priority": 0},
        transferable=False,
        on_rollback={"coupon": "restore", "stock": "keep", "holder_slot": "keep", "reasons_exempt": []},
        on_expiry={"stock": "keep", "holder_slot": "keep"},
        on_revoke={"stock": "keep", "holder_slot": "keep"},
    )


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"value": BALANCE, "on_rollback": {"coupon": "end"}}, "on_rollback.coupon", "restore"),
    ({"value": BALANCE, "on_rollback": {"reasons_exempt": ["fraud"]}}, "on_rollback.reasons_exempt", "revoke"),
    (
        {"value": BALANCE, "on_rollback": {"extend_days": 3}, "limits": {"budget_minor": 9000}},
        "on_rollback.extend_days",
        "null",
    ),
    (every(threshold_minor=0), "value.threshold_minor", "1 or more"),
    (every(cap_minor=None), "value.cap_minor", "required"),
    (every(cap_minor=499), "value.cap_minor", "500 or more"),
    (every(cap_minor=0), "value.cap_minor", "from 1"),
    (every(cap_minor=1 << 53), "value.cap_minor", "below 2^53"),
    (every(every=False), "value.cap_minor", "only with every"),
    ({**every(), "limits": {"budget_minor": 1499}}, "limits.budget_minor", "1500 or more"),
    ({**every(cap_minor=1 << 50), "stock": 8}, "stock", "2^53"),
    ({"scope": {"skus": [f"s{n}" for n in range(201)]}}, "scope.skus", "at most 200"),
    ({"scope": {"skus": ["a", "a"]}}, "scope.skus", "each once"),
    ({"scope": {"skus": ["a", " "]}}, "scope.skus[1]", "1 to 64"),
    ({"scope": {"categories": ["x" * 65]}}, "scope.categories[0]", "1 to 64"),
    ({"scope": {"categories_excluded": ["a\nb"]}}, "scope.categories_excluded[0]", "control"),
    ({"scope": {"stores": [""]}}, "scope.stores[0]", "1 to 64"),
    ({"scope": {"stores_excluded": ["a", "a"]}}, "scope.stores_excluded", "each once"),
    ({"scope": {"channels": ["App"]}}, "scope.channels[0]", "a-z"),
    ({"scope": {"channels_excluded": [f"c{n}" for n in range(17)]}}, "scope.channels_excluded", "at most 16"),
    ({"scope": {"skus": ["a", "b"], "skus_excluded": ["b"]}}, "scope.skus_excluded", "in scope.skus too"),
    (
        {"value": {"type": "gift_item", "sku": "TEA"}, "scope": {"skus_excluded": ["TEA"]}},
        "scope.skus_excluded",
        "gives away",
    ),
    ({"conditions": {"quantity_min": 0}}, "conditions.quantity_min", "from 1 to 1000000"),
    ({"conditions": {"quantity_min": 1_000_001}}, "conditions.quantity_min", "from 1 to 1000000"),
    ({"stacking": {"group": ""}}, "stacking.group", "1 to 32"),
    ({"stacking": {"group": "-a"}}, "stacking.group", "not a sign first"),
    ({"stacking": {"group": "a" * 33}}, "stacking.group", "1 to 32"),
    ({"stacking": {"priority": 1001}}, "stacking.priority", "from -1000 to 1000"),
    ({"stacking": {"priority": -1001}}, "stacking.priority", "from -1000 to 1000"),
    ({"on_rollback": {"extend_days": 0}}, "on_rollback.extend_days", "from 1 to 3650"),
    ({"on_rollback": {"extend_days": 3651}}, "on_rollback.extend_days", "from 1 to 3650"),
    ({"on_rollback": {"coupon": "end", "extend_days": 3}}, "on_rollback.extend_days", "nothing to extend"),
    ({"on_rollback": {"reasons_exempt": ["a", "a"]}}, "on_rollback.reasons_exempt", "each once"),
    ({"on_rollback": {"reasons_exempt": [str(n) for n in range(17)]}}, "on_rollback.reasons_exempt", "at most 16"),
    ({"on_rollback": {"reasons_exempt": ["ok", ""]}}, "on_rollback.reasons_exempt[1]", "1 to 64"),
]


@pytest.mark.parametrize(("changes", "field", "rule"), REFUSED, ids=lambda each: str(each)[:120])
def test_a_broken_rule_of_the_terms_names_field_and_rule(changes: dict[str, Any], field: str, rule: str) -> None:
    """A body that breaks one rule is refused with that field and what is allowed there, and with nothing else."""
    with pytest.raises(Refusal) as refused:
        decide(**changes)

    (error,) = refused.value.context["errors"]
    assert (refused.value.code, error["field"]) == ("bad_request", field)
    assert rule in error["rule"]


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"scope": {"brands": ["a"]}}, "brands"),
    ({"scope": {"skus": "a"}}, "scope.skus"),
    ({"scope": None}, "scope"),
    ({"conditions": {"quantity_min": 1.5}}, "conditions.quantity_min"),
    ({"stacking": {"exclusive": 1}}, "stacking.exclusive"),
    ({"on_rollback": {"coupon": "burn"}}, "on_rollback.coupon"),
    ({"on_rollback": {"stock": True}}, "on_rollback.stock"),
    ({"on_expiry": {"coupon": "end"}}, "coupon"),
    ({"transferable": "yes"}, "transferable"),
    ({"value": {"type": "percent", "basis_points": 1, "cap_minor": 1, "every": True}}, "every"),
]


@pytest.mark.parametrize(("changes", "field"), MALFORMED, ids=str)
def test_malformed_terms_name_the_field(changes: dict[str, Any], field: str) -> None:
    """A term of a wrong type or of an unknown name is refused by its name."""
    with pytest.raises(Refusal) as refused:
        decide(**changes)

    assert refused.value.code == "bad_request"
    assert field in refused.value.detail


CHANGES: dict[str, Any] = {
    "value": {"type": "amount_off", "minor": 501, "threshold_minor": 3000},
    "currency": "EUR",
    "timezone": "Asia/Shanghai",
    "funders": [{"account": "brand", "basis_points": 10_000}],
    "scope": {"skus": ["A1"]},
    "conditions": {"quantity_min": 2},
    "stacking": {"exclusive": True},
    "transferable": True,
    "on_rollback": {"coupon": "end"},
    "on_expiry": {"stock": "restore"},
    "on_revoke": {"stock": "restore"},
}


def test_every_frozen_field_is_tried() -> None:
    """The table of changes below has each field that a coupon out fixes."""
    assert tuple(CHANGES) == FROZEN


@pytest.mark.parametrize("name", FROZEN)
def test_what_moves_money_changes_until_a_coupon_is_out(name: str) -> None:
    """A field of FROZEN is changed by a patch, whole, as long as no coupon is out; after that it is refused by name."""
    old = decide()
    patch = read_json(msgspec.json.encode({name: CHANGES[name]}), DefinitionPatch)
    new = checked(patched(old, patch), NOW_MS)

    assert new == decide(**{name: CHANGES[name]})
    refuse_fixed(old, new, State.ACTIVE, NOW_MS, stock=100, claimed=0)
    with pytest.raises(Refusal) as refused:
        refuse_fixed(old, new, State.ACTIVE, NOW_MS, stock=99, claimed=1)
    assert refused.value.code == "frozen"
    assert [error["field"] for error in refused.value.context["errors"]] == [name]
