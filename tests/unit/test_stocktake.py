"""Figures, their slices and what a difference is likely to come from, without a server."""

from collections import Counter

import pytest

from gateway.campaigns.compile import budget_slices, slices
from lua.entries import Adjusted, Attached, Changed, Claimed, Entry, Issued, Published, Step
from lua.keys import CampaignId
from lua.tally import COUNTED
from reconciler.stocktake.figures import FIGURES, Figures, budget_slice, differing, slice_of
from reconciler.stocktake.likely import CAUSES, Evidence, likely
from reconciler.stocktake.standing import Standing, Version, entry_of_row

VERSION = Version.read({"timezone": "Asia/Shanghai", "currency": "CNY", "value": {"type": "amount_off", "minor": 500}})
HEAD = (1, 1, 1, 1_795_900_000_000)


def counts(here: Standing) -> tuple[int, ...]:
    """Seq and everything that is counted beside the accounts."""
    return here.seq, here.claimed, here.returned, here.coupons, here.redemptions, here.day_claims


def standing() -> Standing:
    """Books of nothing, on the date of HEAD in Shanghai."""
    return Standing(CampaignId("c"), 0, {1: VERSION}, day=VERSION.day_of(HEAD[3]))


def a_step(verb: str, source: str, destination: str) -> list[str]:
    """A step that moves a unit, or none."""
    minor = "500" if verb == "redeemed" else ""
    return [verb, "A", "ann", "r", minor, "claimed", source, destination, str(int(bool(source))), "1", "", ""]


ENTRIES: list[Entry] = [
    Published(*HEAD, 1, "open"),
    Adjusted(*HEAD, 2, 100, "", "", "k"),
    Claimed(*HEAD, 3, 0, "500", ["ann", "i", "A", "", "bob", "i", "B", ""]),
    Issued(*HEAD, 5, 0, "500", "cb", 3, ["C"]),
    Changed(*HEAD, 6, a_step("reserved", "outstanding", "reserved") + a_step("redeemed", "reserved", "redeemed")),
    Changed(*HEAD, 8, a_step("revoked", "outstanding", "stock") + a_step("redeemed", "", "")),
    Attached(*HEAD, 10, "server"),
]


def test_books_are_rolled_forward_and_back_to_where_they_were() -> None:
    """What every kind of entry moves is added, and taken off again to nothing."""
    here = standing()
    for entry in ENTRIES:
        here.roll(entry, 1)
    assert (here.seq, here.claimed, here.returned, here.coupons, here.redemptions, here.day_claims) == (
        10,
        5,
        1,
        3,
        2,
        2,
    )
    accounts = ("stock", "outstanding", "reserved", "redeemed", "revoked", "supply")
    assert [here.units(name) for name in accounts] == [96, 3, 0, 1, 0, -100]
    assert here.budget_used(VERSION) == 500 * 4
    assert here.is_balanced
    for entry in reversed(ENTRIES):
        here.roll(entry, -1)
    assert counts(here) == (0,) * 6
    assert not any(here.accounts.values())


def test_claims_of_another_day_are_not_counted() -> None:
    """The day is the campaign's: what was claimed a day later is of the next one."""
    here = standing()
    here.roll(Claimed(1, 1, 1, HEAD[3] + 86_400_000, 1, 0, "500", ["ann", "i", "A", ""]), 1)
    assert here.day_claims == 0


def test_a_row_is_the_entry_that_brought_it() -> None:
    """A step read back from the books moves what it moved."""
    names = ("code", "holder", "ref", "minor", "state", "source", "destination", "units", "left", "detail")
    row = dict(zip(names, ("A", "ann", "RD", 500, "redeemed", "outstanding", "redeemed", 1, 0, '{"a":1}'), strict=True))
    head = {"kind": "redeemed", "at_ms": 5, "epoch": 1, "version": 1, "seq": 9, "delta": None}
    entry = entry_of_row({**row, **head})
    assert isinstance(entry, Changed)
    expected = Step("redeemed", "A", "ann", "RD", "500", "redeemed", "outstanding", "redeemed", "1", "0", "", '{"a":1}')
    assert (entry.first_seq, entry.each) == (9, [expected])


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 32])
@pytest.mark.parametrize("whole", [0, 1, 31, 32, 33, 99_999])
def test_slices_are_those_of_the_gateway(whole: int, shards: int) -> None:
    """The part of a limit and of a budget that a shard should have is what the gateway compiles into its rules."""
    assert [slice_of(whole, shards, number) for number in range(shards)] == slices(whole, shards)
    parts = [budget_slice(whole, 7, shards, number) for number in range(shards)]
    assert parts == budget_slices(whole, 7, shards)


