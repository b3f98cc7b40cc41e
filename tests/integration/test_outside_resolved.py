"""A break of a file from outside ends by what makes both sides equal, and by nothing else."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conftest import redis_binaries
from tests.integration.outsiding import TODAY, Outside, open_outside, owed_more
from tests.integration.tilling import done, told

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)

BREAKS = "SELECT figure, state FROM breaks ORDER BY id"


@pytest.fixture
async def outside(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Outside]:
    """A worker and its books after a sale."""
    async with open_outside(redis_url, postgres_url, tmp_path) as outside:
        yield outside


async def test_words_alone_end_nothing_and_a_rollback_does(outside: Outside) -> None:
    """What differs still is named with what makes it good; once it is given back here too, the break is resolved."""
    books = outside.books
    file, _ = await outside.file_run("order_id,minor\no-1,500\no-2,100\n")
    await outside.give_back("o-2", 150, "half")

    remains = await outside.resolve()

    assert told(remains) == (409, "break_remains")
    for words in ("1 orders differ: o-2 amount_differs (here 150, there 100).", f"settles {file}", f"corrects {file}"):
        assert words in remains.json()["detail"]
    await outside.give_back("o-2", 50, "rest")
    resolved = done(await outside.resolve(), 200)
    assert (resolved["state"], resolved["compensation"]) == ("resolved", "what was done")
    assert books.rows("SELECT (summary ->> 'differences')::int FROM outside_runs ORDER BY id") == [(1,), (1,), (0,)]
    done(await outside.run(file))
    assert books.rows(BREAKS) == [(file, "resolved")]
    await outside.give_back("o-1", 1, "one")
    done(await outside.run(file))
    assert books.rows(BREAKS) == [(file, "resolved"), (file, "open")]


async def test_what_will_never_be_equal_is_booked(outside: Outside) -> None:
    """A rounding, an order we don't know and one they don't: what is owed is booked for each, till that is undone."""
    file, run = await outside.file_run("order_id,minor\no-1,501\nx-1,7\nx-1,7\n", merchant="m-1")
    assert [each["order_id"] for each in run["first"]] == ["o-1", "o-2", "x-1"]

    await outside.book(file, owed_more("o-1", 1), owed_more("o-2", -300), owed_more("x-1", 10))
    told_still = (await outside.resolve()).json()["detail"]
    number = await outside.book(file, owed_more("x-1", 4), key="rest")

    assert "1 orders differ: x-1 duplicate (here 10, there 14)." in told_still
    assert done(await outside.resolve(), 200)["state"] == "resolved"
    summary = done(await outside.run(file))["summary"]
    assert (summary["differences"], summary["matched"]) == (0, {"orders": 3, "here_minor": 515, "there_minor": 515})
    undone = await outside.book(None, key="undo", reverses=number)
    [again] = done(await outside.run(file))["first"]
    assert (again["order_id"], again["outcome"], again["here_minor"]) == ("x-1", "duplicate", 10)
    await outside.book(None, key="redo", reverses=undone)
    assert done(await outside.run(file))["summary"]["differences"] == 0
    assert outside.books.rows(BREAKS) == [(file, "resolved"), (file, "open")]


async def test_what_was_booked_counts_within_the_days_of_its_file(outside: Outside) -> None:
    """A file of more days has it too; one of other days, of another merchant or measure does not."""
    text = "order_id,minor\nx-1,7\n"
    day = {"since": str(TODAY - timedelta(days=9)), "until": str(TODAY - timedelta(days=9))}
    file, _ = await outside.file_run(text, merchant="m-1", **day)
    await outside.book(file, owed_more("x-1", 7))

    week = {**day, "since": str(TODAY - timedelta(days=15))}
    assert await outside.counts(text, **week) == [1, 0, 0, 0, 0]
    assert await outside.counts("order_id,minor\ny-1,0\n", **week) == [0, 1, 1, 0, 0]
    other = str(TODAY - timedelta(days=8))
    for asked in ({"since": other, "until": other}, {"merchant": "m-2"}, {"measure": "discount"}, {"store": "s-1"}):
        assert await outside.counts(text, **{**day, **asked}) == [0, 1, 0, 0, 0]


async def test_a_file_that_corrects_another_takes_its_place(outside: Outside) -> None:
    """One break for all that take the place of the first, which ends when the last of them matches."""
    wrong, right = "order_id,minor\no-1,500\no-2,9\n", "order_id,minor\no-1,500\no-2,300\n"
    first, _ = await outside.file_run(wrong, measure="discount")
    assert told(await outside.upload(right, corrects="of_0"), "field") == (400, "bad_request", "corrects")

    second, _ = await outside.file_run(wrong + "x-1,1\n", corrects=first)
    third = done(await outside.upload(right, corrects=second))

    again = await outside.upload(right, corrects=first)
    assert (again.status_code, again.json()["id"], third["corrects"]) == (200, third["id"], first)
    for old in (first, second):
        refused = await outside.run(old)
        assert told(refused) == (409, "invalid_state")
        assert third["id"] in refused.json()["detail"]
    settled = await outside.draft(first, owed_more("o-2", 9))
    assert told(settled, "field") == (409, "invalid_state", "settles")
    assert outside.books.rows(BREAKS) == [(first, "open")]
    done(await outside.resolve(), 200)
    ran = "SELECT file FROM outside_runs ORDER BY id DESC LIMIT 1"
    assert (outside.books.value(ran), outside.books.rows(BREAKS)) == (third["id"], [(first, "resolved")])


async def test_a_break_is_of_the_entity_whose_orders_differ(outside: Outside) -> None:
    """A file that corrects one of another entity stands in the way of its own entity, and of the other's till then."""
    outside.books.rows("INSERT INTO legal_entities (id) VALUES ('other')")
    text = "order_id,minor\nx-1,7\n"
    first, _ = await outside.file_run(text)

    await outside.file_run(text, corrects=first, entity="other")

    open_breaks = "SELECT shard, figure FROM breaks WHERE state = 'open' ORDER BY id"
    assert outside.books.rows(open_breaks) == [("main", first), ("other", first)]
    assert told(await outside.resolve()) == (409, "break_remains")
    await outside.book(
        (second := done(await outside.upload(text, corrects=first, entity="other"), 200)["id"]),
        owed_more("x-1", 7),
        entity="other",
    )
    assert second != first
    done(await outside.resolve(), 200)
    assert outside.books.rows(open_breaks) == [("main", first)]


async def test_a_journal_settles_only_what_differs(outside: Outside) -> None:
    """An order that does not differ, another merchant, currency or file, and what is no money of an account."""
    file, _ = await outside.file_run("order_id,minor\no-1,501\no-2,300\n", merchant="m-1")
    orders, _ = await outside.file_run("order_id,minor\no-1,4001\n", measure="order")
    for line, field in (
        (owed_more("o-2", 1), "lines[0].order_id"),
        (owed_more("o-1", 1, commodity="EUR"), "lines[0].commodity"),
        (owed_more("o-1", 1, credit="payable:m-2"), "lines[0].debit"),
    ):
        assert told(await outside.draft(file, line), "field") == (400, "bad_request", field)
    assert told(await outside.draft("of_0", owed_more("o-1", 1)), "field") == (404, "not_found", "settles")
    assert told(await outside.draft(orders, owed_more("o-1", 1)), "field") == (400, "bad_request", "settles")
    detail = (await outside.resolve()).json()["detail"]
    assert detail.endswith(f"What makes it good is a file that corrects {orders}.")
