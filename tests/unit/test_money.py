"""Entries → the money book: it balances in every currency, commitments are what is live, and a rollback undoes."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.campaigns.definition import AmountOff, Balance, FixedPrice, FreeShipping, GiftItem, Percent, Value
from gateway.worth.refund import Parts, RefundAsk, refund_of
from lua.entries import LAYOUT, Adjusted, Changed, Entry, Step, UnreadableEntry
from lua.keys import CampaignId, Shard
from reconciler.accounts import ACCOUNTS, is_money_account
from reconciler.money import Terms, terms_of, worst_minor
from reconciler.postings import Journal, journals_for
from tests.entries import a_step, changed, issued, rows_for
from tests.unit.test_campaign_compile import DEFINITION
from tests.unit.test_postings import adjusted, batches, claimed

SHARD = Shard(CampaignId("c"), 0)
OFF = Terms(currency="CNY", unit_minor=500)
BALANCE = Terms(currency="CNY", unit_minor=1000, stored=True)
NO_UNIT = {"source": "", "destination": "", "units": "0"}


def detail(*who: str | None, **funders: int) -> dict[str, Any]:
    """
    What the gateway tells of a redemption or rollback, as far as the money book reads it.

    Shape: merchant and currency, m-1 and CNY where they are not given.
    """
    told = [*who, *("m-1", "CNY")[len(who) :]]
    shares = [{"account": name, "minor": minor} for name, minor in funders.items()]
    return {"merchant": told[0], "currency": told[1], "funders": shares}


def money(*entries: Entry, terms: Terms = OFF) -> dict[str, int]:
    """Account → balance of what *entries* come to, in the one currency there is."""
    found = balances(journals_for(SHARD, entries, lambda _: terms))
    assert {currency for currency, _ in found} <= {"CNY"}
    return {account: minor for (_, account), minor in found.items() if minor}


def balances(journals: Iterable[Journal]) -> Counter[tuple[str, str]]:
    """(currency, account) → balance."""
    found: Counter[tuple[str, str]] = Counter()
    for journal in journals:
        for posting in journal.postings:
            if not posting.commodity.startswith("coupon:"):
                found[posting.commodity, posting.source] -= posting.amount
                found[posting.commodity, posting.destination] += posting.amount
    return found


DETAILS = st.builds(
    detail,
    st.sampled_from([None, "m-1", "m-2"]),
    st.sampled_from([None, "CNY", "JPY"]),
    platform=st.integers(0, 250),
    brand=st.integers(0, 250),
)


@given(
    batches(),
    st.lists(DETAILS, min_size=1),
    st.builds(Terms, currency=st.sampled_from([None, "CNY", "EUR"]), unit_minor=st.none() | st.integers(1, 2**53),
              stored=st.booleans()),
)  # fmt: skip
def test_the_trial_balance_is_zero_in_every_currency(
    entries: list[Entry], details: list[dict[str, Any]], terms: Terms
) -> None:
    """Whatever a shard did, debits and credits of each currency are the same, and units and money keep apart."""
    told = [_with_details(entry, details) for entry in entries]
    journals = journals_for(SHARD, told, lambda _: terms)

    totals: Counter[str] = Counter()
    for (currency, account), minor in balances(journals).items():
        assert is_money_account(account), account
        totals[currency] += minor
    assert not any(totals.values())
    for posting in (each for journal in journals for each in journal.postings):
        of_units = posting.commodity == "coupon:c"
        assert (posting.source in ACCOUNTS, posting.destination in ACCOUNTS) == (of_units, of_units)


def _with_details(entry: Entry, details: list[dict[str, Any]]) -> Entry:
    """*entry* with one of *details* for each step of it that has one."""
    if not isinstance(entry, Changed):
        return entry
    steps = [
        step._replace(detail=msgspec.json.encode(details[n % len(details)]).decode())
        if step.verb in ("redeemed", "rolled_back")
        else step
        for n, step in enumerate(entry.each)
    ]
    return replace(entry, steps=[member for step in steps for member in step])


def test_a_discount_from_stock_to_settlement() -> None:
    """Stock authorises a budget, a claim commits, a redemption frees the commitment and is owed, split by funder."""
    stock: list[Entry] = [adjusted(1, 100), adjusted(2, -10)]
    claims: list[Entry] = [claimed(3, 4), issued(7, "P1", "P2", units=3)]
    steps = changed(
        9,
        a_step("reserved", "A"),
        a_step("redeemed", "A", source="reserved", detail=detail(platform=200, brand=300)),
        a_step("redeemed", "B", detail=detail(None, platform=100)),
        a_step("expired", "P1", units="3"),
        a_step("revoked", "C", destination="stock"),
    )

    assert money(*stock) == {"budget:authorised": -45_000, "budget:available": 45_000}
    assert money(*stock, *claims) == {
        "budget:authorised": -45_000, "budget:available": 40_000, "commitment:c": 5000
    }  # fmt: skip
    assert money(*stock, *claims, steps) == {
        "budget:authorised": -45_000, "budget:available": 43_000, "commitment:c": 2000, "payable:m-1": -500,
        "payable": -500, "expense:promotion:platform": 300, "expense:promotion:brand": 300,
        "suspense:promotion:c": 400,
    }  # fmt: skip


@dataclass
class _Coupon:
    state: str = "outstanding"
    left: int = 0


LIFE = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["reserved", "released", "redeemed", "rolled_back", "expired"]))
)


@given(LIFE, st.integers(1, 10**6))
def test_commitments_are_the_worst_of_what_is_live(acts: list[tuple[int, str]], unit_minor: int) -> None:
    """After any lives of six coupons the commitment is the worst case of those outstanding or reserved, and no more."""
    terms = Terms(currency="CNY", unit_minor=unit_minor)
    coupons, entries, seq = [_Coupon() for _ in range(6)], list[Entry]([claimed(1, 6)]), 7
    for number, verb in acts:
        at = coupons[number].state
        ways = {"reserved": "reserved", "released": "outstanding", "redeemed": "redeemed", "rolled_back": "outstanding",
                "expired": "expired"}  # fmt: skip
        from_ = {"reserved": ("outstanding",), "released": ("reserved",), "redeemed": ("outstanding", "reserved"),
                 "rolled_back": ("redeemed",), "expired": ("outstanding",)}  # fmt: skip
        if at in from_[verb]:
            entries.append(changed(seq, a_step(verb, f"K{number}", source=at, destination=ways[verb])))
            coupons[number].state, seq = ways[verb], seq + 1
    live = sum(coupon.state in ("outstanding", "reserved") for coupon in coupons)

    booked = money(*entries, terms=terms)
    assert booked.get("commitment:c", 0) == live * unit_minor == -booked.get("budget:available", 0)


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=5).filter(any),
    st.lists(st.integers(1, 10**6), max_size=6),
    st.sampled_from([OFF, BALANCE]),
)
def test_partial_rollbacks_return_every_account_exactly(funders: list[int], asks: list[int], terms: Terms) -> None:
    """Rolled back in parts of whatever sizes and then the rest, as the gateway splits them, nothing of it is left."""
    whole = sum(funders)
    stored, given_back = Parts((whole,), 0, tuple(funders)), Parts((0,), 0, (0,) * len(funders))
    names = [f"f{n}" for n in range(len(funders))]

    def told(parts: tuple[int, ...]) -> dict[str, Any]:
        return detail(**dict(zip(names, parts, strict=True)))

    way = {} if terms is OFF else NO_UNIT
    before = [claimed(1, 1)]
    entries: list[Entry] = [
        *before,
        changed(2, a_step("redeemed", minor=str(whole), detail=told(stored.funders), **way)),
    ]
    for ask in [*asks, None]:
        rest = stored.less(given_back).minor
        if rest == 0 or (ask is not None and ask >= rest):
            continue
        part = refund_of(stored, given_back, RefundAsk(amount_minor=ask))
        given_back = given_back.plus(part)
        moves = {} if terms is OFF and ask is None else NO_UNIT
        back = a_step("rolled_back", minor=str(part.minor), detail=told(part.funders), **moves)
        entries.append(changed(len(entries) + 1, back))

    assert given_back == stored
    assert money(*entries, terms=terms) == money(*before, terms=terms)


def spent(verb: str, minor: int, left: int, **changes: Any) -> Step:
    """A step of a balance."""
    told = detail(platform=minor) if verb in ("redeemed", "rolled_back") else {}
    return a_step(verb, **{"minor": str(minor), "left": str(left), "detail": told, **NO_UNIT, **changes})


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], {"clearing:gift:c": 1000, "liability:gift:c": -1000}),
        (
            [spent("redeemed", 400, 600)],
            {"clearing:gift:c": 1000, "liability:gift:c": -600, "payable:m-1": -400},
        ),
        (
            [spent("redeemed", 400, 600), spent("rolled_back", 400, 1000)],
            {"clearing:gift:c": 1000, "liability:gift:c": -1000},
        ),
        (
            [spent("redeemed", 400, 600), a_step("expired", left="600")],
            {"clearing:gift:c": 1000, "payable:m-1": -400, "income:breakage:c": -600},
        ),
        (
            [
                spent("redeemed", 400, 600),
                a_step("expired", left="600"),
                spent("rolled_back", 100, 700, state="expired"),
            ],
            {"clearing:gift:c": 1000, "payable:m-1": -300, "income:breakage:c": -700},
        ),
        (
            [
                spent("redeemed", 400, 600),
                a_step("expired", left="600"),
                spent("rolled_back", 100, 700, state="claimed", source="expired", destination="outstanding", units="1"),
            ],
            {"clearing:gift:c": 1000, "liability:gift:c": -700, "payable:m-1": -300},
        ),
        (
            [
                spent("redeemed", 1000, 0, state="redeemed", source="outstanding", destination="redeemed", units="1"),
                spent("rolled_back", 1000, 1000, state="expired", source="redeemed", destination="stock", units="1"),
            ],
            {},
        ),
        ([a_step("revoked", left="1000")], {"clearing:gift:c": 1000, "income:breakage:c": -1000}),
        ([a_step("expired", left="1000", destination="stock")], {}),
    ],
    ids=["given", "spent", "rolled back", "expired", "back after its end", "extended", "back to stock", "revoked",
         "expired to stock"],
)  # fmt: skip
def test_a_balance_is_owed_until_it_is_spent_or_ends(steps: list[Step], expected: dict[str, int]) -> None:
    """What is left on a live balance is a liability; what is spent of it is a merchant's; what ends is income."""
    entries: list[Entry] = [adjusted(1, 10), claimed(2, 1), *([changed(3, *steps)] if steps else [])]

    assert money(*entries, terms=BALANCE) == expected


