"""Journals that people make: what a draft may say, who may approve it, and what a date on hold or closed refuses."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from reconciler.ledger import connect_options
from reconciler.poster import post_approved
from reconciler.verifying import verify
from tests.conftest import redis_binaries
from tests.integration.booked import book, some_journals
from tests.integration.draining import Books
from tests.integration.site_http import Http, open_http

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)

PATH = "/v1/ledger/manual-journals"
PAYOUT = {"debit": "payable:m-1", "credit": "clearing:bank", "commodity": "CNY", "minor": 1250}
BODY = {"effective_date": "2026-11-10", "reason": "Paid out", "attachment": "page 3", "lines": [PAYOUT]}


@pytest.fixture
async def http(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Http]:
    """A worker, whose books have the campaign c."""
    async with open_http(redis_url, postgres_url, tmp_path) as http:
        yield http


@pytest.fixture
def books(postgres_url: str) -> Iterator[Books]:
    """The database as its owner sees it."""
    with Books(postgres_url) as books:
        books.add_campaign("c")
        books.add_campaign("d")
        yield books


async def drafted(http: Http, who: str = "finance", key: str = "k", **changes: Any) -> dict[str, Any]:
    """A draft."""
    answer = await http.ask("POST", PATH, who, {**BODY, **changes}, idempotency_key=key)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_one_drafts_and_another_approves(http: Http, books: Books) -> None:
    """Whoever drafted it is refused, another key approves it, once or twice; all of it is in the audit log."""
    made = await drafted(http)
    approve = f"{PATH}/{made['id']}/approve"

    own = await http.ask("POST", approve, "finance")
    first = await http.ask("POST", approve, "admin")
    again = await http.ask("POST", approve, "admin")

    assert (made["state"], made["checked_by"], made["journal"]) == ("drafted", None, None)
    assert made["lines"] == [PAYOUT]
    assert (own.status_code, own.json()["code"]) == (403, "forbidden")
    assert (first.status_code, first.json()["state"]) == (200, "approved")
    assert first.json()["made_by"].endswith(" test finance")
    assert first.json()["checked_by"].endswith(" test admin")
    assert again.json() == first.json()
    assert (await http.ask("GET", f"{PATH}/{made['id']}", "auditor")).json() == first.json()
    query = "SELECT action, split_part(actor, ' ', 3) FROM audit_log WHERE subject LIKE 'manual%' ORDER BY id"
    assert books.rows(query) == [
        ("manual_journal.drafted", "finance"), ("manual_journal.approved", "admin")
    ]  # fmt: skip


async def test_the_table_too_tells_maker_from_checker(http: Http, books: Books) -> None:
    """Whatever the gateway does, a row whose maker is its checker can't be written."""
    made = await drafted(http)

    with pytest.raises(Exception, match="manual_journals_checker_check"):
        books.rows("UPDATE manual_journals SET checked_by = made_by WHERE id = %s", made["id"])


async def test_a_key_is_one_draft(http: Http) -> None:
    """The same key again is the same draft, another body with it is refused, and keys are each maker's own."""
    made = await drafted(http)
    again = await http.ask("POST", PATH, "finance", BODY, idempotency_key="k")
    changed = await http.ask("POST", PATH, "finance", {**BODY, "reason": "else"}, idempotency_key="k")

    assert (again.json(), again.headers["idempotency-replayed"]) == (made, "true")
    assert (changed.status_code, changed.json()["code"]) == (422, "idempotency_key_reused")
    assert (await drafted(http, "admin"))["id"] != made["id"]


async def test_rejected_or_taken_back_it_stays_so(http: Http) -> None:
    """A checker rejects with a reason, a maker takes his own back; neither can be approved any more."""
    made, own = await drafted(http), await drafted(http, key="own")
    rejected = await http.ask("POST", f"{PATH}/{made['id']}/reject", "admin", {"reason": "wrong month"})
    back = await http.ask("POST", f"{PATH}/{own['id']}/reject", "finance", {"reason": "mistyped"})
    late = await http.ask("POST", f"{PATH}/{made['id']}/approve", "admin")

    assert (rejected.json()["state"], rejected.json()["refused"]) == ("rejected", "wrong month")
    assert rejected.json()["checked_by"] is not None
    assert (back.json()["state"], back.json()["checked_by"]) == ("rejected", None)
    assert (late.status_code, late.json()["code"], late.json()["from"]) == (409, "invalid_state", "rejected")


async def test_what_a_draft_can_not_say_is_named(http: Http, books: Books) -> None:
    """A rule that is broken is a bad request with its field, and so is what only the books know; nothing is written."""
    for changes, field in (
        ({"lines": []}, "lines"),
        ({"lines": [{**PAYOUT, "minor": 1.5}]}, "lines[0].minor"),
        ({"effective_date": "soon"}, "effective_date"),
        ({"who": "me"}, "who"),
        ({"about": "x/0"}, "about"),
        ({"entity": "nobody"}, "entity"),
        ({"reverses": 7}, "lines"),
    ):
        answer = await http.ask("POST", PATH, "finance", {**BODY, **changes}, idempotency_key="k")
        assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "bad_request", field)
    missing = {**BODY, "reverses": 7, "lines": []}
    answer = await http.ask("POST", PATH, "finance", missing, idempotency_key="k")
    assert (answer.status_code, answer.json()["field"]) == (404, "reverses")
    assert books.value("SELECT count(*) FROM manual_journals") == 0


