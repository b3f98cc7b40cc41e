"""What a holder sees of his coupons: at once from Redis, page by page from the books; and what a stranger sees not."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.api.examples import ORDER
from gateway.codes import CodeMaker, show_code
from gateway.keys import ROLES
from gateway.wire import rfc3339, time_ms
from lua.keys import CampaignId, Shard
from tests.conftest import ON_VALKEY
from tests.integration.drained import NOON, Drained
from tests.integration.site_http import Http, open_http

pytestmark = ON_VALKEY


@pytest.fixture
async def http(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Http]:
    """A worker."""
    async with open_http(redis_url, postgres_url, tmp_path) as http:
        yield http


async def walk(http: Http, path: str, who: str, while_at: Any = None) -> list[list[str]]:
    """Every page of a list; *while_at* is called after each."""
    pages, cursor = [], None
    while True:
        answer = await http.ask("GET", path + (f"&cursor={cursor}" if cursor else ""), who)
        assert answer.status_code == 200, answer.text
        pages.append([item["code"] for item in answer.json()["items"]])
        cursor = answer.json()["next"]
        if while_at is not None:
            while_at()
        if cursor is None:
            return pages


async def test_a_coupon_is_mine_at_once(http: Http) -> None:
    """…/claims/mine has a coupon as soon as its claim is answered, the books aside; nobody else's is in it."""
    await http.publish(shards=4, stock=40, limits={"per_holder": 2})
    first, second = await http.claim("ann", key="a"), await http.claim("ann", key="b")
    await http.claim("bob")

    mine = (await http.ask("GET", "/v1/campaigns/flash/claims/mine", "@ann")).json()

    assert [item["code"] for item in mine["items"]] == [first["code"], second["code"]]
    for item, claimed in zip(mine["items"], (first, second), strict=True):
        assert {name: item[name] for name in ("seq", "state", "expires_at", "campaign")} == {
            name: claimed[name] for name in ("seq", "state", "expires_at", "campaign")
        }
    assert mine["next"] is None
    nobody = (await http.ask("GET", "/v1/campaigns/flash/claims/mine", "@eve")).json()
    assert nobody["items"] == []


async def test_my_claims_show_what_became_of_them(http: Http) -> None:
    """A coupon that is held, or spent, is in its holder's list with that state at once."""
    await http.publish(limits={"per_holder": 3})
    held, spent, _ = [(await http.claim("ann", key=key))["code"] for key in ("held", "spent", "left alone")]
    hold = await http.ask("POST", "/v1/reservations", "store", {"code": held, "order_id": "o-1"})
    spend = await http.ask("POST", "/v1/redemptions", "store", {"code": spent, "order": ORDER}, idempotency_key="k")

    mine = (await http.ask("GET", "/v1/campaigns/flash/claims/mine", "@ann")).json()

    assert (hold.status_code, spend.status_code) == (201, 201)
    assert [item["state"] for item in mine["items"]] == ["reserved", "redeemed", "claimed"]


async def test_mine_is_not_ready_rather_than_empty(http: Http, door: Any) -> None:
    """A shard that may not serve does not say that there is nothing; an absent campaign is not found."""
    await http.publish()
    await http.claim("ann")
    await door.redis.hset(Shard(CampaignId("flash"), 0).key("rules"), "server", "another")

    for path in ("/v1/campaigns/flash/claims/mine", "/v1/campaigns/flash"):
        answer = await http.ask("GET", path, "@ann")
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
        assert int(answer.headers["retry-after"]) >= 1
    absent = await http.ask("GET", "/v1/campaigns/none/claims/mine", "@ann")
    assert (absent.status_code, absent.json()["code"]) == (404, "campaign_not_found")


async def test_wallet_pages_are_complete_and_stable_under_inserts(http: Http, drained: Drained) -> None:
    """Newest first, ties by code, every coupon once, also while new ones come in; none of anybody else's."""
    old = drained.add("ann", 20, step_s=1) + drained.add("ann", 5, minutes=-5)
    drained.add("bob", 10, step_s=1)

    def insert() -> None:
        drained.add("ann", 3, minutes=10)
        drained.add("bob", 1)

    pages = await walk(http, "/v1/coupons?limit=4", "@ann", insert)

    seen = [code for page in pages for code in page]
    assert [len(page) for page in pages] == [4, 4, 4, 4, 4, 4, 1]
    assert seen[:20] == list(reversed(old[:20]))
    assert seen[20:] == sorted(old[20:])