def test_what_nothing_bounds_commits_nothing() -> None:
    """Without a worst case there is no budget; what was given away is booked all the same."""
    terms = Terms(currency="CNY", unit_minor=None)
    redeemed = changed(3, a_step("redeemed", detail=detail(platform=500)))

    assert money(adjusted(1, 10), claimed(2, 1), redeemed, terms=terms) == {
        "payable:m-1": -500, "expense:promotion:platform": 500
    }  # fmt: skip


def test_an_unknown_version_moves_units_alone() -> None:
    """Where the books don't know the currency, no money is made up."""
    steps = changed(3, a_step("redeemed"), a_step("rolled_back"))

    assert money(adjusted(1, 10), claimed(2, 1), steps, terms=Terms()) == {}


def test_currencies_never_mix() -> None:
    """Two currencies in one batch are two sets of balances, each of which is zero in sum."""
    terms = {1: OFF, 2: Terms(currency="JPY", unit_minor=80)}
    entries = [adjusted(1, 10), Adjusted(LAYOUT, 1, 2, adjusted(1, 1).at_ms, 2, 5, "why", "who", "key")]
    [journal] = journals_for(SHARD, entries, terms.__getitem__)

    assert [(line.commodity, line.amount) for line in journal.postings] == [
        ("coupon:c", 15), ("CNY", 5000), ("JPY", 400)
    ]  # fmt: skip


