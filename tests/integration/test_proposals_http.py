"""Proposals over HTTP: each kind made by one, approved by another and done once; who may, and what is refused."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ON_VALKEY, Eventually
from tests.integration.draining import draining
from tests.integration.proposing import (
    CHANGE,
    JOURNAL,
    PATH,
    PAYOUT,
    REVOCATION,
    STOCK,
    VALUE,
    Office,
    open_office,
    reopening,
)

pytestmark = ON_VALKEY


@pytest.fixture
async def office(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    """An office with campaign flash on sale."""
    async with open_office(redis_url, postgres_url, tmp_path) as office:
        yield office


async def test_a_change_is_made_by_two(office: Office) -> None:
    """The value changes when another one approves, once; both are named in the version and in the audit log."""
    made = await office.make(CHANGE)
    unchanged = await office.ask("GET", "/v1/campaigns/flash", "auditor")

    first = await office.act("approve", made, "bob", "fine")
    again = await office.act("approve", made, "bob")

    assert (made["state"], made["about"], made["asked"]) == ("pending", "campaign:flash", CHANGE)
    assert made["before"] == {"version": 2, "state": "active", "value": unchanged.json()["value"]}
    assert (first.status_code, first.json()["state"], first.json()["said"]) == (200, "applied", "fine")
    assert first.json()["outcome"] == {"version": 3, "value": VALUE}
    assert again.json() == first.json()
    seen = (await office.ask("GET", "/v1/campaigns/flash", "auditor")).json()
    assert (seen["version"], seen["value"]) == (3, VALUE)
    actor = office.books.value("SELECT changed_by FROM campaign_versions WHERE version = 3")
    assert actor == f"{made['made_by']}, approved by {first.json()['decided_by']} ({made['id']})"
    assert [act for act, _ in office.told(made)] == ["proposal.made", "proposal.approved", "proposal.applied"]
    assert [who for _, who in office.told(made)] == [made["made_by"], first.json()["decided_by"], actor]
    applied = office.books.value("SELECT detail FROM audit_log WHERE action = 'proposal.applied'")
    assert (applied["before"], applied["after"]) == (made["before"], first.json()["outcome"])
    changed = office.books.value("SELECT detail FROM audit_log WHERE action = 'campaign.changed'")
    assert (changed["before"], changed["after"]) == ({"value": unchanged.json()["value"]}, {"value": VALUE})


async def test_two_checkers_move_stock_once(office: Office, redis_url: str, postgres_url: str) -> None:
    """Of two who approve at the same instant one is the checker; in Redis and in the books stock moved once."""
    made = await office.make(STOCK)
    async with draining(redis_url, postgres_url):
        answers = await asyncio.gather(*(office.act("approve", made, who) for who in ("bob", "admin") * 3))

    assert {answer.status_code for answer in answers} == {200, 409}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"invalid_state"}
    assert len({answer.json()["decided_by"] for answer in answers if answer.status_code == 200}) == 1
    assert (await office.see(made))["outcome"]["stock"] == 15
    assert office.books.value("SELECT balance FROM v_balances WHERE account = 'stock'") == 15
    assert office.books.rows("SELECT delta, state FROM stock_adjustments ORDER BY delta") == [(5, "done"), (10, "done")]
    assert [act for act, _ in office.told(made)].count("proposal.applied") == 1


async def test_a_revocation_takes_what_is_out_then(
    office: Office, redis_url: str, postgres_url: str, eventually: Eventually
) -> None:
    """What is out when it is approved is revoked, and before says how many the books had out when it was made."""
    async with draining(redis_url, postgres_url):
        await office.http.claim("holder-1")
        await eventually(lambda: office.books.value("SELECT count(*) FROM coupons") == 1)
        made = await office.make(REVOCATION)
        await office.http.claim("holder-2")

        done = (await office.act("approve", made, "bob")).json()
        await eventually(lambda: office.books.value("SELECT count(*) FROM coupons WHERE state = 'revoked'") == 2)

    assert made["before"] == {"coupons": 1}
    assert office.books.rows("SELECT id, actor FROM revocations") == [
        (done["outcome"]["revocation"], f"{made['made_by']}, approved by {done['decided_by']} ({made['id']})")
    ]


async def test_what_is_closed_is_opened_by_leave_of_an_admin(office: Office) -> None:
    """Finance proposes, finance may not approve, an admin does; what is on hold another one of finance opens."""
    office.period("2026-02-01", "2026-02-28", "closed")
    office.period("2026-03-01", "2026-03-31", "hold")
    await office.hire("fay", "finance")
    closed = await office.make(reopening("2026-02"), "eve", "closed")
    held = await office.make(reopening("2026-03"), "eve", "held")

    refused = await office.act("approve", closed, "fay")
    waits = await office.listed("fay", "?waiting_for=me"), await office.listed("admin", "?waiting_for=me")
    opened = await office.act("approve", closed, "admin")
    let_go = await office.act("approve", held, "fay")

    assert (closed["about"], closed["before"]) == ("period:main/2026-02", {"state": "closed", "closes": 0})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert waits == ([held["id"]], [held["id"], closed["id"]])
    assert [opened.json()["state"], let_go.json()["state"]] == ["applied", "applied"]
    assert office.books.rows("SELECT state FROM periods") == [("open",), ("open",)]
    assert office.books.value("SELECT closed_through FROM legal_entities") is None
    assert "approved by" in office.books.rows("SELECT changed_by FROM periods")[0][0]


async def test_manual_journals_are_among_what_waits(office: Office) -> None:
    """A draft of either route is one row of the list, is approved by either route, and has no second table."""
    made = await office.make(JOURNAL, "eve")
    draft = JOURNAL["journal"]
    other = await office.ask("POST", "/v1/ledger/manual-journals", "eve", draft, idempotency_key="o")
    own = await office.act("approve", made, "eve")
    listed = await office.listed("admin", "?waiting_for=me")

    approved = await office.act("approve", made, "admin")
    rejected = await office.act("reject", other.json(), "admin", "another month")

    assert made["id"].startswith("mj_")
    assert (made["kind"], made["asked"]["journal"]["lines"], made["expires_at"]) == (
        "manual_journal", [PAYOUT], None
    )  # fmt: skip
    assert own.status_code == 403
    assert listed == [other.json()["id"], made["id"]]
    assert (approved.json()["state"], rejected.json()["state"]) == ("approved", "rejected")
    assert (rejected.json()["said"], await office.listed("admin", "?waiting_for=me")) == ("another month", [])
    assert await office.listed("eve", "?state=rejected") == [other.json()["id"]]
    assert office.books.value("SELECT count(*) FROM proposals") == 0


async def test_nobody_checks_himself(office: Office) -> None:
    """Not with his key, nor with another key of his name in other letters, be it an admin's; and no other role may."""
    made = await office.make(STOCK)
    await office.hire("ANN ", "admin", "double")

    for who in ("ann", "double", "eve", "store", "auditor"):
        for act in ("approve", "reject"):
            answer = await office.act(act, made, who, "x")
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), who
    assert await office.listed("double", "?waiting_for=me") == []
    assert await office.listed("bob", "?waiting_for=me") == [made["id"]]
    assert (await office.see(made))["state"] == "pending"
    with pytest.raises(Exception, match="proposals_checker_check"):
        office.books.rows("UPDATE proposals SET state = 'approved', checker_name = maker_name")


