"""Absent, foreign, used and malformed codes are one to a stranger: the same words after the same work."""

import random
import re
from collections.abc import AsyncIterator
from contextvars import ContextVar
from pathlib import Path
from secrets import token_hex
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import psycopg
import pytest
from redis.asyncio.connection import AbstractConnection

from gateway.codes import CodeMaker, parse_code
from gateway.redeeming.calls import Calls
from tests.integration.drained import Drained
from tests.integration.guesses import Guesses, open_guesses

ROUNDS = 120
MANY = 100_000


@pytest.fixture
async def guesses(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Guesses]:
    """A worker whose limits are out of the way."""
    high = dict.fromkeys(
        [f"code_failures_{name}" for name in ("holder_max", "address_max", "key_address_max", "key_max", "alarm")], MANY
    )
    async with open_guesses(redis_url, postgres_url, tmp_path, **high) as guesses:
        await guesses.worker.publish()
        yield guesses


@pytest.fixture
def kinds(drained: Drained) -> dict[str, str]:
    """A code of each kind, as eve sees them."""
    (foreign,), (used,) = drained.add("ann"), drained.add("ann", state="redeemed")
    mistyped = foreign[:-1] + ("0" if foreign[-1] != "0" else "1")
    return {
        "absent": CodeMaker(1, 0).take(1)[0],
        "absent, of no campaign": CodeMaker(77, 3).take(1)[0],
        "foreign": foreign,
        "used": used,
        "mistyped": mistyped,
        "malformed": "x" * 300,
    }


_trips: ContextVar[list[tuple[str, ...]] | None] = ContextVar("trips", default=None)
_MAKING_A_CONNECTION = frozenset({"HELLO", "AUTH", "SELECT", "CLIENT", "INFO"})
"""What a new connection begins with: one is made where another task has those there are."""


@pytest.fixture
def witnessed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Note each command to Redis and each statement to PostgreSQL that a request makes, also in tasks of its own."""
    send, execute = AbstractConnection.send_command, psycopg.AsyncCursor.execute

    async def noting_send(self: AbstractConnection, *args: Any, **options: Any) -> None:
        trips = _trips.get()
        if trips is not None and args[0] not in _MAKING_A_CONNECTION:
            trips.append(("redis", *map(str, args[:3])))
        await send(self, *args, **options)

    async def noting_execute(self: Any, query: Any, *args: Any, **options: Any) -> Any:
        trips = _trips.get()
        if trips is not None:
            trips.append(("postgres", str(query)))
        return await execute(self, query, *args, **options)

    monkeypatch.setattr(AbstractConnection, "send_command", noting_send)
    monkeypatch.setattr(psycopg.AsyncCursor, "execute", noting_execute)


async def test_every_kind_gets_the_same_bytes(guesses: Guesses, kinds: dict[str, str]) -> None:
    """Status, headers and body are equal but for the request id and the time."""
    key = await guesses.key()
    for who, asked in (("eve", kinds), (key, {kind: kinds[kind] for kind in ("absent", "mistyped", "malformed")})):
        told = set()
        for code in asked.values():
            answer = await guesses.ask(who, code)
            body = re.sub(rb'"request_id":"[^"]{16}"|"server_time":"[^"]{24}"', b"", answer.content)
            headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
            told.add((answer.status_code, body, str(headers)))

        assert len(told) == 1
        assert next(iter(told))[0] == 404
    assert (await guesses.ask("ann", kinds["foreign"])).status_code == 200
    assert (await guesses.ask("ann", kinds["used"])).json()["state"] == "redeemed"


async def test_no_kind_takes_longer_than_another(guesses: Guesses, kinds: dict[str, str]) -> None:
    """
    Asked in turns, in another order each time, and each is compared with the others of its turn: a machine that has
    half of its speed for a while has it for a whole turn, and changes no share.
    """
    shares: dict[str, list[float]] = {kind: [] for kind in kinds}
    for turn in range(ROUNDS):
        taken: dict[str, float] = {}
        for kind, code in random.Random(turn).sample(sorted(kinds.items()), len(kinds)):
            started = perf_counter()
            answer = await guesses.ask("eve", code)
            taken[kind] = perf_counter() - started
            assert answer.status_code == 404
        for kind, seconds in taken.items():
            shares[kind].append(seconds / median(taken.values()))
    usual = {kind: median(each) for kind, each in shares.items()}

    assert max(usual.values()) < 1.4 * min(usual.values()), usual


class Quoted(NamedTuple):
    """Codes as they are to eve, who asks what they would take off an order; *free* is one that anybody may use."""

    kinds: dict[str, str]
    free: str


def an_order() -> dict[str, Any]:
    """An order that every coupon applies to."""
    lines = [{"sku": "tea", "quantity": 1, "unit_price_minor": 5000}]
    return {"id": token_hex(6), "currency": "CNY", "lines": lines}


async def quoted(guesses: Guesses) -> Quoted:
    """Claimed coupons, one of them redeemed, and one that may be passed on."""
    worker = guesses.worker
    await worker.publish("gift", transferable=True)
    foreign, used = [(await worker.claim(who)).json()["code"] for who in ("ann", "bob")]
    free, spent = [(await worker.claim(who, campaign="gift")).json()["code"] for who in ("ann", "bob")]
    for code in (used, spent):
        order = {"order": an_order(), "code": code}
        sent = {**await worker.key("store"), "Idempotency-Key": code}
        assert (await worker.http.post("/v1/redemptions", json=order, headers=sent)).status_code == 201
    parsed = parse_code(foreign)
    assert parsed is not None
    kinds = {
        "absent": CodeMaker(parsed.campaign_number, 0).take(1)[0],
        "absent, of no shard": CodeMaker(parsed.campaign_number, 9).take(1)[0],
        "absent, of no campaign": CodeMaker(77, 3).take(1)[0],
        "absent, a word": "SUMMER24",
        "foreign": foreign,
        "used": used,
        "used, may be passed on": spent,
        "mistyped": foreign[:-1] + ("0" if foreign[-1] != "0" else "1"),
        "malformed": "!" * 40,
    }
    return Quoted(kinds, free)


@pytest.fixture
def inspected(monkeypatch: pytest.MonkeyPatch, witnessed: None) -> None:
    """Note the looks at coupons too, which travel together with other requests'."""
    inspect = Calls.inspect

    async def noting(self: Calls, *args: Any) -> Any:
        trips = _trips.get()
        if trips is not None:
            trips.append(("redis", "inspect"))
        return await inspect(self, *args)

    monkeypatch.setattr(Calls, "inspect", noting)