@pytest.mark.parametrize("verb", ["redeemed", "rolled_back"])
@pytest.mark.parametrize(
    "told",
    [
        detail(platform=501),
        detail(platform=-1),
        detail("m-1", "yen"),
        {"funders": [{"account": "", "minor": 1}]},
        {"funders": [{"minor": 1}]},
        {"funders": [{"account": "platform", "minor": "1"}]},
        {"order": {"currency": "YENS"}},
    ],
    ids=str,
)
def test_money_that_does_not_add_up_is_quarantined(verb: str, told: dict[str, Any]) -> None:
    """A step whose shares or currency are none is refused before anything of its entry is booked."""
    with pytest.raises(UnreadableEntry):
        rows_for(changed(1, a_step(verb, detail=told)))


@pytest.mark.parametrize(
    "value",
    [
        AmountOff(500),
        AmountOff(500, 10_000, every=True, cap_minor=2000),
        Percent(1500, 3000),
        FixedPrice(100),
        FixedPrice(100, 900),
        GiftItem("A1"),
        GiftItem("A1", 700),
        FreeShipping(),
        FreeShipping(1200),
        Balance(300),
    ],
    ids=str,
)
def test_the_books_read_a_definition_as_the_gateway_means_it(value: Value) -> None:
    """Worst case, currency, zone and kind that the books make of a stored definition are those of the gateway."""
    definition = replace(DEFINITION, value=value)
    stored = msgspec.json.decode(msgspec.json.encode(definition))
    terms = terms_of(stored["timezone"], stored["currency"], stored["value"])

    assert worst_minor(stored["value"]) == terms.unit_minor == definition.unit_minor
    assert (str(terms.zone), terms.currency) == ("Asia/Shanghai", "CNY")
    assert terms.stored == isinstance(value, Balance)
