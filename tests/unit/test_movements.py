"""What state changes moved: units, worth and money by place, whoever has to say where that was."""

from typing import Any

import pytest

from lua.entries import Entry, UnreadableEntry
from reconciler.copying import PLACE_CHARS_MAX
from reconciler.money import Terms
from reconciler.movements import Figures, Place
from tests.entries import DAY, SHARD, a_step, changed, issued, rows_for
from tests.unit.test_postings import adjusted, claimed

OFF = Terms(currency="CNY", unit_minor=500)
DETAIL = {"currency": "CNY", "store": "s-1", "order": {"id": "o", "total_minor": 9000}}


def moved(
    *entries: Entry, terms: Terms = OFF, channels: dict[str, str] | None = None, stores: dict[str, str] | None = None
) -> dict[Place, Figures]:
    """What *entries* come to."""
    first, *later = (rows_for(entry, terms) for entry in entries)
    for rows in later:
        first.add(rows)
    return first.movements.totals(channels or {}, stores or {})


def a_place(verb: str, source: str, destination: str, channel: str = "", store: str = "") -> Place:
    """A place of DAY, in CNY and the books of main."""
    return Place(DAY, verb, source, destination, channel, store, "CNY", "main")


def test_claims_are_summed_by_channel() -> None:
    """Units and the most they may cost, a channel; a second entry is added."""
    other = claimed(4, 2)
    other.asks[3] = ""
    assert moved(claimed(1, 3), other) == {
        a_place("claim", "stock", "outstanding", "app"): Figures(4, 4, 2000, 2000),
        a_place("claim", "stock", "outstanding"): Figures(1, 1, 500, 500),
    }


def test_stock_and_codes_are_of_no_channel() -> None:
    """A restock counts its units once, a code all of its uses; an adjustment of nothing moves nothing."""
    assert moved(adjusted(1, 100), adjusted(2, -10), adjusted(3, 0), issued(4, "A", "B", units=3)) == {
        a_place("restock", "supply", "stock"): Figures(1, 100, 50_000),
        a_place("withdraw", "stock", "supply"): Figures(1, 10, 5000),
        a_place("issue", "stock", "outstanding"): Figures(2, 6, 3000, 3000),
    }


def test_a_step_is_of_the_channel_of_its_claim_and_the_store_of_its_redemption() -> None:
    """The books say which: a rollback has no store of its own, and no step a channel."""
    steps = (
        a_step("redeemed", "C1", detail=DETAIL, minor="450"),
        a_step("redeemed", "C2", detail={**DETAIL, "store": None}),
        a_step("rolled_back", "C1", minor="100", source="", destination="", units="0", detail={"currency": "CNY"}),
        a_step("expired", "C3"),
    )
    found = moved(changed(1, *steps), channels={"C1": "app", "C2": "web"}, stores={"R-C1": "s-1"})

    assert found == {
        a_place("redeem", "outstanding", "redeemed", "app", "s-1"): Figures(1, 1, 500, -500, 450, 9000),
        a_place("redeem", "outstanding", "redeemed", "web"): Figures(1, 1, 500, -500, 500, 9000),
        a_place("rollback", "", "", "app", "s-1"): Figures(1, 0, 0, 0, 100),
        a_place("expire", "outstanding", "expired"): Figures(1, 1, 500, -500),
    }


CARD = Terms(currency="CNY", unit_minor=1000, stored=True)
HELD, BACK = ("reserved", "outstanding"), ("redeemed", "outstanding")


@pytest.mark.parametrize(
    ("kind", "state", "way", "minor", "left", "out_minor"),
    [
        ("reserved", "reserved", ("outstanding", "reserved"), "", "1000", 0),
        ("redeemed", "claimed", ("", ""), "400", "600", -400),
        ("redeemed", "claimed", HELD, "400", "600", -400),
        ("redeemed", "redeemed", ("outstanding", "redeemed"), "600", "0", -600),
        ("rolled_back", "claimed", ("", ""), "100", "700", 100),
        ("rolled_back", "claimed", BACK, "100", "100", 100),
        ("rolled_back", "expired", ("redeemed", "expired"), "600", "600", 0),
        ("rolled_back", "revoked", ("", ""), "100", "700", 0),
        ("rolled_back", "claimed", ("expired", "outstanding"), "100", "700", 700),
        ("expired", "expired", ("outstanding", "expired"), "", "600", -600),
        ("revoked", "revoked", ("outstanding", "revoked"), "", "1000", -1000),
        ("expired", "expired", ("outstanding", "stock"), "", "1000", -1000),
    ],
)  # fmt: skip
def test_what_is_out_of_a_balance_is_what_is_left_on_it(
    kind: str, state: str, way: tuple[str, str], minor: str, left: str, out_minor: int
) -> None:
    """Whatever its unit does, and as it is posted: what is spent of it, comes back to it, ends or lives again."""
    source, destination = way
    step = a_step(kind, state=state, source=source, destination=destination, units="1" if source else "0",
        minor=minor, left=left, detail={"currency": "CNY"})  # fmt: skip
    [figures] = moved(changed(1, step), terms=CARD).values()
    liability = f"liability:gift:{SHARD.campaign}"
    [move] = rows_for(changed(1, step), CARD).moves

    assert figures.out_minor == out_minor
    assert figures.out_minor == sum(
        flow.amount * ((flow.source == liability) - (flow.destination == liability)) for flow in move.flows
    )


@pytest.mark.parametrize(
    ("terms", "currency", "worth_minor"),
    [
        (OFF, "CNY", 500),
        (Terms(currency="CNY", unit_minor=None), "CNY", 0),
        (Terms(currency="JPY", unit_minor=80), "CNY", 0),
        (Terms(), "CNY", 0),
    ],
    ids=["bounded", "unbounded", "another currency", "unknown version"],
)
def test_worth_is_in_the_currency_of_the_campaign(terms: Terms, currency: str, worth_minor: int) -> None:
    """Currencies never mix: money in another one than the campaign's is there, without a worth."""
    [(place, figures)] = moved(changed(1, a_step("redeemed", detail=DETAIL)), terms=terms).items()
    assert (place.currency, figures.worth_minor, figures.minor) == (currency, worth_minor, 500)


@pytest.mark.parametrize("detail", [{**DETAIL, "store": "s" * (PLACE_CHARS_MAX + 1)}, {"merchant": "m" * 513}])
def test_places_that_no_index_holds_are_unreadable(detail: dict[str, Any]) -> None:
    """A name too long for the totals is in quarantine, and does not stop the shard."""
    with pytest.raises(UnreadableEntry):
        rows_for(changed(1, a_step("redeemed", detail=detail)))

    entry = claimed(1, 1)
    entry.asks[3] = "c" * (PLACE_CHARS_MAX + 1)
    with pytest.raises(UnreadableEntry):
        rows_for(entry)
