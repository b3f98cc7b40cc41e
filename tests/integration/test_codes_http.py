"""Codes through HTTP: asked for, watched, cancelled, imported; who may, and what is refused and how."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.guard import Guard
from gateway.keys import ROLES
from tests.conftest import ON_VALKEY, Eventually
from tests.http import Worker
from tests.integration.site_http import Http, open_http

pytestmark = ON_VALKEY

AT = "/v1/campaigns/flash"
BATCHES = f"{AT}/code-batches"
IMPORTS = f"{AT}/code-imports"


@pytest.fixture
async def http(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Http]:
    """A worker with a campaign of a hundred coupons."""
    async with open_http(redis_url, postgres_url, tmp_path) as http:
        await http.publish(stock=100)
        yield http


async def ask(http: Http, key: str = "k", **changes: Any) -> httpx2.Response:
    """A request for five codes, or for what *changes* say."""
    body = changes if "kind" in changes else {"kind": "single", "count": 5, **changes}
    return await http.ask("POST", BATCHES, "marketer", body, idempotency_key=key)


async def over(http: Http, batch: dict[str, Any], eventually: Eventually) -> dict[str, Any]:
    """The batch once nothing more comes of it."""

    async def seen() -> dict[str, Any] | None:
        found: dict[str, Any] = (await http.ask("GET", f"{BATCHES}/{batch['id']}", "auditor")).json()
        return found if found["finished_at"] else None

    found: dict[str, Any] = await eventually(seen)
    return found


async def bring(http: Http, data: bytes, key: str = "k", query: str = "", **headers: str) -> httpx2.Response:
    """An import of *data*."""
    sent = {"Idempotency-Key": key, "Content-Type": "text/csv", **headers, **await http.credential("marketer")}
    return await http.worker.http.post(IMPORTS + query, content=data, headers=sent)


async def test_codes_are_asked_for_watched_and_done(http: Http, eventually: Eventually) -> None:
    """202 says where to look; the batch tells how far it is, and in the end all are issued."""
    answer = await ask(http, count=60)
    assert answer.status_code == 202, answer.text
    asked = answer.json()
    assert answer.headers["location"] == f"{BATCHES}/{asked['id']}"
    assert (asked["state"], asked["done"], asked["count"], asked["uses"], asked["code"]) == ("pending", 0, 60, 1, None)

    made = await over(http, asked, eventually)

    assert (made["state"], made["done"], made["reason"], made["eta_s"]) == ("done", 60, None, None)
    campaign = (await http.ask("GET", AT, "marketer")).json()
    assert (campaign["remaining"], campaign["claimed"]) == (40, 60)
    listed = (await http.ask("GET", BATCHES, "finance")).json()
    assert listed == {"items": [made], "next": None}


async def test_a_request_is_one_however_often_it_comes(http: Http, eventually: Eventually) -> None:
    """The same key gives the same batch, later too; with another request it is refused."""
    first = await ask(http)
    second = await ask(http)
    await over(http, first.json(), eventually)
    third = await ask(http)

    assert (first.status_code, second.status_code, third.status_code) == (202, 202, 202)
    assert {answer.json()["id"] for answer in (first, second, third)} == {first.json()["id"]}
    assert third.headers["idempotency-replayed"] == "true"
    assert (await ask(http, count=6)).json()["code"] == "idempotency_key_reused"
    assert (await http.ask("POST", BATCHES, "marketer", {"kind": "single", "count": 5})).status_code == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "single", "count": 0}, "count"),
        ({"kind": "single", "count": 5_000_001}, "count"),
        ({"kind": "single", "count": 5, "uses": 2}, "uses"),
        ({"kind": "shared", "code": "WELCOME10", "uses": 0}, "uses"),
        ({"kind": "shared", "code": "ABC", "uses": 1}, "code"),
        ({"kind": "shared", "code": "A--C", "uses": 1}, "code"),
        ({"kind": "shared", "code": "-ABCD", "uses": 1}, "code"),
        ({"kind": "shared", "code": "WEL COME", "uses": 1}, "code"),
        ({"kind": "shared", "code": "=WELCOME", "uses": 1}, "code"),
        ({"kind": "shared", "code": "X" * 33, "uses": 1}, "code"),
        ({"kind": "single", "count": 5, "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"kind": "single", "count": 5, "expires_at": "tomorrow"}, "expires_at"),
    ],
)
async def test_what_can_not_be_asked_names_its_field(http: Http, body: dict[str, Any], field: str) -> None:
    """400 with the field, and nothing is written down."""
    answer = await ask(http, **body) if "kind" in body else await ask(http, kind="", **body)

    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "bad_request", field)
    assert (await http.ask("GET", BATCHES, "marketer")).json()["items"] == []


async def test_stock_is_named_when_it_is_short(http: Http) -> None:
    """More than there is: 409 with what is left, and nothing is written down."""
    for changes in ({"count": 101}, {"kind": "shared", "code": "WELCOME10", "uses": 101}):
        answer = await ask(http, **changes)
        assert (answer.status_code, answer.json()["code"], answer.json()["stock"]) == (409, "stock_floor", 100)
    assert (await ask(http, kind="shared", code="WELCOME10", uses=100)).status_code == 202


async def test_a_shared_code_is_one_over_all_campaigns(http: Http, eventually: Eventually) -> None:
    """However it is typed, it is taken; a campaign's own codes and balances can't be shared."""
    made = await over(http, (await ask(http, kind="shared", code="Welcome-10", uses=7)).json(), eventually)
    assert (made["code"], made["count"], made["uses"], made["done"]) == ("WELCOME-10", 1, 7, 1)
    await http.publish(id="second")
    await http.publish(id="gift", value={"type": "balance", "minor": 500})

    for campaign, code in (("flash", "WELCOME10"), ("second", "welcome-1-0")):
        path = f"/v1/campaigns/{campaign}/code-batches"
        taken = await http.ask(
            "POST", path, "marketer", {"kind": "shared", "code": code, "uses": 1}, idempotency_key="2"
        )
        assert (taken.status_code, taken.json()["code"]) == (409, "code_taken")
    gift = await http.ask(
        "POST", "/v1/campaigns/gift/code-batches", "marketer", {"kind": "shared", "code": "GIFT", "uses": 1},
        idempotency_key="3",
    )  # fmt: skip
    assert (gift.status_code, gift.json()["field"]) == (400, "kind")
    claimed = (await http.claim("ann"))["display_code"]
    own = await ask(http, "4", kind="shared", code=claimed, uses=1)
    assert (own.status_code, own.json()["detail"]) == (400, "code: not one that reads as a code made here.")


async def test_a_campaign_that_takes_no_codes(http: Http) -> None:
    """A draft, an ended and an unknown campaign."""
    await http.ask("POST", f"{AT}/state", "marketer", {"to": "ended"})

    ended = await ask(http)
    unknown = await http.ask(
        "POST", "/v1/campaigns/none/code-batches", "marketer", {"kind": "single", "count": 1}, idempotency_key="k"
    )

    assert (ended.status_code, ended.json()["code"]) == (409, "invalid_state")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "campaign_not_found")


async def test_cancelling_answers_what_became_of_it(http: Http, eventually: Eventually) -> None:
    """A batch that is done stays done; one that is not there is not found, in another campaign neither."""
    made = await over(http, (await ask(http)).json(), eventually)
    await http.publish(id="second")

    again = await http.ask("POST", f"{BATCHES}/{made['id']}/cancel", "marketer")
    assert (again.status_code, again.json()) == (202, made)
    for path in (f"{BATCHES}/cb_0000000000000000", f"{BATCHES}/x", f"/v1/campaigns/second/code-batches/{made['id']}"):
        for method, rest in (("GET", ""), ("POST", "/cancel"), ("GET", "/codes.csv"), ("GET", "/sheet")):
            missing = await http.ask(method, path + rest, "marketer")
            assert (missing.status_code, missing.json()["code"]) == (404, "code_batch_not_found"), path + rest


async def test_pages_of_batches(http: Http) -> None:
    """Newest first, a page at a time, each once."""
    keys = [str(number) for number in range(5)]
    ids = [(await ask(http, key, count=1)).json()["id"] for key in keys]
    seen, cursor = [], ""
    while cursor is not None:
        page = (await http.ask("GET", f"{BATCHES}?limit=2{cursor}", "marketer")).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"] and f"&cursor={page['next']}"

    assert seen == ids[::-1]


async def test_an_import_reports_each_line(http: Http, eventually: Eventually) -> None:
    """Good lines become codes; of the others line, what stood there and why not are told."""
    await over(http, (await ask(http, "s", kind="shared", code="TAKEN-ALREADY", uses=1)).json(), eventually)
    ours = (await http.claim("ann"))["display_code"]
    lines = ("name,Code", "ann,old-0001", "bob,OLD0001", 'cyd,"=1+1"', "", f"eve,{ours}", "fay,taken already")
    csv = "\r\n".join([*lines, "gus,old-0002", "hal", ""])

    answer = await bring(http, csv.encode("utf-8-sig"))

    assert answer.status_code == 202, answer.text
    report = answer.json()
    assert (report["ok"], report["refused"], report["dry_run"]) == (2, 5, False)
    assert [(each["line"], each["code"], each["problem"]) for each in report["problems"]] == [
        (3, "OLD0001", "duplicate"),
        (4, "=1+1", "malformed"),
        (6, ours, "ours"),
        (7, "taken already", "exists"),
        (9, "", "malformed"),
    ]
    made = await over(http, report["batch"], eventually)
    assert (made["state"], made["done"], made["count"], made["refused"]) == ("done", 2, 2, 5)
    again = await bring(http, csv.encode("utf-8-sig"))
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["problems"] == report["problems"]
    assert (await bring(http, b"old-0003\n")).json()["code"] == "idempotency_key_reused"
    told = await http.ask("GET", f"{BATCHES}/{made['id']}/lines.csv", "marketer")
    assert told.text.splitlines()[:4] == [
        "line,code,result,why",
        "2,old-0001,issued,",
        "3,OLD0001,duplicate,came before in this file",
        '4,\'=1+1,malformed,"not 6 to 64 of A-Z, 0-9, hyphen, underscore and dot, a letter or digit first"',
    ]


async def test_a_foreign_header_is_reported_and_never_issued(http: Http, eventually: Eventually) -> None:
    """Not in the dry run, not in the import: nobody redeems the word voucher."""
    dry = await bring(http, b"voucher\r\nAB12CD34\r\n", query="?dry_run=true")
    came = await bring(http, b"voucher\r\nAB12CD34\r\n")

    for report in (dry.json(), came.json()):
        assert (report["ok"], report["problems"]) == (1, [{"line": 1, "code": "voucher", "problem": "header"}])
    made = await over(http, came.json()["batch"], eventually)
    assert (made["done"], made["refused"]) == (1, 1)


async def test_a_dry_run_changes_nothing(http: Http) -> None:
    """It reports as the import would, and the import can follow with the same key."""
    dry = await bring(http, b"old-0001\nold-0001\n", query="?dry_run=true")

    assert (dry.status_code, dry.json()["batch"], dry.json()["ok"], dry.json()["refused"]) == (200, None, 1, 1)
    assert (await http.ask("GET", BATCHES, "marketer")).json()["items"] == []
    assert (await bring(http, b"old-0001\nold-0001\n")).status_code == 202


async def test_a_file_of_a_form_is_read_alike(http: Http) -> None:
    """What a browser or curl -F sends is the same import."""
    sent = {"Idempotency-Key": "k", **await http.credential("marketer")}

    answer = await http.worker.http.post(
        IMPORTS, files={"file": ("codes.csv", b"old-0001\n", "text/csv")}, headers=sent
    )
    two = await http.worker.http.post(IMPORTS, files={"a": ("a", b"x"), "b": ("b", b"y")}, headers=sent)

    assert (answer.status_code, answer.json()["ok"]) == (202, 1)
    assert (two.status_code, two.json()["field"]) == (400, "file")


async def test_what_is_no_csv_is_refused(http: Http) -> None:
    """Another type, other bytes, a broken line, more than may be."""
    assert (await bring(http, b"{}", **{"Content-Type": "application/json"})).status_code == 415
    assert (await bring(http, b"\xff\xfe\n")).status_code == 400
    assert (await bring(http, b'"open\n')).status_code == 400
    assert (await bring(http, b"x" * 4_200_000)).status_code == 413
    assert (
        await bring(http, b"--b\r\nnothing", **{"Content-Type": "multipart/form-data; boundary=b"})
    ).status_code == 400
    assert (await bring(http, b"x", **{"Content-Type": "multipart/form-data"})).status_code == 400
    assert (await bring(http, b"old-0001\n", query="?dry_run=yes")).status_code == 400
    many = "".join(f"old-{number}\n" for number in range(10_000, 10_101)).encode()
    assert (await bring(http, many)).json()["stock"] == 100


async def test_a_large_file_comes_through_the_guard(redis_url: str, postgres_url: str, tmp_path: Path) -> None:
    """Over a socket: an import may be larger than any other body, up to its own bound; other routes take no more."""
    async with Worker(redis_url, postgres_url, tmp_path, http=Guard, import_bytes_max=400_000) as worker:
        http = Http(worker)
        await http.publish(stock=100)
        fits = await bring(http, b"old-0001" + b"," * 390_000)
        none = await bring(http, b"old-0001" + b"," * 400_000, key="other")
        other = await worker.http.post(BATCHES, content=b" " * 390_000, headers=await http.credential("marketer"))

        assert (fits.status_code, none.status_code, other.status_code) == (202, 413, 413)


async def test_who_may(http: Http) -> None:
    """Marketers make and print codes, the rest of the staff sees how far they are, holders nothing."""
    batch = (await ask(http)).json()["id"]
    for who in (*ROLES, "@ann"):
        makes = who in ("admin", "marketer")
        asked = await http.ask("POST", BATCHES, who, {"kind": "single", "count": 1}, idempotency_key=f"by {who}")
        assert asked.status_code == (202 if makes else 403)
        assert (await http.ask("GET", f"{BATCHES}/{batch}", who)).status_code == (403 if who == "@ann" else 200)
        for rest in ("codes.csv?partial=true", "sheet?partial=true", "lines.csv"):
            assert (await http.ask("GET", f"{BATCHES}/{batch}/{rest}", who)).status_code == (200 if makes else 403)
