"""Exports over HTTP: asked for once, seen, fetched whole, given up, by whom it may be."""

import json
from collections.abc import AsyncIterator
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest

from reconciler.reports.shape import Asked
from tests.conftest import redis_binaries
from tests.integration.bookkeeping import add_journals
from tests.integration.exporting import Exports
from tests.integration.site_http import Http, open_http

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)

NOVEMBER = Asked(since=date(2026, 11, 1), until=date(2026, 11, 30))
BODY = {"report": "journal", "format": "csv", "asked": {"since": "2026-11-01", "until": "2026-11-30"}}


@pytest.fixture
def site(postgres_url: str, tmp_path: Path) -> Exports:
    """Books of a few journals, and where their exports go."""
    add_journals(postgres_url, 5)
    return Exports(postgres_url, tmp_path / "exports")


@pytest.fixture
async def http(redis_url: str, site: Exports, tmp_path: Path) -> AsyncIterator[Http]:
    """A worker on these books."""
    async with open_http(redis_url, site.url, tmp_path, exports_open_max=3, page_rows_max=2) as http:
        yield http


async def asked(http: Http, key: str = "k", **changes: Any) -> dict[str, Any]:
    """An export that finance asks for."""
    answer = await http.ask("POST", "/v1/exports", "finance", {**BODY, **changes}, idempotency_key=key)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/exports/{found['id']}"
    return found


async def test_an_export_is_asked_for_made_and_fetched(http: Http, site: Exports) -> None:
    """From the request to the file: whole, in parts, with its manifest; and in the audit log."""
    export = await asked(http)
    path = f"/v1/exports/{export['id']}"
    assert (export["state"], export["percent"], export["asked"]) == ("waiting", None, BODY["asked"])
    for what in ("file", "manifest"):
        early = await http.ask("GET", f"{path}/{what}", "auditor")
        assert (early.status_code, early.json()["code"]) == (409, "invalid_state")
    site.make(export["id"])

    done = (await http.ask("GET", path, "auditor")).json()
    file = await http.ask("GET", f"{path}/file", "auditor")
    part = await http.ask("GET", f"{path}/file", "finance", range="bytes=5-9")
    manifest = await http.ask("GET", f"{path}/manifest", "auditor")

    assert (done["state"], done["percent"], done["rows"]) == ("done", 100, 20)
    assert file.content == site.expected("csv", NOVEMBER)
    assert done["bytes"] == len(file.content)
    assert done["sha256"] == sha256(file.content).hexdigest() == file.headers["etag"].strip('"')
    assert file.headers["content-type"].startswith("text/csv")
    assert 'filename="journal_2026-11-01_2026-11-30.csv"' in file.headers["content-disposition"]
    assert (part.status_code, part.content) == (206, file.content[5:10])
    assert manifest.json()["sha256"] == done["sha256"]
    assert manifest.content == json.dumps(manifest.json(), indent=2, sort_keys=True).encode() + b"\n"
    with psycopg.connect(site.url) as books:
        told = books.execute("SELECT action FROM audit_log WHERE subject = %s ORDER BY id", (f"export:{export['id']}",))
        assert [action for (action,) in told] == ["export.asked", "export.fetched", "export.fetched"]


async def test_a_repeated_request_is_the_same_export(http: Http) -> None:
    """One a key; the key of another request, and more than may be open, are refused."""
    first = await asked(http)
    again = await http.ask("POST", "/v1/exports", "finance", BODY, idempotency_key="k")
    other = await http.ask("POST", "/v1/exports", "finance", {**BODY, "format": "xlsx"}, idempotency_key="k")

    assert (again.status_code, again.json()["id"]) == (202, first["id"])
    assert again.headers["idempotency-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    await asked(http, "k2")
    await asked(http, "k3")
    more = await http.ask("POST", "/v1/exports", "finance", BODY, idempotency_key="k4")
    assert (more.status_code, more.json()["code"]) == (429, "rate_limited")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"report": "nothing"}, "report"),
        ({"format": "pdf"}, "format"),
        ({"report": "trial-balance", "format": "beancount"}, "format"),
        ({"asked": {"since": "2026-13-01"}}, "asked.since"),
        ({"asked": {"since": "2026-11-02", "until": "2026-11-01"}}, "asked.until"),
        ({"asked": {"store": "s-1"}}, "asked.store"),
        ({"asked": {"by": ["day"]}}, "asked.by"),
        ({"asked": {"zone": "Moon/Dark"}}, "asked.zone"),
        ({"asked": {"colour": "red"}}, "asked.colour"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_can_t_be_asked_names_the_field(http: Http, change: dict[str, Any], field: str) -> None:
    """A report, format or member that is not known, or that the report does not take."""
    answer = await http.ask("POST", "/v1/exports", "finance", {**BODY, **change}, idempotency_key="k")

    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "bad_request", field)


async def test_who_may(http: Http) -> None:
    """Finance asks and gives up, auditors read, others are refused; an unknown export is not found."""
    export = (await asked(http))["id"]
    for who in ("auditor", "marketer", "store", "@ann", None):
        for method, path, key in [
            ("POST", "/v1/exports", {"idempotency_key": "x"}),
            ("DELETE", f"/v1/exports/{export}", {}),
        ]:
            refused = await http.ask(method, path, who, BODY if key else None, **key)
            assert refused.status_code == (401 if who is None else 403)
    for path in (
        "/v1/exports",
        f"/v1/exports/{export}",
        f"/v1/exports/{export}/file",
        f"/v1/exports/{export}/manifest",
    ):
        assert (await http.ask("GET", path, "marketer")).status_code == 403
        assert (await http.ask("GET", path, "auditor")).status_code in (200, 409)
    for method, path in [("GET", ""), ("GET", "/file"), ("GET", "/manifest"), ("DELETE", "")]:
        absent = await http.ask(method, f"/v1/exports/ex_0000000000000000{path}", "finance")
        assert (absent.status_code, absent.json()["code"]) == (404, "export_not_found")


async def test_exports_are_listed_and_given_up(http: Http, site: Exports) -> None:
    """Newest first, page by page; what is open is cancelled, the file of what is done is removed, twice is once."""
    ids = [(await asked(http, f"k{number}"))["id"] for number in range(3)]
    page = (await http.ask("GET", "/v1/exports", "auditor")).json()
    rest = (await http.ask("GET", f"/v1/exports?cursor={page['next']}", "auditor")).json()
    assert [each["id"] for each in (*page["items"], *rest["items"])] == ids[::-1]
    assert rest["next"] is None
    site.make(ids[0])

    for export, state in ((ids[0], "removed"), (ids[1], "cancelled"), (ids[1], "cancelled")):
        assert (await http.ask("DELETE", f"/v1/exports/{export}", "finance")).json()["state"] == state
    gone = await http.ask("GET", f"/v1/exports/{ids[0]}/file", "finance")
    assert (gone.status_code, gone.json()["code"]) == (409, "invalid_state")


async def test_a_file_that_is_elsewhere_is_no_lie(http: Http, site: Exports) -> None:
    """A gateway that looks in another folder says that it is not ready, not that there is none."""
    export = (await asked(http))["id"]
    site.make(export)
    (site.folder / export).rename(site.folder / "elsewhere")

    answer = await http.ask("GET", f"/v1/exports/{export}/file", "finance")

    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
