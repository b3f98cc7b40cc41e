"""Codes on paper: the CSV from the books, the sheet to cut, pictures that a scanner reads, and who gets them."""

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from PIL import Image

from gateway.codes import parse_code
from tests.conftest import Eventually, redis_binaries
from tests.integration.draining import Books, draining
from tests.integration.site_http import Http, open_http
from tests.pictures import drawn

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
"""What the scripts do on Redis 7 is tests/scripts' to prove; here it is HTTP and what follows."""

BATCHES = "/v1/campaigns/flash/code-batches"


@pytest.fixture
async def http(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Http]:
    """A worker with a campaign of a hundred coupons."""
    async with open_http(redis_url, postgres_url, tmp_path) as http:
        await http.publish(stock=100, name='5 < 6 & "more"')
        yield http


async def issue(http: Http, eventually: Eventually, **changes: Any) -> dict[str, Any]:
    """A batch that is done; twelve single codes unless *changes* say otherwise."""
    body = changes or {"kind": "single", "count": 12, "expires_at": "2030-01-01T00:00:00Z"}
    asked = await http.ask("POST", BATCHES, "marketer", body, idempotency_key=str(body))
    assert asked.status_code == 202, asked.text

    async def done() -> dict[str, Any] | None:
        found: dict[str, Any] = (await http.ask("GET", f"{BATCHES}/{asked.json()['id']}", "marketer")).json()
        return found if found["state"] == "done" else None

    found: dict[str, Any] = await eventually(done)
    return found


@pytest.fixture
async def drained(http: Http, eventually: Eventually, redis_url: str, postgres_url: str) -> dict[str, Any]:
    """Twelve single codes, in the books."""
    batch = await issue(http, eventually)
    await drain(batch, eventually, redis_url, postgres_url)
    return batch


async def drain(batch: dict[str, Any], eventually: Eventually, redis_url: str, postgres_url: str) -> None:
    """Have the batch in the books."""
    with Books(postgres_url) as books:
        async with draining(redis_url, postgres_url):
            await eventually(
                lambda: books.value("SELECT count(*) FROM coupons WHERE batch = %s", batch["id"]) == batch["done"]
            )


async def codes_of(http: Http, batch: dict[str, Any]) -> list[dict[str, str]]:
    """The rows of codes.csv."""
    answer = await http.ask("GET", f"{BATCHES}/{batch['id']}/codes.csv", "marketer")
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


