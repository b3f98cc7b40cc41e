"""The lists of the room Books: sorted, paged and taken along as a file, each row once and in order."""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple, get_args

import pytest
import pytest_asyncio

from gateway.console.books import breaks, exports, ledger, manual, periods, stocktakes
from gateway.stack.postgres import Postgres
from gateway.stack.valkey import Valkey
from reconciler.exports.store import State
from tests.conftest import fresh_database
from tests.http import ON_SOCKETS, Worker
from tests.integration.consoling import add_user, filed, signed_in, walked
from tests.integration.draining import Books

pytestmark = ON_SOCKETS

BOOKS = "/console/books"
MANY = 20


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(
    redis_server: Valkey, postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Worker]:
    """A worker whose books have MANY of what there are lists of; aud is an auditor."""
    with fresh_database(postgres_server) as url, Books(url) as books:
        books.add_campaign("lists", shards=2)
        books.add_campaign("empty")
        for query in FILLED:
            books.rows(query, MANY)
        async with Worker(redis_server.url, url, tmp_path_factory.mktemp("site")) as worker:
            await add_user(worker, "aud", "auditor")
            yield worker


class List(NamedTuple):
    """*row* finds a row in a page, and *column* is the same in its file; *sorts* are keys of lines of the file."""

    row: str
    column: str
    sorts: dict[str, Callable[[dict[str, str]], Any]]


def by(*names: str, of: dict[str, Sequence[str]] | None = None) -> Callable[[dict[str, str]], Any]:
    """The key of a line by its cells *names*, those that are a number as one; *of* gives the order of codes."""

    def key(line: dict[str, str]) -> list[Any]:
        cells = [(name, line[name]) for name in names]
        return [
            of[name].index(cell) if of and name in of else int(cell) if cell.isdecimal() else cell
            for name, cell in cells
        ]

    return key


DRAFTS = ("drafted", "approved", "posted", "rejected")
LISTS = {
    "journals": List(rf'href="{BOOKS}/journals/(\d+)"', "id", {"posted": by("id")}),
    "stocktakes": List(
        r'data-label="At number">([\d,]+)<',
        "seq",
        {"taken": by("id"), "shard": by("shard", "id"), "breaks": by("breaks", "id")},
    ),
    "breaks": List(
        rf'href="{BOOKS}/breaks/(\d+)"',
        "id",
        {
            "seen": by("id"),
            "state": by("state", "id", of={"state": ("open", "explained", "resolved")}),
            "shard": by("shard", "id"),
        },
    ),
    "manual": List(
        rf'href="{BOOKS}/manual/(mj_\w+)"',
        "id",
        {
            "made": by("made_at", "id"),
            "amount": by("commodity", "minor", "id"),
            "state": by("state", "id", of={"state": DRAFTS}),
            "date": by("effective_date", "id"),
            "maker": by("made_by", "id"),
        },
    ),
    "periods": List(
        rf'<th scope="row"[^>]*><a href="{BOOKS}/periods/main/\w+/([\d-]+)"', "starts", {"starts": by("starts")}
    ),
    "exports": List(
        rf'href="{BOOKS}/exports/(ex_\w+)"',
        "id",
        {
            "asked": by("asked_at", "id"),
            "report": by("report", "id"),
            "state": by("state", "id", of={"state": get_args(State)}),
            "bytes": by("bytes", "id"),
        },
    ),
}  # fmt: skip
"""Each list of the room, by its path. Its first sort is the one it has by itself, the largest first."""

FILLED = (
    "INSERT INTO stocktakes (shard, seq, taken_at, asked_by, figures, sampled, breaks) SELECT 'lists/' || n %% 2,"
    " 9000 + n, now() + n * interval '1 ms', 'clerk', '{\"stock\": [9, 9], \"claimed\": [1, null]}',"
    ' \'{"coupons": 2, "holders": 1}\', n %% 3 FROM generate_series(1, %s) AS n',
    "INSERT INTO breaks (shard, kind, figure, expected, found, state, resolved_at) SELECT 'lists/' || n %% 2, 'holder',"
    " '=holder-' || n, '{\"claims\": []}', '7', (ARRAY['resolved', 'explained', 'open'])[1 + n %% 3],"
    " CASE n %% 3 WHEN 0 THEN now() END FROM generate_series(1, %s) AS n",
    "INSERT INTO journals (shard, verb, first_seq, last_seq, occurred_at, effective_date, previous_hash, hash)"
    " SELECT 'lists/0', 'claim', n, n, now(), current_date, decode(md5(n::text), 'hex'), ''"
    " FROM generate_series(1, %s) AS n",
    "INSERT INTO manual_journals (id, entity, effective_date, reason, lines, state, made_by, made_at)"
    " SELECT 'mj_' || md5(n::text), 'main', '2026-11-01'::date + n %% 5, '=1+' || n, (SELECT jsonb_agg("
    "jsonb_build_object('debit', 'payable:m-1', 'credit', 'clearing:bank', 'minor', n * 7919 %% 1009 + part,"
    " 'commodity', (ARRAY['CNY', 'EUR', 'JPY'])[1 + n %% 3])) FROM generate_series(0, n %% 2) AS part),"
    " (ARRAY['rejected', 'posted', 'drafted'])[1 + n %% 3], 'user:m' || n %% 4, now() + (n %% 6) * interval '1 s'"
    " FROM generate_series(1, %s) AS n",
    "INSERT INTO periods (entity, kind, starts, ends, state, changed_by) SELECT 'main', 'day', current_date - n,"
    " current_date - n, (ARRAY['open', 'hold', 'closed'])[1 + n %% 3], 'user:fay' FROM generate_series(1, %s) AS n",
    "INSERT INTO exports (id, key, report, format, asked, state, rows, bytes, asked_by, asked_at) SELECT"
    " 'ex_' || left(md5(n::text), 16), n::text, (ARRAY['trial-balance', 'entries', 'coupons'])[1 + n %% 3], 'csv',"
    " '{}', (ARRAY['failed', 'cancelled', 'done'])[1 + n %% 3], n %% 4, nullif(n * 7919 %% 1009 * (n %% 2), 0),"
    " 'user:fay', now() - n %% 5 * interval '1 hour' FROM generate_series(1, %s) AS n",
)
"""Many of each, some of which are equal in each order."""


