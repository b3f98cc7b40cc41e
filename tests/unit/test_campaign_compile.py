"""What a shard gets of a campaign: the slices, the rules, the digest of what moves money."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.campaigns.compile import budget_slices, compile_rules, frozen_digest, slices
from gateway.campaigns.definition import Balance, Definition, Funder, Limits, Validity
from gateway.campaigns.life import Stored

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
    assert rules[3] | {"frozen": "", "days": "", "per_day": "", "budget_minor": ""} == {
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


def test_only_what_moves_money_changes_the_digest() -> None:
    """Value, currency, funders, budget, zone and shards are frozen; name, window, limits and channels are not."""
    moves_money = [
        replace(DEFINITION, value=Balance(301)),
        replace(DEFINITION, currency="EUR"),
        replace(DEFINITION, funders=(Funder("platform", 5000), Funder("brand", 5000))),
        replace(DEFINITION, limits=replace(DEFINITION.limits, budget_minor=None)),
        replace(DEFINITION, timezone="UTC"),
        replace(DEFINITION, shards=2),
    ]
    does_not = [
        replace(DEFINITION, name="x", ends_at="2027-01-01T00:00:00Z", channels=(), stock=11),
        replace(DEFINITION, limits=replace(DEFINITION.limits, per_holder=9, per_day=None)),
        msgspec.convert(msgspec.to_builtins(DEFINITION), Definition),
    ]

    digests = {frozen_digest(definition) for definition in [DEFINITION, *moves_money]}

    assert len(digests) == 7
    assert {frozen_digest(definition) for definition in does_not} == {frozen_digest(DEFINITION)}
