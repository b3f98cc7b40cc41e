"""What a shard gets of a campaign: the slices, the rules, the digest of what moves money."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.campaigns.compile import budget_slices, compile_rules, frozen_digest, slices
from gateway.campaigns.definition import (
    AmountOff,
    Balance,
    Conditions,
    Definition,
    Funder,
    Limits,
    OnEnd,
    OnRollback,
    Scope,
    Stacking,
    Validity,
)
from gateway.campaigns.life import Stored
from gateway.worth.terms import read_terms, terms_of

DEFINITION = Definition(
    id="flash-1",
    name="夏日",
    currency="CNY",
    stock=10,
    value=Balance(300),
    starts_at="2026-11-22T10:00:00.000Z",
    ends_at="2026-11-23T18:00:00.000Z",
    validity=Validity(days=7),
    limits=Limits(per_holder=2, per_day=5, budget_minor=1700),
    timezone="Asia/Shanghai",
    channels=("app", "web"),
    shards=4,
)


@given(whole=st.integers(0, 1 << 53), shards=st.integers(1, 32))
def test_slices_add_up_and_differ_by_one(whole: int, shards: int) -> None:
    """No coupon is lost or made by slicing, and no shard has two more than another."""
    parts = slices(whole, shards)

    assert sum(parts) == whole
    assert len(parts) == shards
    assert max(parts) - min(parts) <= 1


@given(coupons=st.integers(1, 10**6), rest=st.integers(0, 10**6), unit=st.integers(1, 10**6), shards=st.integers(1, 32))
def test_budget_slices_add_up_and_strand_no_coupon(coupons: int, rest: int, unit: int, shards: int) -> None:
    """The slices are the whole budget, and pay for as many coupons together as the whole does."""
    budget = coupons * unit + rest % unit

    parts = budget_slices(budget, unit, shards)

    assert sum(parts) == budget
    assert sum(part // unit for part in parts) == coupons


def test_rules_say_what_the_definition_says() -> None:
    """Every rule that claim.lua reads has its text, and the slices of the shards add up."""
    rules = compile_rules(DEFINITION, number=7, version=3, state=Stored.SCHEDULED)

    assert [each["per_day"] for each in rules] == ["2", "1", "1", "1"]
    assert [each["budget_minor"] for each in rules] == ["800", "300", "300", "300"]
    assert read_terms(rules[3]["terms"]) == terms_of(DEFINITION)
    assert rules[3] | {"frozen": "", "days": "", "per_day": "", "budget_minor": "", "terms": ""} == {
        "version": "3",
        "state": "open",
        "starts_ms": "1795341600000",
        "ends_ms": "1795456800000",
        "per_holder": "2",
        "per_holder_per_day": "",
        "per_day": "",
        "budget_minor": "",
        "unit_minor": "300",
        "validity_ms": "604800000",
        "until_ms": "",
        "channels": ",app,web,",
        "days": "",
        "value": '{"type":"balance","minor":300}',
        "terms": "",
        "kind": "balance",
        "transferable": "",
        "expiry_returns": "",
        "revoke_returns": "",
        "currency": "CNY",
        "frozen": "",
        "shards": "4",
        "number": "7",
        "name": "夏日",
        "timezone": "Asia/Shanghai",
    }
    days = rules[0]["days"]
    assert [int(days[at : at + 11], 16) for at in range(0, len(days), 11)] == [
        1795276800000,  # midnight in Shanghai before the window, then each until after it
        1795363200000,
        1795449600000,
        1795536000000,
    ]


def test_rules_without_limits_are_empty() -> None:
    """What is not limited is empty text; no channels means every channel; until is an instant."""
    free = replace(DEFINITION, limits=Limits(), channels=(), validity=Validity(until="2026-12-01T00:00:00Z"))

    (rules,) = compile_rules(replace(free, shards=1), number=7, version=1, state=Stored.PAUSED)

    names = ("per_day", "per_holder_per_day", "budget_minor", "channels", "validity_ms", "state", "until_ms")
    assert [rules[name] for name in names] == ["", "", "", "", "", "paused", "1796083200000"]


LATER: list[dict[str, Any]] = [
    {"scope": Scope(skus=("A1",))},
    {"scope": Scope(skus_excluded=("A1",))},
    {"conditions": Conditions(first_order=True)},
    {"conditions": Conditions(quantity_min=2)},
    {"stacking": Stacking(priority=1)},
    {"transferable": True},
    {"on_rollback": OnRollback(coupon="end")},
    {"on_expiry": OnEnd(stock="restore")},
    {"on_revoke": OnEnd(stock="restore")},
]
"""Changes of the fields that say what a redemption has to know."""


def test_only_what_moves_money_changes_the_digest() -> None:
    """What a coupon is worth, who pays and what becomes of it is frozen; name, window, limits and channels are not."""
    moves_money = [
        replace(DEFINITION, value=Balance(301)),
        replace(DEFINITION, currency="EUR"),
        replace(DEFINITION, funders=(Funder("platform", 5000), Funder("brand", 5000))),
        replace(DEFINITION, limits=replace(DEFINITION.limits, budget_minor=None)),
        replace(DEFINITION, timezone="UTC"),
        replace(DEFINITION, shards=2),
        *[replace(DEFINITION, **change) for change in LATER],
        replace(DEFINITION, value=AmountOff(300, 1000)),
        replace(DEFINITION, value=AmountOff(300, 1000, every=True, cap_minor=300)),
        replace(DEFINITION, value=AmountOff(300, 1000, every=True, cap_minor=600)),
    ]
    does_not = [
        replace(DEFINITION, name="x", ends_at="2027-01-01T00:00:00Z", channels=(), stock=11),
        replace(DEFINITION, limits=replace(DEFINITION.limits, per_holder=9, per_day=None)),
        msgspec.convert(msgspec.to_builtins(DEFINITION), Definition),
    ]

    digests = {frozen_digest(definition) for definition in [DEFINITION, *moves_money]}

    assert len(digests) == 1 + len(moves_money)
    assert {frozen_digest(definition) for definition in does_not} == {frozen_digest(DEFINITION)}


@pytest.mark.parametrize("change", LATER, ids=str)
def test_terms_survive_the_rules(change: dict[str, Any]) -> None:
    """Every term is in the rules of each shard as the definition has it."""
    definition = replace(DEFINITION, **change)

    for rules in compile_rules(definition, number=7, version=3, state=Stored.SCHEDULED):
        terms = read_terms(rules["terms"])

        assert terms == terms_of(definition)
        assert {name: getattr(terms, name) for name in change} == change


def test_terms_that_are_not_known_are_refused() -> None:
    """A term of a later gateway is not passed over: the amount would be wrong."""
    text = compile_rules(DEFINITION, number=7, version=3, state=Stored.SCHEDULED)[0]["terms"]

    with pytest.raises(msgspec.ValidationError, match="moon_phase"):
        read_terms(text.replace('{"value"', '{"moon_phase":1,"value"', 1))


@pytest.mark.parametrize(
    ("end", "returns"),
    [
        (OnEnd(), ""),
        (OnEnd(stock="restore"), "stock"),
        (OnEnd(holder_slot="restore"), "slot"),
        (OnEnd(stock="restore", holder_slot="restore"), "stock,slot"),
    ],
    ids=str,
)
def test_rules_say_what_the_end_of_a_coupon_gives_back(end: OnEnd, returns: str) -> None:
    """Expiry and revocation each have their own policy, in words that a script can look for."""
    (expiring,) = compile_rules(replace(DEFINITION, on_expiry=end, shards=1), number=7, version=1, state=Stored.PAUSED)
    (revoking,) = compile_rules(replace(DEFINITION, on_revoke=end, shards=1), number=7, version=1, state=Stored.PAUSED)

    assert (expiring["expiry_returns"], expiring["revoke_returns"]) == (returns, "")
    assert (revoking["expiry_returns"], revoking["revoke_returns"]) == ("", returns)


def test_a_script_can_tell_kind_and_transferable() -> None:
    """A coupon that is used once and one that may be given away are told by a rule of their own."""
    definition = replace(DEFINITION, value=AmountOff(5), transferable=True, shards=1)

    (rules,) = compile_rules(definition, number=7, version=1, state=Stored.PAUSED)

    assert (rules["kind"], rules["transferable"], rules["unit_minor"]) == ("once", "1", "5")


def test_the_worst_case_of_every_is_its_cap() -> None:
    """A coupon that takes off for every threshold spent can cost its cap, so budget and stock are held against that."""
    definition = replace(DEFINITION, value=AmountOff(300, 1000, every=True, cap_minor=850))

    rules = compile_rules(definition, number=7, version=1, state=Stored.PAUSED)

    assert definition.unit_minor == 850
    assert {each["unit_minor"] for each in rules} == {"850"}
    assert [each["budget_minor"] for each in rules] == ["850", "850", "0", "0"]