async def test_a_stocktake_s_difference_and_a_campaign_s_money(http: Http, books: Books) -> None:
    """Coupons move where the journal says about which shard; a campaign that is not there is refused."""
    units = {"debit": "stock", "credit": "supply", "commodity": "coupon:c", "minor": 1}
    money = {"debit": "budget:available", "credit": "budget:authorised", "commodity": "CNY", "minor": 500}
    made = await drafted(http, about="c/0", lines=[units, money])
    typo = [{**PAYOUT, "credit": "income:breakage:tae"}]
    answer = await http.ask("POST", PATH, "finance", {**BODY, "lines": typo}, idempotency_key="x")

    assert (made["about"], made["lines"]) == ("c/0", [units, money])
    assert (answer.status_code, answer.json()["code"]) == (404, "campaign_not_found")


async def test_a_date_that_is_closed_or_on_hold_is_refused(http: Http, books: Books) -> None:
    """Neither drafted nor approved: a closed date says from which one it is open, one on hold which period that is."""
    made, other = await drafted(http), await drafted(http, key="o", effective_date="2026-12-10")
    books.rows("UPDATE legal_entities SET closed_through = '2026-11-30'")
    books.rows(
        "INSERT INTO periods (entity, kind, starts, ends, state, changed_by) "
        "VALUES ('main', 'month', '2026-12-01', '2026-12-31', 'hold', 'x')"
    )

    for draft, told in ((made, "2026-12-01"), (other, None)):
        body = {**BODY, "effective_date": draft["effective_date"]}
        for answer in (
            await http.ask("POST", PATH, "finance", body, idempotency_key=f"again {told}"),
            await http.ask("POST", f"{PATH}/{draft['id']}/approve", "admin"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (409, "invalid_state")
            assert answer.json().get("open_from") == told
            assert "take " in answer.json()["detail"]
    assert (await drafted(http, key="open", effective_date="2027-01-02"))["state"] == "drafted"


async def test_they_are_listed_a_page_at_a_time(http: Http) -> None:
    """The last drafted first; by state and entity, of those there are; a page ends where the next one begins."""
    made = [(await drafted(http, key=str(number)))["id"] for number in range(3)]
    await http.ask("POST", f"{PATH}/{made[1]}/approve", "admin")
    first = (await http.ask("GET", f"{PATH}?limit=2", "auditor")).json()
    rest = (await http.ask("GET", f"{PATH}?limit=2&cursor={first['next']}", "auditor")).json()
    approved = (await http.ask("GET", f"{PATH}?state=approved&entity=main", "finance")).json()

    assert [each["id"] for each in first["items"] + rest["items"]] == made[::-1]
    assert rest["next"] is None
    assert [each["id"] for each in approved["items"]] == [made[1]]
    for field, name in {"state": "lost", "entity": "other"}.items():
        assert (await http.ask("GET", f"{PATH}?{field}={name}", "finance")).json()["field"] == field


async def posted(http: Http, books: Books, key: str, **changes: Any) -> dict[str, Any]:
    """One that was drafted, approved and posted."""
    made = await drafted(http, key=key, **changes)
    assert (await http.ask("POST", f"{PATH}/{made['id']}/approve", "admin")).status_code == 200
    conninfo = connect_options(books.url, postgres_ms_max=60_000, connect_ms_max=30_000, session={})
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        assert await post_approved(connection) == 1
    found: dict[str, Any] = (await http.ask("GET", f"{PATH}/{made['id']}", "auditor")).json()
    assert found["state"] == "posted"
    return found


async def test_a_posted_one_is_reversed_once(http: Http, books: Books) -> None:
    """Its reversal is the opposite of all its lines, about what it was about; a second one and a sale's are refused."""
    units = {"debit": "stock", "credit": "supply", "commodity": "coupon:c", "minor": 1}
    first = await posted(http, books, "1", lines=[PAYOUT, units], about="c/0")
    back = {"reverses": first["journal"], "lines": [], "reason": "Twice"}
    second = await posted(http, books, "2", **back)
    again = await http.ask("POST", PATH, "finance", {**BODY, **back}, idempotency_key="3")
    books.rows("INSERT INTO legal_entities (id) VALUES ('other')")
    [sale] = book(books, [next(each for each in some_journals() if each[0].shard == "d/0")])
    of_sale = {**BODY, "lines": [], "reverses": sale.number}
    sales = await http.ask("POST", PATH, "finance", of_sale, idempotency_key="4")

    assert second["about"] == "c/0"
    assert second["lines"] == [
        {**line, "debit": line["credit"], "credit": line["debit"]} for line in first["lines"]
    ]  # fmt: skip
    assert (again.status_code, again.json()["code"], again.json()["field"]) == (409, "invalid_state", "reverses")
    assert (sales.status_code, sales.json()["code"], sales.json()["field"]) == (409, "invalid_state", "reverses")
    one = (await http.ask("GET", f"/v1/ledger/journals/{first['journal']}", "finance")).json()
    two = (await http.ask("GET", f"/v1/ledger/journals/{second['journal']}", "finance")).json()
    assert (one["reversed_by"], two["reverses"], two["ref"]) == ([two["id"]], one["id"], second["id"])
    balances = (await http.ask("GET", "/v1/ledger/balances?campaign=c&as_of=2026-11-10", "finance")).json()["items"]
    assert {(each["account"], each["balance"]) for each in balances if each["account"] != "payable"} >= {
        ("clearing:bank", 0), ("payable:m-1", 0)
    }  # fmt: skip
    statement = "/v1/ledger/accounts/clearing:bank/statement?campaign=c"
    found = (await http.ask("GET", statement, "finance")).json()["items"]
    assert [each["balance"] for each in found if each["verb"] == "manual"] == [-1250, 0]
    assert verify(books.url).holds