async def test_wallet_items_say_what_the_coupon_is(http: Http, drained: Drained) -> None:
    """Value and currency are those of the version it was claimed under; times are UTC with milliseconds."""
    await http.publish()
    (code,) = drained.add("ann", channel="app")

    (item,) = (await http.ask("GET", "/v1/coupons", "@ann")).json()["items"]

    assert item == {
        "code": code,
        "display_code": show_code(code),
        "campaign": "flash",
        "seq": 1,
        "state": "claimed",
        "value": {"type": "amount_off", "minor": 500, "threshold_minor": 3000},
        "currency": "CNY",
        "channel": "app",
        "claimed_at": "2026-11-22T12:00:00.000Z",
        "expires_at": "2026-11-29T12:00:00.000Z",
        "left": 1,
        "reserved_until": None,
        "order_id": None,
    }


async def test_wallet_picks_a_state(http: Http, drained: Drained) -> None:
    """?state= shows only coupons in that state, page by page."""
    wanted = drained.add("ann", 3, step_s=-1, state="redeemed")
    drained.add("ann", 3)

    pages = await walk(http, "/v1/coupons?state=redeemed&limit=2", "@ann")

    assert pages == [wanted[:2], wanted[2:]]


BAD_QUERIES = [
    ("limit=0", "limit"),
    ("limit=101", "limit"),
    ("limit=-1", "limit"),
    ("limit=ten", "limit"),
    ("limit=%D9%A3", "limit"),
    ("limit=1&limit=2", "limit"),
    ("state=gone", "state"),
    ("cursor=", "cursor"),
    ("cursor=%00", "cursor"),
    ("cursor=AAAA", "cursor"),
    ("cursor=" + "A" * 4000, "cursor"),
    ("cursor=%F0%9F%92%A9", "cursor"),
]


async def test_a_bad_query_names_the_field(http: Http) -> None:
    """400 with the name of the parameter and what is allowed."""
    for query, field in BAD_QUERIES:
        answer = await http.ask("GET", f"/v1/coupons?{query}", "@ann")

        problem = answer.json()
        assert (answer.status_code, problem["code"], problem.get("field")) == (400, "bad_request", field), query


async def test_a_cursor_is_good_for_its_list_only(http: Http, drained: Drained) -> None:
    """A cursor with any character changed, of another holder or of another filter is refused by name."""
    drained.add("ann", 3)
    cursor = (await http.ask("GET", "/v1/coupons?limit=1", "@ann")).json()["next"]

    changed = [cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :] for at in range(len(cursor))]
    tries = [("@ann", f"cursor={other}") for other in changed]
    tries += [("@bob", f"cursor={cursor}"), ("@ann", f"state=claimed&cursor={cursor}"), ("@ann", f"cursor={cursor}A")]
    for who, query in tries:
        answer = await http.ask("GET", f"/v1/coupons?{query}", who)
        assert (answer.status_code, answer.json().get("field")) == (400, "cursor"), query
    assert (await http.ask("GET", f"/v1/coupons?cursor={cursor}", "@ann")).status_code == 200


async def test_a_code_may_be_typed_as_people_type(http: Http, drained: Drained) -> None:
    """In lower case, in groups, with O for 0: the same coupon."""
    (code,) = drained.add("ann")
    typed = [code, code.lower(), show_code(code), show_code(code).lower(), code.replace("0", "o").replace("1", "l")]

    answers = [await http.ask("GET", f"/v1/coupons/{text}", "@ann") for text in typed]

    assert {answer.json()["code"] for answer in answers} == {code}