async def test_what_changed_meanwhile_fails_and_changes_nothing(office: Office) -> None:
    """Another version, another value of a coupon, too little stock, a period that was touched: failed, nothing done."""
    office.period("2026-03-01", "2026-03-31", "hold")
    cases = [(CHANGE, "ann", "bob", "version_conflict"), (reopening(), "eve", "admin", "invalid_state")]
    made = [await office.make(body, maker, maker) for body, maker, _, _ in cases]
    await office.ask("PATCH", "/v1/campaigns/flash", "marketer", {"name": "Other"})
    office.books.rows("UPDATE periods SET state = 'open'")

    for one, (_, _, checker, reason) in zip(made, cases, strict=True):
        answer = await office.act("approve", one, checker)
        told = answer.json()
        assert (answer.status_code, told["code"], told["reason"]) == (409, "proposal_failed", reason)
        assert told["detail"].startswith("Nothing was changed.")
        seen = await office.see(one)
        assert (seen["state"], seen["outcome"]["code"]) == ("failed", reason)
    assert (await office.act("approve", made[0], "bob")).json()["code"] == "proposal_failed"
    assert (await office.ask("GET", "/v1/campaigns/flash", "auditor")).json()["version"] == 3

    out = await office.make({**STOCK, "delta": -8}, "ann", "out")
    await office.ask("PATCH", "/v1/campaigns/flash", "marketer", {"value": VALUE})
    dear = await office.act("approve", out, "bob")
    again = await office.make({**STOCK, "delta": -8}, "ann", "again")
    for holder in ("h-1", "h-2", "h-3"):
        await office.http.claim(holder)
    short = await office.act("approve", again, "bob")
    assert (dear.json()["reason"], short.json()["reason"]) == ("version_conflict", "stock_floor")
    assert (await office.make(STOCK, "ann", "more"))["before"]["stock"] == 7


