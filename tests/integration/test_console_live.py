"""Live over HTTP: what the page says without JavaScript, and the stream: its beat, its bounds, and its end."""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from gateway.console.live import pages, reading
from gateway.console.live.live import OF_ONE_MAX, Watcher
from gateway.console.live.reading import Reading, SaleReading
from gateway.console.sessions import COOKIE
from gateway.lane import Lane
from tests.conftest import ON_VALKEY, Eventually
from tests.http import Worker
from tests.integration.consoling import Browser, add_user, signed_in

pytestmark = ON_VALKEY

STREAM = "/console/live-stream"


@pytest_asyncio.fixture
async def site(
    redis_url: str, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Worker]:
    """A worker on a socket, whose servers may take their time: a stream over it comes piece by piece."""
    monkeypatch.setattr(reading, "LOOK_S_MAX", 60.0)
    async with Worker(redis_url, postgres_url, tmp_path, http=Lane) as worker:
        await add_user(worker, "olga", "operator")
        yield worker


def streamed(browser: Browser, path: str = STREAM, **headers: str) -> Any:
    """The stream, as an EventSource asks for it."""
    asked = {"accept": "text/event-stream", "cookie": f"{COOKIE}={browser.cookie}", **headers}
    browser.worker.http.cookies.clear()
    return browser.worker.http.stream("GET", path, headers=asked, timeout=30)


async def events(answer: Any) -> AsyncIterator[dict[str, str]]:
    """Each event by its fields; a beat, which says that there was nothing for a while, is none."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if not line:
            if fields:
                yield fields
            fields = {}
        elif name:
            fields[name] = value


async def test_the_page_says_the_figures_without_javascript(site: Worker) -> None:
    """Stock, claimed and outcomes stand in the page; one sale has a page of its own, one that is over says so."""
    await site.publish("flash", stock=10)
    browser = await signed_in(site, "olga")
    for holder in ("a", "b", "c"):
        assert (await site.claim(holder)).status_code == 201

    page = (await browser.get("/console/live")).text
    one = await browser.get("/console/live/flash")

    assert re.search(r'data-figure="stock".*?<span data-value>7</span>', page)
    assert '<a class="wrap" data-is="name" href="/console/live/flash">Flash</a>' in page
    assert re.search(r'data-outcome="claimed".*?data-is="total">3<', page)
    assert re.search(r'data-figure="claimed" data-of-sale.*?<span data-value>3</span>', one.text)
    await site.state("ended")
    site.services.live.past.clear()
    assert "This sale is not open at this moment." in (await browser.get("/console/live/flash")).text
    assert (await browser.get("/console/live/nope")).status_code == 404
    assert (await browser.get("/console/live/NO%20id")).status_code == 404


async def test_outcomes_are_told_in_words(site: Worker) -> None:
    """
    Before the first claim the page says that there was none. Then each outcome has its words, in one's language; and a
    sale that is sold out looks as on the campaign's own page.
    """
    await site.publish("flash", stock=1)
    browser = await signed_in(site, "olga")
    before = (await browser.get("/console/live")).text
    assert re.search(r"data-no-claims><p><strong>No claim was answered yet\.<", before)
    for holder, key in (("a", "1"), ("a", "2"), ("b", "3")):
        await site.claim(holder, key)
    site.services.live.past.clear()

    english, chinese = ("Claimed", "Had as many as one person may"), ("已领取", "已达每人上限")
    for language, words in (("en-GB", english), ("zh-CN", chinese)):
        page = (await browser.get("/console/live", accept_language=language)).text
        told = re.findall(r'<tr data-outcome="(\w+)"><th scope="row">([^<]+)<', page)
        assert set(zip(("claimed", "limit_reached"), words, strict=True)) <= set(told)
        assert "data-no-claims hidden" in page
        assert [words for code, words in told if code == words] == []
    one = (await browser.get("/console/live/flash")).text
    assert '<span class="badge bad" data-state>Sold out<' in one


async def test_a_stream_tells_and_goes_on_where_it_was(site: Worker) -> None:
    """Frames come by themselves, with rates from the second on; who comes back gets what he missed and no more."""
    await site.publish("flash", stock=10)
    browser = await signed_in(site, "olga")
    site.services.live.pause_s = 0.05

    async with streamed(browser) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        came = events(answer)
        assert (await anext(came))["retry"] == "1000"
        await site.claim("a")
        while msgspec.json.decode((frame := await anext(came))["data"])["sales"][0]["claimed"] < 1:
            continue
    first = int(frame["id"])
    async with streamed(browser, **{"last-event-id": str(first)}) as answer:
        came = events(answer)
        await anext(came)
        again = await anext(came)

    assert int(again["id"]) > first
    if again["event"] == "past":
        assert all(each["at_ms"] > first for each in msgspec.json.decode(again["data"]))


async def test_who_reads_nothing_keeps_no_place(site: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser that takes nothing of a stream is let go of in the end; meanwhile others get every frame in time."""
    monkeypatch.setattr(pages, "STREAM_S_MAX", 1.0)
    monkeypatch.setattr(pages, "LATE_S_MAX", 0.5)
    browser = await signed_in(site, "olga")
    live, seen = site.services.live, await site.services.live.look()
    long = SaleReading("long", "x" * 1_000_000, "active", 1000, 90, 10, True, 0, 0.0)

    async def look() -> Reading:
        return seen._replace(at_ms=round(time.time() * 1000), sales=[long])

    came, join = asyncio.Event(), live.join

    def joined(name: str) -> Watcher:
        if name == "olga":
            came.set()
        return join(name)

    monkeypatch.setattr(live, "join", joined)
    live.look, live.pause_s = look, 0.01
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", site.port))
    head = f"GET {STREAM} HTTP/1.1\r\nhost: a\r\naccept: text/event-stream\r\ncookie: {COOKIE}={browser.cookie}\r\n\r\n"
    deaf.sendall(head.encode())
    watcher = live.join("another")
    while not came.is_set():
        assert await watcher.next(30)
    while any(each.name == "olga" for each in live.watchers):
        assert await watcher.next(30)
    live.leave(watcher)
    deaf.close()


