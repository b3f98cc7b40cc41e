"""The till's routes without a browser: headers, cookies, and forms that no page of ours would send."""

import re
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from gateway.till.pages import ASSETS, HEADERS
from gateway.till.sessions import COOKIE
from tests.conftest import redis_binaries
from tests.http import Worker

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
"""What the scripts do on Redis 7 is tests/scripts' to prove; here it is HTTP and what follows."""

FORM = "application/x-www-form-urlencoded"


class Browser:
    """A client that keeps its cookie, and sends forms with the secret of the page it saw last."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.cookie = self.form = ""

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        """Open a page."""
        return self._keep(await self._worker.http.get(path, headers={**headers, "cookie": f"{COOKIE}={self.cookie}"}))

    async def post(self, path: str, fields: dict[str, Any], **headers: str) -> httpx2.Response:
        """Send a form."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"content-type": FORM, "cookie": f"{COOKIE}={self.cookie}", **names}
        body = urlencode({"form": self.form, **fields}, doseq=True)
        return self._keep(await self._worker.http.post(path, content=body, headers=sent))

    def _keep(self, answer: httpx2.Response) -> httpx2.Response:
        set_cookie = answer.headers.get("set-cookie", "")
        if set_cookie:
            self.cookie = set_cookie.partition("=")[2].partition(";")[0].strip('"')
        found = re.search(r'name="form" value="([^"]+)"', answer.text)
        self.form = found[1] if found else self.form
        return answer


@pytest.fixture
async def browser(worker: Worker) -> Browser:
    """A browser on the page to sign in."""
    browser = Browser(worker)
    await browser.get("/till/sign-in")
    return browser


async def sign_in(browser: Browser, worker: Worker, **headers: str) -> httpx2.Response:
    """Sign in as a store."""
    key = (await worker.key("store"))["Authorization"].removeprefix("Bearer ")
    return await browser.post("/till/sign-in", {"key": key, "currency": "CNY"}, **headers)


async def test_every_page_has_its_headers(browser: Browser, worker: Worker) -> None:
    """No inline script, no frame, no cache: on pages, refusals and what is not found."""
    out = await browser.get("/till/sign-in")
    refused = await browser.post("/till/sign-out", {"form": "x"})
    await sign_in(browser, worker)
    pages = [out, refused, await browser.get("/till"), await browser.get("/till/redemptions")]

    for each in pages:
        assert {name: each.headers.get(name) for name in HEADERS} == HEADERS
    assert "unsafe" not in HEADERS["content-security-policy"]
    assert [each.status_code for each in pages] == [200, 403, 200, 200]
    assert not any(re.search(r"<script(?! src)|<style| style=| on\w+=", each.text) for each in pages)


@pytest.mark.parametrize(("proto", "secure"), [("https", True), ("http", False), ("", False)])
async def test_the_cookie_is_for_the_till_alone(browser: Browser, worker: Worker, proto: str, secure: bool) -> None:
    """HttpOnly, SameSite=Strict, under /till, without a date; Secure where the proxy says the browser came by HTTPS."""
    answer = await sign_in(browser, worker, **({"x_forwarded_proto": proto} if proto else {}))
    attributes = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}

    assert (answer.status_code, answer.headers["location"]) == (303, "/till")
    assert {"httponly", "samesite=strict", "path=/till"} <= attributes
    assert ("secure" in attributes) is secure
    assert not any(each.startswith(("expires", "max-age", "domain")) for each in attributes)


async def test_signing_in_begins_a_new_session(browser: Browser, worker: Worker) -> None:
    """Neither the cookie nor the form of before the sign-in is good after it."""
    before_cookie, before_form = browser.cookie, browser.form
    await sign_in(browser, worker)
    await browser.get("/till")

    assert browser.cookie != before_cookie
    assert browser.form != before_form
    browser.form = before_form
    assert (await browser.post("/till", {"step": "lines"})).status_code == 403


@pytest.mark.parametrize(
    "path", ["/till", "/till/redemptions", "/till/redemptions/x", "/till/sign-in", "/till/sign-out"]
)
@pytest.mark.parametrize("form", [None, "", "forged", "é"])
async def test_every_form_needs_the_session_s_secret(
    browser: Browser, worker: Worker, path: str, form: str | None
) -> None:
    """Missing, empty, forged or not even ASCII: 403 on every route that takes a form."""
    if path != "/till/sign-in":
        await sign_in(browser, worker)
        await browser.get("/till")
    browser.form = ""

    answer = await browser.post(path, {} if form is None else {"form": form})

    assert answer.status_code == 403
    assert "nothing was done" in answer.text


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_form_from_another_page_is_refused(browser: Browser, worker: Worker, site: str) -> None:
    """Where the browser says that a form came from elsewhere, even the right secret does not help."""
    await sign_in(browser, worker)
    await browser.get("/till")

    assert (await browser.post("/till", {"step": "lines"}, sec_fetch_site=site)).status_code == 403
    assert (await browser.post("/till", {"step": "lines"}, sec_fetch_site="same-origin")).status_code == 200


