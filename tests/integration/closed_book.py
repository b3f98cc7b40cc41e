"""
A book whose days are closed in the middle of its life, and that lives on: yearbook's life, and a code that many use.

live() books what happens until CUT; what else happens on CLOSED comes late. live_on() books the rest of it after the
close, with whatever else may happen then.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import psycopg

from lua.entries import LAYOUT, Adjusted, Claimed, Entry, Published, Step
from lua.keys import CampaignId, Shard
from reconciler.periods.entities import add_entity
from tests.builders import a_code
from tests.entries import a_step, changed, issued
from tests.integration.draining import Books
from tests.integration.reporting import post
from tests.integration.yearbook import book_entries, lives, open_campaign, open_campaigns

SINCE, CLOSED, AFTER = date(2026, 9, 20), date(2026, 11, 10), date(2026, 11, 12)
CUT = datetime(2026, 11, 10, 6, tzinfo=UTC)

MANY: dict[str, Any] = {
    "name": "Many", "timezone": "UTC", "currency": "CNY", "value": {"type": "amount_off", "minor": 500},
}  # fmt: skip

Lives = list[tuple[Shard, list[Entry]]]


def live(books: Books) -> Lives:
    """Everything until CUT; what is left."""
    open_campaigns(books)
    open_campaign(books, "many", MANY)
    books.rows(
        "INSERT INTO code_batches (id, campaign, key, asked, kind, code, count, units, expires_at, actor, parts) "
        "VALUES ('b1', 'many', 'k1', sha256('')::bytea, 'shared', 'MANY', 1, 5, now(), 'ann', '[]')"
    )
    open_campaign(books, "idle", MANY)
    revise(books, "tea", 2, "2026-10-15", name="Green tea")
    found: Lives = [
        *((each.shard, each.entries) for each in lives()),
        (Shard(CampaignId("many"), 0), shared_code()),
        (Shard(CampaignId("idle"), 0), [Adjusted(LAYOUT, 1, 1, at_ms("2026-11-03"), 1, 10, "plan", "ann", "k1")]),
    ]
    cut_ms = round(CUT.timestamp() * 1000)
    for shard, entries in found:
        asyncio.run(book_entries(books, shard, [each for each in entries if each.at_ms < cut_ms]))
    return [(shard, [each for each in entries if each.at_ms >= cut_ms]) for shard, entries in found]


def close(books: Books) -> None:
    """Everything up to CLOSED."""
    books.rows("UPDATE legal_entities SET closed_through = %s", CLOSED)


def live_on(books: Books, left: Lives) -> None:
    """The rest of the life, and what people change: names, stock, budgets, journals, campaigns, legal entities."""
    for shard, entries in left:
        asyncio.run(book_entries(books, shard, entries, {"main": CLOSED}))
    revise(books, "tea", 3, str(AFTER), name="Black tea", limits={"budget_minor": 10_000_000})
    revise(books, "idle", 2, str(AFTER), currency="EUR", value={"type": "amount_off", "minor": 900})
    tea, seq = Shard(CampaignId("tea"), 0), books.seq("tea/0")
    asyncio.run(book_entries(books, tea, a_restock(seq + 1), {"main": CLOSED}))
    for number, day in enumerate((CLOSED, AFTER)):
        assert post(books, f"j-{number}", day, ("payable:m-1", "clearing:bank", "CNY", 300)) == "posted"
    lost = ("supply", "outstanding", "coupon:tea", 2), ("budget:available", "commitment:tea", "CNY", 1000)
    assert post(books, "j-3", AFTER, *lost, about="tea/1") == "posted"
    asyncio.run(_add_entity(books))
    for campaign, entity in (("new", "main"), ("theirs", "other")):
        open_campaign(books, campaign, {**MANY, "name": campaign, "legal_entity": entity})
        asyncio.run(book_entries(books, Shard(CampaignId(campaign), 0), a_sale(campaign), {entity: CLOSED}))


async def _add_entity(books: Books) -> None:
    async with await psycopg.AsyncConnection.connect(books.url, autocommit=True) as connection:
        assert await add_entity(connection, "other", "UTC", "test")


def revise(books: Books, campaign: str, version: int, day: str, **changes: Any) -> None:
    """A new version of the campaign, made on *day*."""
    [(told,)] = books.rows("SELECT definition FROM campaigns WHERE id = %s", campaign)
    definition = msgspec.json.encode({**told, **changes}).decode()
    books.rows(
        "INSERT INTO campaign_versions (campaign, version, state, definition, changed_by, changed_at) "
        "VALUES (%s, %s, 'scheduled', %s, 'test', %s)", campaign, version, definition, day
    )  # fmt: skip
    books.rows("UPDATE campaigns SET version = %s, definition = %s WHERE id = %s", version, definition, campaign)


def at_ms(day: str) -> int:
    """Noon of *day*."""
    return round(datetime.fromisoformat(f"{day}T12:00:00Z").timestamp() * 1000)


def a_restock(seq: int) -> Sequence[Entry]:
    """Stock for a new version of a campaign."""
    head = LAYOUT, 1, 1, at_ms("2026-11-30")
    return [Adjusted(*head, seq, 500, "more", "ann", "k-more"), Published(*head, seq + 1, "paused")]


def a_sale(campaign: str) -> Sequence[Entry]:
    """A claim that comes late, and one that does not."""
    late, code = (LAYOUT, 1, 1, at_ms(str(CLOSED))), a_code(f"{campaign} late")
    until_ms = at_ms("2027-01-10")
    return [
        Adjusted(*late, 1, 10, "plan", "ann", "k1"),
        Claimed(*late, 2, until_ms, "500", ["ann", "i-1", code, "app"]),
        changed(3, a_step("redeemed", code), at_ms=late[3]),
        Claimed(LAYOUT, 1, 1, at_ms(str(AFTER)), 4, until_ms, "500", ["bob", "i-2", a_code(campaign), "app"]),
    ]


def shared_code() -> list[Entry]:
    """A code that five may use: held, used, given back, let go, ended, before and after the close."""
    code = a_code("many")
    steps: list[tuple[str, Step]] = [
        ("2026-11-04", a_step("reserved", code, state="claimed", left="4")),
        ("2026-11-05", a_step("redeemed", code, state="claimed", left="4", ref="R-1", source="reserved")),
        ("2026-11-06", a_step("redeemed", code, state="claimed", left="3", ref="R-2")),
        ("2026-11-09", a_step("reserved", code, state="claimed", left="2", ref="o-2")),
        (str(CLOSED), a_step("redeemed", code, state="claimed", left="1", ref="R-3")),
        (str(AFTER), a_step("rolled_back", code, left="2", ref="R-1")),
        ("2026-11-14", a_step("expired", code, left="2", units="2")),
        ("2026-11-15", a_step("released", code, state="expired", left="2", ref="o-2", destination="expired")),
    ]
    made: list[Entry] = [
        Adjusted(LAYOUT, 1, 1, at_ms("2026-11-03"), 1, 10, "plan", "ann", "k1"),
        issued(2, code, units=5, at_ms=at_ms("2026-11-03")),
    ]
    return [*made, *(changed(seq, step, at_ms=at_ms(day)) for seq, (day, step) in enumerate(steps, 3))]