async def test_overdue_withdrawn_and_rejected_are_over(office: Office) -> None:
    """Each is over for good, said once or twice; whoever looks first ends what is overdue, in the audit log too."""
    late, back, no = [
        await office.make({"kind": "revocation", "holder": each, "reason": "stolen"}, key=each) for each in "abc"
    ]
    office.books.rows("UPDATE proposals SET expires_at = now() WHERE id = %s", late["id"])
    bobs = await office.act("withdraw", back, "bob")
    withdrawn = [await office.act("withdraw", back, "ann", "changed my mind") for _ in range(2)]
    rejected = [await office.act("reject", no, "bob", "why?") for _ in range(2)]
    mute = await office.act("reject", no, "bob")

    assert [answer.status_code for answer in (bobs, mute, *withdrawn, *rejected)] == [403, 400, 200, 200, 200, 200]
    for made, state in ((late, "expired"), (back, "withdrawn"), (no, "rejected")):
        answer = await office.act("approve", made, "bob")
        assert (answer.status_code, answer.json()["code"], answer.json()["from"]) == (409, "invalid_state", state)
        assert await office.listed("ann", f"?state={state}") == [made["id"]]
        assert [act for act, _ in office.told(made)] == ["proposal.made", f"proposal.{state}"]
    assert office.books.value("SELECT count(*) FROM revocations") == 0


async def test_one_of_a_kind_waits(office: Office) -> None:
    """A second one for the same campaign names the first; another kind may wait too, and so may the next afterwards."""
    made = await office.make(STOCK)
    second = await office.ask("POST", PATH, "bob", {**STOCK, "delta": 7}, idempotency_key="k")
    await office.make(CHANGE, key="other kind")
    await office.act("reject", made, "bob", "no")
    await office.make(STOCK, "bob")

    assert (second.status_code, second.json()["code"]) == (409, "proposal_pending")
    assert second.json()["proposal"] == made["id"]


async def test_a_key_is_one_proposal(office: Office) -> None:
    """The same key again is the same proposal, also at the same instant; another body with it is refused."""
    change = {"funders": [{"account": "brand", "basis_points": 10_000}], "scope": {"skus": ["tea"]}}
    for key, body, other in (
        ("stock", STOCK, {**STOCK, "delta": 6}),
        ("lists", {**CHANGE, "change": change}, {**CHANGE, "change": {**change, "scope": {"skus": ["tee"]}}}),
    ):
        answers = await asyncio.gather(
            *(office.ask("POST", PATH, "ann", body, idempotency_key=key) for _ in range(4))
        )  # fmt: skip
        refused = await office.ask("POST", PATH, "ann", other, idempotency_key=key)

        assert [answer.status_code for answer in answers] == [201] * 4
        assert len({answer.text for answer in answers}) == 1
        assert sorted(answer.headers.get("idempotency-replayed", "") for answer in answers) == ["", *["true"] * 3]
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")


BAD: list[tuple[dict[str, Any], int, str]] = [
    ({"kind": "lottery"}, 400, "bad_request"),
    ({**STOCK, "delta": 0}, 400, "bad_request"),
    ({**STOCK, "delta": 1.5}, 400, "bad_request"),
    ({**STOCK, "reason": " "}, 400, "bad_request"),
    ({**STOCK, "campaign": "No!"}, 400, "bad_request"),
    ({**STOCK, "campaign": "none"}, 404, "campaign_not_found"),
    ({**STOCK, "delta": -11}, 409, "stock_floor"),
    ({**STOCK, "campaign": "draft"}, 409, "invalid_state"),
    ({**CHANGE, "change": {"name": "x"}}, 400, "bad_request"),
    ({**CHANGE, "change": {"value": {"type": "balance", "minor": 0}}}, 400, "bad_request"),
    ({**CHANGE, "change": {"limits": {"per_holder": 1}}}, 400, "bad_request"),
    ({**CHANGE, "change": {"value": VALUE, "version": 1}}, 409, "version_conflict"),
    ({**CHANGE, "campaign": "draft"}, 409, "invalid_state"),
    ({"kind": "revocation", "reason": "x"}, 400, "bad_request"),
    (reopening("2026-13"), 400, "bad_request"),
    (reopening("2026-04"), 409, "invalid_state"),
    ({**reopening(), "period": {"starts": "2026-03", "entity": "nobody"}}, 404, "not_found"),
]