async def test_a_strangers_coupon_is_told_from_none_by_nobody(http: Http, drained: Drained) -> None:
    """Another holder's code, one that was never given and what is no code at all get the same 404, word for word."""
    (code,) = drained.add("ann")
    absent = CodeMaker(1, 0).take(1)[0]
    mistyped = code[:-1] + ("0" if code[-1] != "0" else "1")

    told = set()
    for text in (code, absent, mistyped, "nonsense", "x" * 300, "%00", "%27--"):
        answer = await http.ask("GET", f"/v1/coupons/{text}", "@bob", x_request_id="same")
        body = {name: value for name, value in answer.json().items() if name != "server_time"}
        headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
        told.add((answer.status_code, str(body), str(headers)))

    assert len(told) == 1
    assert next(iter(told))[0] == 404
    assert (await http.ask("GET", f"/v1/coupons/{code}", "@ann")).status_code == 200


async def test_who_of_the_staff_may_look_codes_up(http: Http, drained: Drained) -> None:
    """Store, finance, auditor and admin see any coupon and whose it is; a marketer has no business with it."""
    (code,) = drained.add("ann")

    answers = {role: await http.ask("GET", f"/v1/coupons/{code}", role) for role in ROLES}

    assert {role: (answer.status_code, answer.json().get("holder")) for role, answer in answers.items()} == {
        "admin": (200, "ann"),
        "marketer": (403, None),
        "store": (200, "ann"),
        "finance": (200, "ann"),
        "auditor": (200, "ann"),
    }


async def test_without_postgres_the_wallet_is_not_ready_and_mine_still_is(
    redis_url: str, postgres_url: str, tmp_path: Path
) -> None:
    """The books away: wallet and coupon are 503 with Retry-After; a campaign and my claims come from Redis."""
    async with open_http(redis_url, postgres_url, tmp_path / "with") as http:
        await http.publish()
        claimed = await http.claim("ann")
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    async with open_http(redis_url, nowhere, tmp_path, postgres_ms_max=200) as http:
        for path in ("/v1/coupons", f"/v1/coupons/{claimed['code']}"):
            answer = await http.ask("GET", path, "@ann")
            assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
            assert int(answer.headers["retry-after"]) >= 1

        mine = await http.ask("GET", "/v1/campaigns/flash/claims/mine", "@ann")
        seen = await http.ask("GET", "/v1/campaigns/flash", "@ann")

    assert [item["code"] for item in mine.json()["items"]] == [claimed["code"]]
    assert (seen.json()["remaining"], seen.json()["state"]) == (9, "active")


async def test_the_order_of_a_hold_is_told_to_the_owner_where_only_the_books_know(http: Http, drained: Drained) -> None:
    """Who put it on is not in the books, so a store is told the deadline and no order."""
    await http.publish()
    (code,) = drained.add("ann", state="reserved", order_id="o-1", reserved_until=NOON)

    mine = (await http.ask("GET", f"/v1/coupons/{code}", "@ann")).json()
    seen = (await http.ask("GET", f"/v1/coupons/{code}", "store")).json()

    assert (mine["order_id"], seen["order_id"]) == ("o-1", None)
    assert mine["reserved_until"] == seen["reserved_until"] == rfc3339(time_ms(NOON))


async def test_a_coupon_alone_is_here_at_once(http: Http) -> None:
    """Claimed and not drained: its owner and the staff see it as Redis has it, and have it drawn; others do not."""
    await http.publish(limits={"per_holder": 2})
    claimed = await http.claim("ann")
    path = f"/v1/coupons/{claimed['code']}"

    own, staff = await http.ask("GET", path, "@ann"), await http.ask("GET", path, "store")

    assert (own.status_code, staff.status_code) == (200, 200)
    seen = own.json()
    assert staff.json() == {**seen, "holder": "ann"}
    assert {name: seen[name] for name in ("code", "display_code", "campaign", "seq", "state", "expires_at")} == {
        name: claimed[name] for name in ("code", "display_code", "campaign", "seq", "state", "expires_at")
    }
    assert (seen["channel"], seen["left"], seen["currency"]) == (None, 1, "CNY")
    assert seen["value"]["type"] == "amount_off"
    for who, status in (("@ann", 200), ("store", 200), ("@eve", 404)):
        assert (await http.ask("GET", f"{path}/qr", who)).status_code == status
    assert (await http.ask("GET", path, "@eve")).json()["code"] == "coupon_not_found"
