"""Journals by hand at the console: drafted once, wrong inputs beside their fields, approved by another one, posted."""

import re
from pathlib import Path
from typing import Any

from tests.conftest import ON_VALKEY, Eventually
from tests.integration.consoling import Browser, add_user, signed_in
from tests.integration.draining import Books, draining
from tests.integration.site_http import open_http

pytestmark = ON_VALKEY
BOOKS, WAITING = "/console/books", "/console/waiting"
NEW = f"{BOOKS}/new-manual"
NASTY = "<script>alert(1)</script>"
GOOD: dict[str, Any] = {
    **{"entity": "main", "effective_date": "2026-11-10", "reason": NASTY, "attachment": f"voucher {NASTY}", "key": "k"},
    **{"debit-0": "payable:m-1", "credit-0": "clearing:bank", "commodity-0": "CNY", "amount-0": "1,234.50"},
}
WRONG: tuple[tuple[dict[str, str], list[str]], ...] = (
    ({"amount-0": "1.234", "reason": ""}, ["reason", "amount-0"]),
    ({"amount-0": "-5"}, ["amount-0"]),
    ({"amount-0": "1e3"}, ["amount-0"]),
    ({"amount-0": "9" * 30}, ["amount-0"]),
    ({"commodity-0": "JPY", "amount-0": "0.5"}, ["amount-0"]),
    ({"debit-0": "nothing"}, ["debit-0"]),
    ({"credit-0": "payable:m-1"}, ["credit-0"]),
    ({"commodity-0": "XXX"}, ["commodity-0"]),
    ({"debit-0": "suspense:promotion:none"}, ["debit-0"]),
    ({"about": "none/0"}, ["about"]),
    ({"entity": "none"}, ["entity"]),
    ({"effective_date": "2026-02-30"}, ["effective_date"]),
    ({"effective_date": "2026-10-31"}, ["effective_date"]),
    ({"effective_date": "2999-01-01"}, ["effective_date"]),
    ({"reverses": "12"}, ["debit-0"]),
    ({"reverses": "x"}, ["reverses"]),
    ({name: "" for name in ("debit-0", "credit-0", "commodity-0", "amount-0")}, ["debit-0"]),
)


async def see_accounts(fay: Browser) -> None:
    """The accounts of the chart are suggested, and one that can't be taken is named in what is said of it."""
    form = (await fay.get(NEW)).text
    assert '<option value="clearing:bank">what was paid in, less what was paid out</option>' in form
    assert '<option value="payable:">' in form
    assert form.count('list="accounts"') == 12
    for changes, said in (
        ({"debit-0": "payble:<m>"}, "There is no account “payble:&lt;m&gt;” in the chart"),
        ({"credit-0": "payable:m-1"}, "“payable:m-1” is debited already."),
        ({"debit-0": "stock"}, "“stock” does not fit the commodity"),
        ({"debit-0": ""}, "Name an account of the chart."),
    ):
        page = (await fay.post(NEW, {**GOOD, **changes})).text
        assert said in page, changes
        [field] = changes
        assert f'<li>Line 1: {field[:-2].title()}: <a href="#{field}">' in page, "the summary names the field"


async def test_a_journal_by_hand(redis_url: str, postgres_url: str, tmp_path: Path, eventually: Eventually) -> None:
    """
    What is wrong stands beside its field and nothing is made; the form twice is one draft, filled in otherwise none;
    its maker can't approve it, another one does, and the reconciler posts it; reversed once; audited; a name is text.
    """
    async with open_http(redis_url, postgres_url, tmp_path) as http, draining(redis_url, postgres_url):
        with Books(postgres_url) as books:
            books.rows("UPDATE legal_entities SET closed_through = '2026-10-31' WHERE id = 'main'")
            await add_user(http.worker, "fay", "finance")
            await add_user(http.worker, "gus", "finance")
            fay, gus = await signed_in(http.worker, "fay"), await signed_in(http.worker, "gus")
            for changes, fields in WRONG:
                answer = await fay.post(NEW, {**GOOD, **changes})
                shown = re.findall(r'id="([\w-]+)-error"', answer.text)
                assert (answer.status_code in (400, 404, 409), shown) == (True, fields), (changes, answer.text)
                assert NASTY not in answer.text
            await see_accounts(fay)
            closed = await fay.post(NEW, {**GOOD, "effective_date": "2026-10-31"}, accept_language="en-GB")
            assert "What is before 1 Nov 2026 is closed." in closed.text
            german = await fay.post(NEW, {**GOOD, "amount-0": "12,50", "key": "de"}, accept_language="en-GB")
            assert 'id="amount-0-error"' in german.text, "a comma is no decimal point here"
            assert books.value("SELECT count(*) FROM manual_journals") == 0
            stranger = await fay.post(NEW, {**GOOD, "form": "x"})
            assert (stranger.status_code, stranger.headers.get("location")) == (403, None)
            await fay.get(NEW)

            made = [await fay.post(NEW, GOOD) for _ in range(2)]
            [page] = {answer.headers["location"] for answer in made}
            other = await fay.post(NEW, {**GOOD, "amount-0": "1.00"})
            assert (other.status_code, "filled in otherwise" in other.text) == (409, True)
            [(number, lines)] = books.rows("SELECT id, lines FROM manual_journals")
            assert lines[0]["minor"] == 123_450
            seen, listed = (await gus.get(page)).text, (await gus.get(WAITING, accept_language="en-GB")).text
            assert (NASTY in seen, NASTY in listed) == (False, False)
            assert f'href="{WAITING}#{number}"' in seen
            assert f'<a href="{BOOKS}/manual/{number}">' in listed
            assert "CN¥1,234.50" in listed
            approve = {"proposal": number, "step": "approve"}
            assert [(await each.post(WAITING, approve)).status_code for each in (fay, gus, gus)] == [403, 303, 303]

            async def is_posted() -> bool:
                return bool(books.value("SELECT journal IS NOT NULL FROM manual_journals"))

            await eventually(is_posted, within_s=30)
            journal = books.value("SELECT journal FROM manual_journals")
            posted = (await fay.get(page)).text
            assert "It is drafted" not in posted, "that was so when the address was made"
            assert f'href="{NEW}?reverses={journal}"' in posted
            back = {**GOOD, "key": "back", "reverses": str(journal)}
            back |= {name: "" for name in ("debit-0", "credit-0", "commodity-0", "amount-0")}
            assert (await gus.post(NEW, back)).status_code == 303
            twice = await fay.post(NEW, {**back, "key": "again"})
            assert (twice.status_code, 'id="reverses-error"' in twice.text) == (409, True)
            told = books.rows(
                "SELECT action, actor, detail -> 'before' ->> 'state', detail -> 'after' ->> 'state' FROM audit_log "
                "WHERE subject = %s AND actor <> 'reconciler' ORDER BY id",
                f"manual_journal:{number}",
            )
            assert told == [
                ("manual_journal.drafted", "user:fay", None, None),
                ("manual_journal.approved", "user:gus", "drafted", "approved"),
            ]
