"""What `fairclaim status` finds of coupons that are used: equal at every step, drained or not."""

from collections.abc import AsyncIterator

import psycopg
import pytest

from gateway.status import take_status
from gateway.status.report import CampaignStatus
from lua.door import Door
from lua.scripts import load_script
from tests.builders import pack
from tests.conftest import ON_VALKEY, Eventually
from tests.integration.draining import Books, draining
from tests.integration.life import LifeSale, open_life
from tests.integration.test_cli_status import a_definition

pytestmark = ON_VALKEY


@pytest.fixture
async def sale(door: Door, postgres_url: str) -> AsyncIterator[LifeSale]:
    """A campaign whose revoked coupons go back to stock, in Redis and with its row in the books."""
    with Books(postgres_url) as books:
        sale = await open_life(door, books, stock=1000, revoke_returns="stock,slot")
        books.rows("UPDATE campaigns SET definition = %s", a_definition("c"))
        yield sale


async def one(sale: LifeSale) -> CampaignStatus:
    """The one campaign of the status now."""
    async with await psycopg.AsyncConnection.connect(sale.books.url, autocommit=True) as connection:
        found, _ = await take_status(sale.on.door, connection, before={})
    [campaign] = found.campaigns
    return campaign


async def use(sale: LifeSale, name: str) -> None:
    """Six coupons: one held, one spent, one spent and given back, one revoked, two left as they are."""
    codes = [await sale.claim_one(f"{name} {n}") for n in range(6)]
    await sale.reserve(codes[0])
    await sale.redeem(f"{name} R1", codes[1])
    await sale.redeem(f"{name} R2", codes[2])
    await sale.roll_back(f"{name} R2", 500)
    await sale.revoke(codes[3])


async def issue(sale: LifeSale, batch: str, units: int, *codes: str) -> None:
    """A chunk of codes that nobody holds."""
    chunk = pack([batch, 0, units, 0, *codes])
    assert (await sale.on.door.call(load_script("issue"), sale.on.shard, chunk))[0] == 1


async def test_coupons_that_are_used_are_equal_drained_or_not(
    sale: LifeSale, redis_url: str, eventually: Eventually
) -> None:
    """Holds, redemptions, rollbacks and stock that came back are no difference, before the drain and after it."""
    await use(sale, "one")
    await issue(sale, "b1", 1, "P1", "P2")
    async with draining(redis_url, sale.books.url):
        await eventually(sale.drained)
    await use(sale, "two")
    await issue(sale, "b2", 1, "P3")
    behind = await one(sale)

    assert (behind.lag.seq, behind.equal, behind.problems) == (12, True, [])
    async with draining(redis_url, sale.books.url):
        await eventually(sale.drained)
    found = await one(sale)
    assert (found.equal, found.problems, found.claimed, found.stock) == (True, [], 15, 987)
    assert (found.books.outstanding, found.books.reserved, found.books.redeemed) == (9, 2, 2)
    assert (found.books.expired, found.books.revoked, found.books.stock) == (0, 0, 987)
    await sale.prove_life()


async def test_a_code_that_many_use_is_as_many_units(sale: LifeSale, redis_url: str, eventually: Eventually) -> None:
    """Held and spent uses of a shared code are taken off what is outstanding, and the books are equal."""
    await issue(sale, "b1", 50, "SHARED")
    await sale.reserve("SHARED", "o-1")
    await sale.reserve("SHARED", "o-2")
    await sale.redeem("R1", "SHARED", "o-1")
    await sale.redeem("R2", "SHARED", "o-3")
    await sale.roll_back("R2", 500)
    behind = await one(sale)
    assert (behind.lag.seq, behind.equal) == (8, True)
    async with draining(redis_url, sale.books.url):
        await eventually(sale.drained)
    found = await one(sale)

    assert (found.equal, found.problems, found.claimed) == (True, [], 50)
    assert (found.books.outstanding, found.books.reserved, found.books.redeemed) == (48, 1, 1)
    await sale.prove_life()


async def test_a_slot_that_was_given_back_accuses_nobody(
    sale: LifeSale, redis_url: str, eventually: Eventually
) -> None:
    """A holder whose coupon was revoked may claim once more: he has one coupon, though two rows are his."""
    first = await sale.claim_one("ann")
    await sale.revoke(first)
    [seq] = (await sale.on.claim(["ann", "2" * 12, "X" * 18, ""])).replies
    assert isinstance(seq, int)
    assert seq > 0
    async with draining(redis_url, sale.books.url):
        await eventually(sale.drained)
    found = await one(sale)

    assert (found.books.coupons, found.books.holders_over_limit, found.problems) == (2, 0, [])
