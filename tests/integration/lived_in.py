"""A sale in which everything happened once, drained: what verdicts are tried on."""

from typing import Any

from lua.door import Door
from reconciler.verdict.judging import Verdict, judge
from tests.builders import amid_a_day
from tests.integration.draining import Books, draining
from tests.integration.life import LifeSale, open_life


async def live_in(door: Door, redis_url: str, books: Books) -> tuple[LifeSale, LifeSale]:
    """
    A campaign of discounts `c` and one of balances `g`, in the books.

    Of `c`: ann's coupon is redeemed, bob's redeemed and given back in part, cy's given back whole, di's is held, ed's
    revoked, flo's only claimed. Of `g`: one is spent from, and one whole.
    """
    zone = amid_a_day("UTC", "Etc/GMT+12")  # all of it is of one day
    sale = await open_life(door, books, "c", stock=20, timezone=zone)
    gifts = await open_life(door, books, "g", stock=5, kind="balance", unit_minor=1000, timezone=zone)
    ann, bob, cy, di, ed, _ = [await sale.claim_one(name) for name in ("ann", "bob", "cy", "di", "ed", "flo")]
    async with draining(redis_url, books.url):
        pass
    await sale.redeem("R-ann", ann, "o-1")
    await sale.redeem("R-bob", bob, "o-2", minor=400)
    await sale.redeem("R-cy", cy, "o-3")
    await sale.roll_back("R-bob", 100)
    await sale.roll_back("R-cy", 500)
    await sale.reserve(di, "o-4")
    await sale.revoke(ed)
    spent, _ = [await gifts.claim_one(name) for name in ("ann", "bob")]
    await gifts.redeem("R-gift", spent, "o-5", minor=300)
    async with draining(redis_url, books.url):
        pass
    return sale, gifts


def forge(books: Books, *statements: str) -> None:
    """What an owner of the database can do, who turns the triggers off and on again."""
    for statement in statements:
        books.rows(f"BEGIN; SET LOCAL session_replication_role = replica; {statement}; COMMIT")


async def judged(door: Door, books: Books, campaign: str | None = None, **more: Any) -> Verdict:
    """The verdict now."""
    return await judge(door, books.url, campaign=campaign, **more)


def broken(found: Verdict) -> dict[str, str]:
    """The invariants that don't hold → the check that found it."""
    return {each.name: (each.first or {})["check"] for each in found.invariants if not each.holds}