async def test_what_can_not_be_done_is_not_proposed(office: Office) -> None:
    """A proposal is refused as the thing itself would be, naming the field of a bad request; nothing is written."""
    draft = (await office.ask("GET", "/v1/campaigns/flash", "admin")).json()
    body = {name: draft[name] for name in ("name", "currency", "stock", "value", "starts_at", "ends_at", "validity")}
    assert (await office.ask("POST", "/v1/campaigns", "admin", {**body, "id": "draft"})).status_code == 201
    for asked, status, code in BAD:
        answer = await office.ask("POST", PATH, "admin", asked, idempotency_key="k")
        assert (answer.status_code, answer.json()["code"]) == (status, code), asked
        assert status != 400 or answer.json()["field"]
    assert (await office.ask("POST", PATH, "eve", STOCK, idempotency_key="k")).json()["code"] == "forbidden"
    assert (await office.ask("GET", f"{PATH}/pr_0", "admin")).json()["code"] == "proposal_not_found"
    assert (await office.ask("GET", f"{PATH}/mj_0", "admin")).json()["code"] == "proposal_not_found"
    assert office.books.value("SELECT count(*) FROM proposals") == 0


async def test_each_sees_his_own(redis_url: str, postgres_url: str, tmp_path: Path) -> None:
    """Pages of one each lead through all that a role may see, and as many wait as may, in all and of one maker."""
    bounds = {"proposals_open_max": 3, "proposals_of_one_max": 2}
    async with open_office(redis_url, postgres_url, tmp_path, page_rows_max=1, **bounds) as office:
        journal = await office.make(JOURNAL, "eve")
        stock, change = await office.make(STOCK), await office.make(CHANGE, key="c")
        of_hers = await office.ask("POST", PATH, "ann", REVOCATION, idempotency_key="r")
        revocation = await office.make(REVOCATION, "bob")
        one_more = await office.ask("POST", PATH, "bob", {**REVOCATION, "holder": "h"}, idempotency_key="more")

        assert (of_hers.status_code, "2 proposals of yours wait" in of_hers.json()["detail"]) == (429, True)
        assert (one_more.status_code, one_more.json()["code"]) == (429, "rate_limited")
        assert one_more.json()["detail"].startswith("3 proposals wait already")
        for who, seen in (
            ("admin", [revocation, change, stock, journal]), ("auditor", [revocation, change, stock, journal]),
            ("bob", [revocation, change, stock]), ("eve", [journal]),
        ):  # fmt: skip
            pages, cursor = [], ""
            while cursor is not None:
                page = (await office.ask("GET", f"{PATH}?cursor={cursor}" if cursor else PATH, who)).json()
                pages += page["items"]
                cursor = page["next"]
            assert [each["id"] for each in pages] == [each["id"] for each in seen]
        assert (await office.ask("GET", f"{PATH}/{stock['id']}", "eve")).json()["code"] == "forbidden"
        assert (await office.ask("GET", PATH, "store")).status_code == 403
        assert await office.listed("auditor", "?waiting_for=me") == []
        assert (await office.ask("GET", f"{PATH}?state=gone", "admin")).json()["field"] == "state"
        assert (await office.ask("GET", f"{PATH}?waiting_for=ann", "admin")).json()["field"] == "waiting_for"


async def test_with_two_people_nobody_moves_money_alone(redis_url: str, postgres_url: str, tmp_path: Path) -> None:
    """An admin is refused too and told what to do; drafts and names are free; what is proposed and approved is done."""
    async with open_office(redis_url, postgres_url, tmp_path, two_people=True) as office:
        office.period("2026-03-01", "2026-03-31", "hold")
        draft = {**(await office.ask("GET", "/v1/campaigns/flash", "admin")).json(), "id": "draft"}
        body = {name: draft[name] for name in ("id", "name", "currency", "stock", "value", "starts_at", "ends_at")}
        await office.ask("POST", "/v1/campaigns", "ann", {**body, "validity": {"days": 1}})
        moves = {"delta": 5, "reason": "x"}
        for method, path, json in (
            ("PATCH", "/v1/campaigns/flash", {"value": VALUE}),
            ("PATCH", "/v1/campaigns/flash", {"limits": {"budget_minor": 100_000}}),
            ("POST", "/v1/campaigns/flash/stock-adjustments", moves),
            ("POST", "/v1/revocations", {"campaign": "flash", "reason": "x"}),
            ("POST", "/v1/periods/main/month/2026-03/reopen", {"reason": "x"}),
        ):
            answer = await office.ask(method, path, "admin", json, idempotency_key=path)
            assert (answer.status_code, answer.json()["code"]) == (403, "second_person_needed"), path
            assert "POST /v1/proposals" in answer.json()["detail"]
        renamed = await office.ask("PATCH", "/v1/campaigns/flash", "ann", {"name": "Other"})
        free = await office.ask("PATCH", "/v1/campaigns/draft", "ann", {"value": VALUE})
        done = await office.act("approve", await office.make(STOCK), "bob")

        assert (renamed.status_code, free.status_code, done.json()["state"]) == (200, 200, "applied")
        assert office.books.rows("SELECT state FROM periods") == [("hold",)]
