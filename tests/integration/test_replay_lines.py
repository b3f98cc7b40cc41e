"""How a replay asks when a gateway is not at its best: lost answers, "later", silence, books that lag or differ."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import pytest

from loadtest.client import Address, Tally
from loadtest.target import Target
from loadtest.trace.judged import Booked, BooksDiffer, NotJudged, judge
from loadtest.trace.lines import Answer, Away, Line

ASK = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
Says = Callable[[str], tuple[int, Any] | None]
"""What a server answers to a path: status and body; None breaks the connection off."""


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[Address]:
    """A server whose connections are served so, and are over when the block is."""
    serving: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.transport.abort()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(one(reader, writer)))

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[:2]
        for task in serving:
            task.cancel()
        await asyncio.wait(serving)


def server(says: Says) -> AbstractAsyncContextManager[Address]:
    """A server that answers as told."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while answer := says((await reader.readuntil(b"\r\n\r\n")).decode().split()[1]):
                body = json.dumps(answer[1])
                head = f"HTTP/1.1 {answer[0]} x\r\nRetry-After: 0\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write((head + body).encode())

    return listening(serve)


async def test_it_asks_again_until_there_is_an_answer() -> None:
    """A connection that breaks off, and "later": the same request goes again, and one answer is counted."""
    answers = [None, (503, {"code": "overloaded"}), (429, {}), (201, {"code": "c"})]
    tally = Tally()

    async with server(lambda path: answers.pop(0)) as address, Line(address, tally) as line:
        answer = await line.ask(ASK)

    assert (answer.status, answer.json(), answers) == (201, {"code": "c"}, [])
    assert (tally.statuses, len(tally.seconds)) == ({201: 1}, 1)


@pytest.mark.parametrize(
    ("says", "why"), [(lambda path: (503, {}), "it answers 503"), (lambda path: None, "no answer within 0.2 s")]
)
async def test_it_gives_up_on_a_gateway_that_is_away(says: Says, why: str) -> None:
    """Only "later", or no answer, for longer than it may be away."""
    async with server(says) as address, Line(address, Tally(), away_s_max=0.2) as line:
        with pytest.raises(Away, match=why):
            await line.ask(ASK)


async def test_silence_is_broken_off() -> None:
    """A gateway that takes a request and says nothing: the connection is given up after so long, and asked anew."""
    asked = 0
    # On a busy machine all the time that a gateway may be away can be gone before anything is asked for a second time.
    patience_s = iter((0.4, 4.0, 40.0))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()

    while asked <= 1:
        asked, away_s_max = 0, next(patience_s)
        async with (
            listening(serve) as address,
            Line(address, Tally(), answer_s_max=0.05, away_s_max=away_s_max) as line,
        ):
            with pytest.raises(Away, match="no answer"):
                await line.ask(ASK)


def books(*pages: Any) -> Says:
    """A gateway whose roll-forward is one of *pages* after the other, and whose verdict holds."""
    left = list(pages)

    def says(path: str) -> tuple[int, Any]:
        if path.startswith("/v1/reports/verdict"):
            return 200, {"holds": True, "asked": path}
        page = left.pop(0) if len(left) > 1 else left[0]
        return page if isinstance(page, tuple) else (200, page)

    return says


def page(next_: str | None = None, **claimed: int) -> dict[str, Any]:
    """A page of the roll-forward: campaigns, and what was claimed of each."""
    rows = [{"campaign": name, "claimed": count, "redeemed": 0} for name, count in claimed.items()]
    return {"rows": rows, "next": next_}


async def judged(says: Says, told: dict[str, int], books_wait_s: float) -> tuple[Any, list[int]]:
    """What becomes of it, and how many campaigns the books were seen to have."""
    target, seen = Target("", "", "", "key", {}), list[int]()
    wanted = {name: Booked(count, 0) for name, count in told.items()}
    async with server(says) as address:
        return await judge(target, address, wanted, books_wait_s, seen.append), seen


async def test_the_books_are_awaited_over_all_pages() -> None:
    """A campaign that is not there yet and one that is behind are waited for; other people's are left alone."""
    says = books(page("p2", a=1), page(theirs=9), page("p2", a=2, b=1), page(theirs=9))

    verdict, seen = await judged(says, {"a": 2, "b": 1}, 30)

    assert (verdict["holds"], verdict["asked"], seen) == (True, "/v1/reports/verdict", [0, 2])
    verdict, _ = await judged(books(page(a=2)), {"a": 2}, 0)
    assert verdict["asked"] == "/v1/reports/verdict?campaign=a"


async def test_books_that_stay_behind_or_have_more_are_told() -> None:
    """Less than was told may be a drain that is behind: no verdict; more is a fault, and waits for nothing."""
    with pytest.raises(NotJudged, match=r"lack claims of 1 campaigns: b has 0 claimed and 0 redeemed of 1 claimed"):
        await judged(books(page(a=2)), {"a": 2, "b": 1}, 0)
    with pytest.raises(BooksDiffer, match=r"a: told 2 claimed and 0 redeemed, but the books have 3 claimed"):
        await judged(books(page(a=3)), {"a": 2, "b": 1}, 30)
    with pytest.raises(NotJudged, match=r"roll-forward\?by=campaign.*: 403 "):
        await judged(books((403, {"code": "forbidden"})), {"a": 2}, 30)


def test_an_answer_that_is_no_json_is_an_empty_one() -> None:
    """A proxy's page has no code; whoever asks for one gets the status instead."""
    assert Answer(502, b"<html>").json() == {}