async def test_what_no_sale_is_called_is_in_no_frame(site: Worker) -> None:
    """Whatever stands in the address of a stream, or in what it says it had last, is text to compare and no more."""
    await site.publish("flash", stock=10)
    browser = await signed_in(site, "olga")
    for odd in ("%22%3E%3Cscript%3E", "flash%00", "flash%0d%0aevent:%20over", "x" * 5000):
        async with streamed(browser, f"{STREAM}?campaign={odd}", **{"last-event-id": "9" * 40}) as answer:
            assert answer.status_code == 200
            came = events(answer)
            assert (await anext(came))["retry"] == "1000"
            assert (await anext(came))["event"] in ("past", "frame")


async def test_a_stream_ends_with_the_session(
    site: Worker, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    """Another stamp, or role, ends it and says so; after its time it ends anyway; not signed in one gets none."""
    monkeypatch.setattr(pages, "CHECK_S", 0.05)
    browser = await signed_in(site, "olga")
    async with site.services.pool.connection() as connection:
        stamp = await (await connection.execute("SELECT stamp FROM users WHERE name = 'olga'")).fetchone()
        async with streamed(browser) as answer:
            came = events(answer)
            await anext(came)
            await connection.execute("UPDATE users SET stamp = 'another' WHERE name = 'olga'")
            told = [each async for each in came]
        await connection.execute("UPDATE users SET stamp = %(stamp)s WHERE name = 'olga'", stamp)
        async with streamed(browser) as answer:
            came = events(answer)
            await anext(came)
            await connection.execute("UPDATE users SET roles = '{store}' WHERE name = 'olga'")
            told_too = [each async for each in came]
        await connection.execute("UPDATE users SET roles = '{operator}', stamp = 'another' WHERE name = 'olga'")
    assert told[-1] == told_too[-1] == {"event": "over", "data": "signed-out"}
    assert (await browser.get(STREAM, accept="text/event-stream")).status_code == 303

    monkeypatch.setattr(pages, "STREAM_S_MAX", 0.1)
    monkeypatch.setattr(pages, "LATE_S_MAX", 60.0)  # a stream that is cut by a machine that stands still has no end
    browser = await signed_in(site, "olga")
    async with streamed(browser) as answer:
        told = [each async for each in events(answer)]
    assert all(each.get("event") != "over" for each in told)
    await eventually(lambda: not site.services.live.watchers)  # its end is sent before it lets go


async def test_streams_are_bounded_and_keep_no_worker_from_stopping(
    redis_url: str, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    One more than a person may have is asked to come later; a worker that stops does not wait for who looks: not for the
    hour that a stream may last here, nor for the hour that stopping may take. Where the machine stood still, another.
    """
    monkeypatch.setattr(pages, "STREAM_S_MAX", 3600.0)
    took_s = list[float]()
    while len(took_s) < 3 and (not took_s or took_s[-1] >= 3):
        folder = tmp_path / str(len(took_s))
        async with Worker(redis_url, postgres_url, folder, http=Lane, stop_s_max=3600) as site:
            if not took_s:
                await add_user(site, "olga", "operator")
            took_s.append(await stopped_while_looked_at(site))
    assert took_s[-1] < 3, took_s


async def stopped_while_looked_at(site: Worker) -> float:
    """The seconds that stopping takes, while as many look as may."""
    browser = await signed_in(site, "olga")
    opened = [streamed(browser) for _ in range(OF_ONE_MAX)]
    for each in opened:
        assert (await each.__aenter__()).status_code == 200
    async with streamed(browser) as answer:
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1

    started = perf_counter()
    site.server.stop()
    await asyncio.wait_for(asyncio.shield(site.serving), 60)
    took_s = perf_counter() - started
    for each in opened:
        await each.__aexit__(None, None, None)

    assert not site.services.live.watchers
    return took_s
