"""`fairclaim ledger verify`: chains that hold, and every way in which an owner of the database may break one."""

from collections.abc import Iterator
from typing import Any

import pytest

from lua.door import Door
from reconciler.verifying import CHANGED, CUT_SHORT, NO_CHECKPOINT, UNLINKED, verify
from tests.conftest import ON_VALKEY
from tests.integration.commands import Cli
from tests.integration.draining import Books, draining
from tests.integration.life import open_life

pytestmark = ON_VALKEY

OWNER = ("journals", "postings")


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Command lines."""
    return Cli(capsys)


@pytest.fixture
def books(postgres_url: str) -> Iterator[Books]:
    """An empty, migrated database."""
    with Books(postgres_url) as books:
        yield books


async def fill(door: Door, redis_url: str, books: Books) -> None:
    """Two campaigns; c/0 has a journal each of restock, claim, redemption and rollback."""
    for name in ("c", "d"):
        sale = await open_life(door, books, name)
        async with draining(redis_url, books.url):
            pass
        code = await sale.claim_one("ann")
        async with draining(redis_url, books.url):
            pass
        await sale.redeem(f"R-{name}", code)
        async with draining(redis_url, books.url):
            pass
        await sale.roll_back(f"R-{name}", 500)
    async with draining(redis_url, books.url):
        pass


def forge(books: Books, *statements: str) -> None:
    """What an owner can do who disables the triggers, and enables them again so that nobody sees it."""
    for table in OWNER:
        books.rows(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    for statement in statements:
        books.rows(statement)
    for table in OWNER:
        books.rows(f"ALTER TABLE {table} ENABLE TRIGGER USER")


OF_C = "(SELECT id FROM journals WHERE shard = 'c/0' AND verb = '{}')"
CLAIM, REDEEM, ROLLBACK = OF_C.format("claim"), OF_C.format("redeem"), OF_C.format("rollback")


@pytest.mark.parametrize(
    ("statements", "verb", "reason"),
    [
        ([f"UPDATE postings SET amount = amount + 1 WHERE journal = {CLAIM} AND commodity = 'CNY'"], "claim", CHANGED),
        ([f"UPDATE postings SET destination = 'payable:me' WHERE journal = {REDEEM} AND line = 2"], "redeem", CHANGED),
        ([f"DELETE FROM postings WHERE journal = {REDEEM}"], "redeem", CHANGED),
        ([f"INSERT INTO postings VALUES ({REDEEM}, 9, 'payable:me', 'payable:m-1', 'CNY', 1)"], "redeem", CHANGED),
        (["UPDATE journals SET effective_date = effective_date + 1 WHERE verb = 'claim'"], "claim", CHANGED),
        ([f"UPDATE journals SET hash = 'x' WHERE id = {CLAIM}"], "claim", CHANGED),
        (
            [f"DELETE FROM postings WHERE journal = {CLAIM}", f"DELETE FROM journals WHERE id = {CLAIM}"],
            "redeem",
            UNLINKED,
        ),
        (
            [f"DELETE FROM postings WHERE journal = {ROLLBACK}", f"DELETE FROM journals WHERE id = {ROLLBACK}"],
            "redeem",
            CUT_SHORT,
        ),
        (
            [
                "INSERT INTO journals (shard, verb, first_seq, last_seq, occurred_at, effective_date, previous_hash,"
                " hash) SELECT shard, 'restock', 9, 9, now(), now()::date, head, 'y' FROM checkpoints"
                " WHERE shard = 'c/0'"
            ],
            "restock",
            CHANGED,
        ),
    ],
    ids=["amount", "account", "postings gone", "posting added", "date", "hash", "journal gone", "cut short",
         "journal added"],
)  # fmt: skip
async def test_a_forgery_is_named(
    door: Door, redis_url: str, books: Books, statements: list[str], verb: str, reason: str
) -> None:
    """The first journal that was touched is named with its verb; the chains of other shards hold."""
    await fill(door, redis_url, books)
    assert verify(books.url).holds
    assert verify(books.url).journals == books.value("SELECT count(*) FROM journals")

    forge(books, *[each if "shard = 'c/0'" in each else f"{each} AND shard = 'c/0'" for each in statements])
    report = verify(books.url)

    checked, other = report.shards
    assert (checked.shard, other.shard, other.fault) == ("c/0", "d/0", None)
    assert checked.fault is not None
    assert (checked.fault.verb, checked.fault.reason) == (verb, reason)
    assert not report.holds
    assert verify(books.url, ["d/0"]).holds


async def test_a_shard_without_its_checkpoint_is_broken(door: Door, redis_url: str, books: Books) -> None:
    """Journals of a shard that has no checkpoint, and a checkpoint whose journals are all gone, are both told."""
    await fill(door, redis_url, books)
    books.rows("DELETE FROM checkpoints WHERE shard = 'c/0'")
    forge(
        books,
        "DELETE FROM postings WHERE journal IN (SELECT id FROM journals WHERE shard = 'd/0')",
        "DELETE FROM journals WHERE shard = 'd/0'",
    )

    faults = {checked.shard: checked.fault for checked in verify(books.url).shards}
    assert faults["c/0"] is not None
    assert faults["d/0"] is not None
    assert (faults["c/0"].verb, faults["c/0"].reason) == ("restock", NO_CHECKPOINT)
    assert (faults["d/0"].journal, faults["d/0"].reason) == (None, CUT_SHORT)


async def test_the_command_says_so_and_fails(door: Door, redis_url: str, books: Books, cli: Cli) -> None:
    """Exit code 0 while every chain holds, 1 with the journal's number once one does not; 2, 3 and 6 as documented."""
    await fill(door, redis_url, books)
    url = ("--postgres-url", books.url)
    data: dict[str, Any] = cli.json("ledger", "verify", *url)
    assert (data["holds"], data["journals"], [shard["fault"] for shard in data["shards"]]) == (True, 8, [None, None])
    head = books.value("SELECT encode(head, 'hex') FROM checkpoints WHERE shard = 'c/0'")
    assert data["shards"][0]["head"] == head
    assert f"c/0: 4 journals, head {head}" in cli("ledger", "verify", "--shard", "c/0", *url).out

    number = books.value(f"SELECT {REDEEM}")
    forge(books, f"UPDATE postings SET amount = amount * 2 WHERE journal = {REDEEM} AND commodity = 'CNY'")
    data = cli.json("ledger", "verify", *url, code=1)
    assert data["shards"][0]["fault"]["journal"] == number
    shown = cli("ledger", "verify", *url)
    assert shown.code == 1
    assert f"c/0: broken after 2 journals, at journal {number} (redeem, seq " in shown.out
    assert "1 chains are broken" in shown.out

    assert cli("ledger", "verify", "--shard", "c", *url).code == 2
    assert cli.json("ledger", "verify", "--shard", "x/0", *url, code=3)["code"] == "shard_not_found"
    away = cli("ledger", "verify", "--postgres-url", "postgresql://nobody@127.0.0.1:1/nothing")
    assert away.code == 6