def figures(**found: int) -> Figures:
    """Figures of which those named differ."""
    expected = Counter({"claimed": 10, "outstanding": 4, "reserved": 2, "redeemed": 2, "expired": 1, "revoked": 1})
    names = ("stock", "outstanding", *COUNTED)
    return {name: (expected[name], found.get(name, expected[name])) for name in names}


@pytest.mark.parametrize(
    ("found", "named"),
    [
        ({}, set()),
        ({"reserved": 5, "outstanding": 1}, {"reserved"}),
        ({"claimed": 11, "outstanding": 5}, {"claimed"}),
        ({"reserved": 3, "redeemed": 1}, {"reserved", "redeemed"}),
        ({"outstanding": 5}, {"outstanding"}),
        ({"reserved": 5, "outstanding": 0}, {"reserved", "outstanding"}),
        ({"stock": 1}, {"stock"}),
    ],
)
def test_what_is_outstanding_is_named_where_no_counter_explains_it(found: dict[str, int], named: set[str]) -> None:
    """It follows from the counters in Redis, so one that was moved is named and not both."""
    assert differing(figures(**found)).keys() == named


def evidence(kind: str, name: str, expected: object = 9, found: object = 5, **more: object) -> Evidence:
    """A difference of one figure, or of what is named."""
    books, redis = (side if isinstance(side, dict) else {"value": side} for side in (expected, found))
    return Evidence(kind, name, books, redis, frozenset([name]))._replace(**more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cause", "seen"),
    {
        "another_shard": evidence("figure", "epoch"),
        "older": evidence("figure", "seq", {"value": 9}, {"value": 5, "entry_id": "1-1"}),
        "seq_by_hand": evidence("figure", "seq"),
        "quarantine": evidence("figure", "stock", quarantined=1),
        "books_by_hand": evidence("figure", "stock", balanced=False),
        "overwritten": evidence("coupon", "A", {"state": "claimed"}, {"hex": "00"}),
        "rules_by_hand": evidence("figure", "per_day"),
        "key_deleted": evidence("figure", "holds", 9, 0),
        "fields_deleted": evidence("figure", "coupons"),
        "fields_added": evidence("figure", "coupons", 9, 10),
        "restored_in_part": evidence("figure", "stock", differing=frozenset(["stock", "claimed", "redeemed"])),
        "stock_by_hand": evidence("figure", "stock"),
        "accounts_by_hand": evidence("figure", "reserved", differing=frozenset(["reserved", "redeemed"])),
        "counter_by_hand": evidence("figure", "reserved"),
        "not_in_redis": evidence("coupon", "A", {"state": "claimed"}, {}),
        "not_in_books": evidence("holder", "ann", {"claims": []}, {"claims": [["A", "i", False]]}),
        "hold_lost": evidence("coupon", "A", {"hold_ms": 5}, {"hold_ms": None}),
        "record_by_hand": evidence("coupon", "A", {"state": "claimed"}, {"state": "redeemed"}),
    }.items(),
)
def test_each_cause_is_likely_where_it_shows(cause: str, seen: Evidence) -> None:
    """One example of each cause; the table has no other, and always has one."""
    assert likely(seen).code == cause


def test_every_cause_and_figure_says_what_it_is() -> None:
    """Codes are said once, and no text is empty."""
    codes = [cause.code for cause in CAUSES]
    assert len(codes) == len(set(codes)) == 18
    assert all(cause.text for cause in CAUSES)
    assert all(FIGURES.values())