async def quote(guesses: Guesses, code: str) -> tuple[int, list[str]]:
    """What eve is told of a code, and what it took, sorted: PostgreSQL may be asked before Redis or after it."""
    trips: list[tuple[str, ...]] = []
    token = _trips.set(trips)
    sent = guesses.worker.token("eve")
    answer = await guesses.worker.http.post("/v1/quotes", json={"code": code, "order": an_order()}, headers=sent)
    _trips.reset(token)
    return answer.status_code, sorted("postgres" if trip[0] == "postgres" else " ".join(trip[:3]) for trip in trips)


@pytest.mark.usefixtures("inspected")
async def test_a_quote_takes_the_same_for_every_kind(guesses: Guesses) -> None:
    """One question to PostgreSQL, one look at Redis, the counts: also where a worker knows the campaign by heart."""
    codes = await quoted(guesses)
    for code in codes.kinds.values():  # connections, scripts, and what the worker remembers from now on
        await quote(guesses, code)

    told = {kind: await quote(guesses, code) for kind, code in codes.kinds.items()}

    assert all(each == told["absent"] for each in told.values()), told
    status, trips = told["absent"]
    assert (status, trips.count("postgres"), trips.count("redis inspect")) == (404, 1, 1)
    assert len(trips) == 5
    assert (await quote(guesses, codes.free))[0] == 200


@pytest.mark.usefixtures("inspected")
async def test_beyond_the_limit_a_right_guess_takes_what_a_wrong_one_takes(
    redis_url: str, postgres_url: str, tmp_path: Path
) -> None:
    """A coupon that anybody may use is 429 to who guessed too much, after as much work as for one that is not there."""
    async with open_guesses(redis_url, postgres_url, tmp_path) as guesses:
        await guesses.worker.publish()
        codes = await quoted(guesses)
        assert (await quote(guesses, codes.free))[0] == 200
        assert [(await quote(guesses, codes.kinds["absent"]))[0] for _ in range(4)] == [404, 404, 404, 429]
        await quote(guesses, codes.free)

        right, wrong = await quote(guesses, codes.free), await quote(guesses, codes.kinds["absent"])

    assert right == wrong
    assert right[0] == 429


@pytest.mark.usefixtures("inspected")
@pytest.mark.parametrize("path", ["", "/qr"])
async def test_every_kind_makes_the_same_round_trips(guesses: Guesses, kinds: dict[str, str], path: str) -> None:
    """As many statements and the same commands; a malformed code is no short cut, nor one the books have not got."""
    claimed = (await guesses.worker.claim("bob")).json()["code"]
    await guesses.worker.publish("gift", transferable=True)
    passed_on = (await guesses.worker.claim("bob", campaign="gift")).json()["code"]
    asked = {**kinds, "foreign, not drained": claimed, "foreign, may be passed on": passed_on}
    for who, commands in (("eve", 4), (await guesses.key(), 6)):  # a key's limits are looked at before
        for code in asked.values():  # connections, scripts and campaigns that are not there yet
            await guesses.ask(who, code + path)
        await guesses.ask(who, asked["absent"] + path)  # whoever was right is let through for a moment
        made = {}
        for kind, code in asked.items():
            if who != "eve" and kind.startswith(("foreign", "used")):
                continue  # a store is told these
            trips: list[tuple[str, ...]] = []
            token = _trips.set(trips)
            assert (await guesses.ask(who, code + path)).status_code == 404, kind
            _trips.reset(token)
            made[kind] = sorted("postgres" if trip[0] == "postgres" else " ".join(trip) for trip in trips)
            assert "FROM coupons" in next(trip[1] for trip in trips if trip[0] == "postgres")

        assert all(trips == made["absent"] for trips in made.values()), made
        assert (made["absent"].count("postgres"), made["absent"].count("redis inspect")) == (2, 1)
        assert len(made["absent"]) - 2 == commands
    counted = guesses.worker.counted("fairclaim_code_failures_total")
    assert (await guesses.ask("bob", claimed + path)).status_code == 200
    assert (await guesses.ask(await guesses.key(), claimed + path)).status_code == 200
    assert guesses.worker.counted("fairclaim_code_failures_total") == counted