def whole(lines: Sequence[dict[str, str]], each: List) -> list[dict[str, str]]:
    """The lines of a file, one of what has several: what its first commodity comes to in all."""
    found = dict[str, dict[str, str]]()
    for line in lines:
        kept = found.setdefault(line[each.column], {**line, "minor": "0"})
        if "commodity" in line and line["commodity"] == kept["commodity"]:
            kept["minor"] = str(int(kept["minor"]) + int(line["minor"]))
        kept["bytes"] = kept.get("bytes") or "0"
    return list(found.values())


async def test_each_list_in_each_order(site: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over all its pages a list has each row once, in order, up and down; its file has the same, in the same order."""
    for module in (ledger, stocktakes, breaks, manual, periods, exports):
        monkeypatch.setattr(module, "ROWS_MAX", 8)
    aud = await signed_in(site, "aud")
    with Books(site.settings.postgres_url) as books:
        for name, each in LISTS.items():
            for sort, key in each.sorts.items():
                for down in (True, False):
                    query = f"?sort={sort}&down={down:d}" + ("&kind=day&entity=main" if name == "periods" else "")
                    paged = [row.replace(",", "") for row in await walked(aud, f"{BOOKS}/{name}{query}", each.row)]
                    lines = whole(await filed(aud, f"{BOOKS}/{name}.csv{query}"), each)
                    assert len(paged) >= MANY, (name, sort)
                    assert [line[each.column] for line in lines] == paged, (name, sort, down)
                    assert lines == sorted(lines, key=key, reverse=down), (name, sort, down)
        assert books.value("SELECT count(*) FROM audit_log WHERE action = 'breaks.exported'") == 6
    for name, each in LISTS.items():
        usual, odd = [(await aud.get(f"{BOOKS}/{name}{wrong}")).text for wrong in ("", "?sort=x&down=2")]
        assert re.findall(each.row, usual) == re.findall(each.row, odd) != [], name
        assert f'href="{BOOKS}/{name}.csv' in usual
        assert (await aud.get(f"{BOOKS}/{name}?cursor=x")).status_code == 400


async def test_an_order_is_the_same_of_a_campaign_and_of_a_shard(site: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stocktakes of all shards of a campaign come in the order that all have, and those of one as they are in it."""
    monkeypatch.setattr(stocktakes, "ROWS_MAX", 8)
    aud, shown = await signed_in(site, "aud"), LISTS["stocktakes"].row
    for sort in LISTS["stocktakes"].sorts:
        for down in "01":
            query = f"{BOOKS}/stocktakes?sort={sort}&down={down}"
            everything = await walked(aud, query, shown)
            assert await walked(aud, f"{query}&campaign=lists", shown) == everything
            odd = [number for number in everything if int(number[-1]) % 2]
            assert await walked(aud, f"{query}&shard=lists/1", shown) == odd, (sort, down)


async def test_what_a_file_of_a_list_says(site: Worker) -> None:
    """Both sides of what differs, as they are, and no formula; of a name that is none no file; of nothing a head."""
    aud = await signed_in(site, "aud")
    told = {name: (await filed(aud, f"{BOOKS}/{name}.csv"))[0] for name in ("stocktakes", "breaks", "manual")}
    assert told["stocktakes"]["differing"] == "claimed 1 none"
    found = [told["breaks"][name] for name in ("figure", "expected", "found")]
    assert (found[0][:2], found[1:]) == ("'=", ['{"claims":[]}', "7"])
    assert told["manual"]["reason"].startswith("'=1+")
    for name in ("stocktakes", "breaks"):
        assert (await aud.get(f"{BOOKS}/{name}.csv?campaign=nothing")).status_code == 404
        assert 'id="shard-error"' in (await aud.get(f"{BOOKS}/{name}?shard=nothing/0")).text
    for name, query, says in (
        ("manual", "state=approved", "No journal by hand is like that."),
        ("exports", "report=rollbacks", "No export is like that."),
        ("stocktakes", "shard=empty/0", "There is no stocktake of that."),
    ):
        page = (await aud.get(f"{BOOKS}/{name}?{query}")).text
        assert (says in page, "download" in page) == (True, False)
        assert len((await aud.get(f"{BOOKS}/{name}.csv?{query}")).text.splitlines()) == 1