async def test_the_csv_has_each_code_once(http: Http, drained: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every code with its campaign, groups, state, uses and expiry, in pages that nobody sees, and nothing cached."""
    monkeypatch.setattr("gateway.issuing.printing.PAGE", 5)
    answer = await http.ask("GET", f"{BATCHES}/{drained['id']}/codes.csv", "marketer")
    rows = await codes_of(http, drained)

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["fairclaim-codes"] == "12/12"
    assert len({row["code"] for row in rows}) == len(rows) == 12
    for row in rows:
        parsed = parse_code(row["display_code"])
        assert parsed is not None
        assert parsed.code == row["code"]
        assert {name: row[name] for name in ("campaign", "state", "uses", "expires_at")} == {
            "campaign": "flash", "state": "claimed", "uses": "1", "expires_at": "2030-01-01T00:00:00.000Z",
        }  # fmt: skip


async def test_what_the_books_lack_is_said(http: Http, eventually: Eventually) -> None:
    """Before the drain: 503 that says how many are there; with partial=true those, and the header says so too."""
    batch = await issue(http, eventually)
    path = f"{BATCHES}/{batch['id']}"

    for rest in ("codes.csv", "sheet"):
        answer = await http.ask("GET", f"{path}/{rest}", "marketer")
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
        assert answer.json()["detail"].startswith("The books have 0 of 12 codes that were issued;")
    partial = await http.ask("GET", f"{path}/codes.csv?partial=true", "marketer")
    assert (partial.text.count("\n"), partial.headers["fairclaim-codes"]) == (1, "0/12")
    assert (await http.ask("GET", f"{path}/codes.csv?partial=1", "marketer")).status_code == 400


async def test_a_named_code_is_printed_as_it_was_written(
    http: Http, eventually: Eventually, redis_url: str, postgres_url: str
) -> None:
    """The export, the look-up and the picture know a shared code in every spelling."""
    batch = await issue(http, eventually, kind="shared", code="Welcome-10", uses=7)
    await drain(batch, eventually, redis_url, postgres_url)

    [row] = await codes_of(http, batch)
    seen = await http.ask("GET", "/v1/coupons/welcome 1-0", "admin")

    assert (row["code"], row["display_code"], row["uses"]) == ("WELCOME10", "WELCOME-10", "7")
    assert (seen.status_code, seen.json()["code"], seen.json()["display_code"]) == (200, "WELCOME10", "WELCOME10")
    assert (await http.ask("GET", "/v1/coupons/welcome10/qr", "store")).status_code == 200


@pytest.mark.parametrize("kind", ["qr", "code128"])
@pytest.mark.parametrize("form", ["svg", "png"])
async def test_a_scanner_reads_the_picture(http: Http, drained: dict[str, Any], kind: str, form: str) -> None:
    """Both sorts of picture in both forms hold the code and nothing else, and are only for who asked."""
    code = (await codes_of(http, drained))[0]["code"]

    answer = await http.ask("GET", f"/v1/coupons/{code.lower()}/qr?format={form}&kind={kind}", "store")

    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == {"svg": "image/svg+xml", "png": "image/png"}[form]
    assert answer.headers["cache-control"].startswith("private")
    assert answer.headers["vary"] == "Authorization"
    image = Image.open(io.BytesIO(answer.content)) if form == "png" else drawn(answer.text)
    [found] = zxingcpp.read_barcodes(image)
    assert (found.text, found.format.name) == (code, {"qr": "QRCode", "code128": "Code128"}[kind])


async def test_who_may_have_a_picture(http: Http, eventually: Eventually, redis_url: str, postgres_url: str) -> None:
    """Its owner, stores and marketers; to other holders and of other codes it is not there, in the same words."""
    mine = await http.claim("ann")
    await drain({"id": "", "done": 1}, eventually, redis_url, postgres_url)
    path = f"/v1/coupons/{mine['code']}/qr"

    for who in ("@ann", "store", "admin", "marketer"):
        assert (await http.ask("GET", path, who)).status_code == 200, who
    for who in ("finance", "auditor"):
        assert (await http.ask("GET", path, who)).status_code == 403, who
    wrong = mine["code"][:-1] + ("0" if mine["code"][-1] != "0" else "1")
    bodies = []
    for refused in (path, f"/v1/coupons/{wrong}/qr", "/v1/coupons/x/qr", "/v1/coupons/NOSUCHCODE/qr"):
        answer = await http.ask("GET", refused, "@eve")
        assert answer.status_code == 404
        bodies.append({**answer.json(), "request_id": "", "server_time": ""})
    assert bodies.count(bodies[0]) == 4
    assert (await http.ask("GET", f"{path}?format=gif", "@ann")).json()["field"] == "format"
    assert (await http.ask("GET", f"{path}?kind=aztec", "@ann")).json()["field"] == "kind"


async def test_sheets_follow_each_other(http: Http, drained: dict[str, Any]) -> None:
    """Five coupons a sheet: three sheets, each leads to the next, and together they have each code once."""
    codes = {row["display_code"] for row in await codes_of(http, drained)}
    path, printed = f"{BATCHES}/{drained['id']}/sheet?limit=5", list[str]()
    sheets = 0
    while path:
        answer = await http.ask("GET", path, "marketer")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "script-src" not in answer.headers["content-security-policy"]
        assert "<script" not in answer.text
        assert "5 &lt; 6 &amp; &#34;more&#34;" in answer.text
        assert "5.00\u00a0CNY off an order of 30.00\u00a0CNY or more" in answer.text
        assert "Valid until 2030-01-01 00:00 UTC" in answer.text
        printed += [code for code in codes if code in answer.text.replace("</span><wbr><span>", "")]
        sheets += 1
        link = answer.headers.get("link", "")
        path = link.partition("<")[2].partition(">")[0]

    assert sheets == 3
    assert sorted(printed) == sorted(codes)