@pytest.mark.parametrize("path", ["/till", "/till/redemptions", "/till/redemptions/abc"])
async def test_nothing_is_shown_without_a_session(browser: Browser, path: str) -> None:
    """Every page leads to the sign-in, and so does a form, which says that nothing was done."""
    read, sent = await browser.get(path), await browser.post(path, {})

    assert (read.status_code, read.headers["location"]) == (303, "/till/sign-in")
    assert (sent.status_code, sent.headers["location"]) == (303, "/till/sign-in?again")


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"{}", "application/json", 415),
        (b"form=%ff", FORM, 400),
        (b"&".join(b"a=1" for _ in range(400)), FORM, 400),
        (b"code=" + b"x" * 70_000, FORM, 413),
        (b"sku=a&sku=b&quantity=1", FORM, 403),
    ],
)
async def test_what_is_no_form_of_ours_is_refused(
    browser: Browser, worker: Worker, body: bytes, media_type: str, status: int
) -> None:
    """Another media type, no UTF-8, too many fields, too large: a page in words, never a failure."""
    await sign_in(browser, worker)
    headers = {"content-type": media_type, "cookie": f"{COOKIE}={browser.cookie}"}

    answer = await worker.http.post("/till", content=body, headers=headers)

    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert 'role="alert"' in answer.text


@pytest.mark.parametrize(
    "fields",
    [
        {"sku": ["a", "b"], "category": "", "quantity": "1", "price": "1"},
        {name: ["1"] * 51 for name in ("sku", "category", "quantity", "price")},
    ],
)
async def test_lines_that_are_not_whole_are_refused(browser: Browser, worker: Worker, fields: dict[str, Any]) -> None:
    """Columns of different lengths, or more rows than a form has, are not guessed at."""
    await sign_in(browser, worker)
    await browser.get("/till")

    answer = await browser.post("/till", {"step": "quote", "code": "x", "order_id": "y", **fields})

    assert answer.status_code == 400
    assert "The form could not be read." in answer.text


async def test_assets_are_kept_by_their_content(worker: Worker) -> None:
    """Each file has its type, may be kept for good, and its address on a page names its content; no other is there."""
    page = (await worker.http.get("/till/sign-in")).text
    for name, asset in ASSETS.files.items():
        answer = await worker.http.get(f"/till/assets/{name}")

        assert answer.content == asset.data
        assert answer.headers["content-encoding"] == "gzip"
        plain = await worker.http.get(f"/till/assets/{name}", headers={"accept-encoding": "identity"})
        assert (plain.content, plain.headers.get("content-encoding")) == (asset.data, None)
        assert plain.headers["vary"] == "accept-encoding"
        assert answer.headers["content-type"] == asset.media_type
        assert "immutable" in answer.headers["cache-control"]
        assert f"/till/assets/{name}?v={asset.digest}" in page
    for name in ("base.html", "..%2fpages.py", "till.css.map"):
        assert (await worker.http.get(f"/till/assets/{name}")).status_code == 404


@pytest.mark.parametrize("quoted", ["\u00b2", "9" * 5000, "-1", "1e3", "\u0661"])
async def test_what_was_quoted_is_a_number_or_nothing(browser: Browser, worker: Worker, quoted: str) -> None:
    """Neither the form nor the receipt's address fails on what no quote of ours says, nor after it has redeemed."""
    await worker.publish()
    code = (await worker.claim("ann")).json()["code"]
    await sign_in(browser, worker)
    await browser.get("/till")
    fields = {"code": code, "order_id": "17", "total": "50.00", "idempotency_key": "till-0123456789abcdef"}

    done = await browser.post("/till/redemptions", {**fields, "quoted": quoted})

    assert (done.status_code, "quoted" in done.headers["location"]) == (303, False)
    seen = await browser.get(f"{done.headers['location']}?{urlencode({'quoted': quoted})}")
    assert (seen.status_code, "the quote said" in seen.text) == (200, False)
    assert "the quote said" in (await browser.get(f"{done.headers['location']}?quoted=100")).text
