"""One shard a transaction: what is there of it is whole, so whoever was interrupted goes on with the next one."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.resources import files
from typing import Any

import psycopg

from loadtest.bulk.codes import codes, head_of
from loadtest.bulk.opening import Books, begin
from loadtest.bulk.plan import VALIDITY_DAYS, WINDOW_DAYS, Size, Slice, slices_of
from loadtest.bulk.sealing import Sealed, seal

Say = Callable[[int, int, str], None]
"""Told after each shard: how many are there, of how many, and which one it was."""

DAY_S = 86_400
MERCHANTS = 12
SESSION = "SET work_mem = '128MB'; SET temp_buffers = '128MB'; SET maintenance_work_mem = '256MB'; SET timezone = 'UTC'"
SQL = {
    name: (files("loadtest.bulk") / "sql" / f"{name}.sql").read_bytes()
    for name in ("lives", "coupons", "entries", "books", "moves", "sums", "days")
}


def make(url: str, size: Size, workers: int, say: Say) -> None:
    """
    Make what is missing of *size*.

    Shape: a migrated database with nothing but books made so. Errors: Refused; psycopg.Error.
    """
    with psycopg.connect(url) as books:
        begin(books, size)
        done = {shard for (shard,) in books.execute("SELECT shard FROM checkpoints WHERE seq > 0").fetchall()}
    slices = slices_of(size)
    missing = [one for one in slices if one.name not in done]
    with ThreadPoolExecutor(workers) as pool:
        waiting = [pool.submit(partial(_make_shard, url, size, one)) for one in missing]
        try:
            for count, (one, result) in enumerate(zip(missing, waiting, strict=True), len(slices) - len(missing) + 1):
                result.result()
                say(count, len(slices), one.name)
        finally:
            pool.shutdown(cancel_futures=True)


def _make_shard(url: str, size: Size, one: Slice) -> None:
    with psycopg.connect(url) as books:
        books.execute(SESSION.encode())
        books.execute(SQL["lives"])
        _ask(books, size, one)
        for name in ("coupons", "entries", "books", "moves"):
            books.execute(SQL[name])
        rows: Any = books.execute(SQL["sums"]).fetchall()
        head = _post(books, one, list(seal(one.name, one.campaign.entity, rows)))
        books.execute(SQL["days"])
        books.execute(
            "INSERT INTO checkpoints (shard, campaign, epoch, seq, entry_id, head, updated_at)"
            " SELECT %s, %s, 1, seq, (extract(epoch FROM at) * 1000)::bigint || '-0', %s, at FROM changes"
            " ORDER BY seq DESC LIMIT 1",
            [one.name, one.campaign.id, head],
        )


def _ask(books: Books, size: Size, one: Slice) -> None:
    """Put into temporary tables what the statements are to make."""
    campaign = one.campaign
    [(number,)] = books.execute("SELECT number FROM campaigns WHERE id = %s", [campaign.id]).fetchall()
    asked: dict[str, Any] = {
        "shard": one.name,
        "campaign": campaign.id,
        "entity": campaign.entity,
        "currency": campaign.currency,
        "zone": campaign.zone,
        "stored": campaign.stored,
        "issued": campaign.issued,
        "restocks": campaign.restocks,
        "code_batch": campaign.batch,
        "unit_minor": campaign.unit_minor,
        "first_funder": campaign.funders[0][0],
        "second_funder": campaign.funders[1][0] if len(campaign.funders) > 1 else "",
        "share": campaign.funders[0][1],
        "coupons": one.coupons,
        "first_coupon": one.first,
        "first_holder": one.first_here,
        "starts": campaign.starts,
        "ends": datetime(size.until.year, size.until.month, size.until.day, tzinfo=UTC),
        "window_s": WINDOW_DAYS * DAY_S,
        "validity_s": VALIDITY_DAYS * DAY_S,
        "stores": size.stores,
        "merchants": MERCHANTS,
        "batch": size.batch,
    }
    kinds: dict[type, str] = {str: "text", bool: "boolean", int: "bigint", datetime: "timestamptz"}
    columns = ", ".join(f"{name} {kinds[type(value)]}" for name, value in asked.items())
    places = ", ".join("%s" for _ in asked)
    books.execute(f"CREATE TEMPORARY TABLE asked ({columns})".encode())
    books.execute(f"INSERT INTO asked VALUES ({places})".encode(), list(asked.values()))  # noqa: S608 - our own names
    books.execute("CREATE TEMPORARY TABLE given (no integer, code text, first_id text, second_id text)")
    made = codes(head_of(number, one.number), 3 * one.coupons, one.first)
    with books.cursor() as cursor, cursor.copy("COPY given FROM STDIN") as copy:
        copy.write(
            "".join(
                f"{no}\t{code}\t{first}\t{second}\n"
                for no, (code, first, second) in enumerate(zip(made[::3], made[1::3], made[2::3], strict=True), 1)
            )
        )
    books.execute("ANALYZE given, asked")


def _post(books: Books, one: Slice, journals: list[Sealed]) -> bytes:
    """Write the journals and their postings; the hash of the last one."""
    numbers = books.execute(
        "SELECT nextval(pg_get_serial_sequence('journals', 'id')) FROM generate_series(1, %s)", [len(journals)]
    ).fetchall()
    with books.cursor() as cursor:
        with cursor.copy(
            "COPY journals (id, shard, verb, first_seq, last_seq, occurred_at, effective_date, posted_at,"
            " previous_hash, hash, entity) FROM STDIN"
        ) as copy:
            for (number,), journal in zip(numbers, journals, strict=True):
                at = datetime.fromtimestamp(journal.occurred_ms / 1000, UTC)
                span = journal.verb, journal.first_seq, journal.last_seq, at, journal.day, at + timedelta(seconds=1)
                copy.write_row((number, one.name, *span, journal.previous, journal.hash, one.campaign.entity))
        with cursor.copy("COPY postings (journal, line, source, destination, commodity, amount) FROM STDIN") as copy:
            for (number,), journal in zip(numbers, journals, strict=True):
                for line, posting in enumerate(journal.postings, start=1):
                    copy.write_row((number, line, *posting))
    return journals[-1].hash
