"""Who guesses codes is slowed down, and nobody is locked out by another's guesses."""

import asyncio
from base64 import b32encode
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from secrets import token_bytes
from zlib import crc32

import pytest

from gateway.api.examples import ORDER
from gateway.keys import key_id
from tests.conftest import Eventually, redis_binaries
from tests.integration.drained import Drained
from tests.integration.guesses import ELSEWHERE, HOME, Guesses, open_guesses

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
"""What the scripts do on Redis 7 is tests/scripts' to prove; here it is HTTP and what follows."""


@pytest.fixture
async def guesses(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Guesses]:
    """A worker with low limits: 3 a holder, 5 an address, 4 a key at an address, 9 a key."""
    async with open_guesses(redis_url, postgres_url, tmp_path) as guesses:
        yield guesses


async def test_a_holder_beyond_his_limit_is_told_to_wait(guesses: Guesses) -> None:
    """The fourth failure is 429 with Retry-After within the window, from whatever address; the body says no more."""
    assert await guesses.told("eve", times=3) == [404, 404, 404]
    refused = await guesses.ask("eve", address=ELSEWHERE)

    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["retryable"]
    assert await guesses.told("bob", address=ELSEWHERE) == [404]


async def test_a_holder_s_own_coupon_works_beyond_every_limit(guesses: Guesses, drained: Drained) -> None:
    """His own failures and his neighbours' turn failures into 429, and never a success."""
    (code,) = drained.add("ann")
    await guesses.told("ann", times=4)
    for neighbour in ("bob", "cy", "di"):
        await guesses.told(neighbour, times=3)

    assert await guesses.told("ann") == [429]
    assert await guesses.told("ann", code) == [200]


async def test_failures_of_an_address_are_limited_together(guesses: Guesses) -> None:
    """Holders by the dozen at one address have its five failures; another address has its own."""
    crowd = [status for n in range(8) for status in await guesses.told(f"eve-{n}")]

    assert crowd == [404] * 5 + [429] * 3
    assert await guesses.told("eve-9", address=ELSEWHERE) == [404]
    assert guesses.worker.counted("fairclaim_code_failures_total") == {
        **dict.fromkeys(("key", "holder_limited", "key_limited", "key_refused"), 0),
        "holder": 6,
        "address_limited": 3,
    }


async def test_one_holder_does_not_use_up_his_neighbours_failures(guesses: Guesses) -> None:
    """Whoever is beyond his own limit counts no more against the address."""
    await guesses.told("eve", times=20)

    assert await guesses.told("bob", times=2) == [404, 404]
    assert await guesses.told("bob") == [429]


async def test_a_key_beyond_its_limit_is_refused_before_the_look_up(guesses: Guesses, drained: Drained) -> None:
    """Right guesses too: 429 does not tell them from wrong ones. The key elsewhere and other keys here go on."""
    (code,) = drained.add("ann")
    thief, shop = await guesses.key(), await guesses.key()
    assert await guesses.told(thief, times=4) == [404] * 4
    refused = await guesses.ask(thief, code)

    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert await guesses.told(thief, code, ELSEWHERE) == [200]
    assert await guesses.told(shop, code) == [200]
    assert await guesses.told("ann", code) == [200]
    assert guesses.worker.counted("fairclaim_code_failures_total")["key_refused"] == 1


async def test_a_key_has_a_limit_over_all_addresses(guesses: Guesses, drained: Drained) -> None:
    """Nine failures anywhere: then it is refused at an address it never failed at; other keys are not."""
    (code,) = drained.add("ann")
    thief, shop = await guesses.key(), await guesses.key()
    await guesses.told(thief, address=HOME, times=20)  # four of them count
    assert await guesses.told(thief, code, ELSEWHERE) == [200]
    await guesses.told(thief, address=ELSEWHERE, times=4)
    await guesses.told(thief, address="198.51.100.5", times=1)

    assert await guesses.told(thief, code, "198.51.100.6") == [429]
    assert await guesses.told(shop, code, "198.51.100.6") == [200]


async def test_a_burst_gets_no_more_answers_than_the_limit(guesses: Guesses) -> None:
    """Fifty failures sent at once, none waiting for another: exactly as many 404 as one after the other would get."""
    thief = await guesses.key()
    for who, limit in (("eve", 3), (thief, 4)):
        answers = await asyncio.gather(*(guesses.ask(who) for _ in range(50)))

        assert Counter(answer.status_code for answer in answers) == {404: limit, 429: 50 - limit}


async def test_other_workers_know_at_once_or_soon(
    guesses: Guesses, redis_url: str, postgres_url: str, tmp_path: Path, eventually: Eventually, drained: Drained
) -> None:
    """Failures count through all workers; one that let the key through a moment ago learns it within a moment."""
    (code,) = drained.add("ann")
    thief = await guesses.key()
    async with open_guesses(redis_url, postgres_url, tmp_path / "other") as others:
        assert await others.told(thief, code) == [200]
        await guesses.told(thief, times=4)

        async def refused() -> bool:
            return await others.told(thief, code) == [429]

        await eventually(refused)
        await guesses.told("eve", times=3)
        assert await others.told("eve") == [429]


def forged(key: str) -> str:
    """A key of another secret under the victim's id, its checksum right."""
    body = f"fck_{key_id(key)}_{b32encode(token_bytes(32)).decode().rstrip('=').lower()}"
    return body + f"{crc32(body.encode()) & 0xFFFFFF:06x}"


async def test_no_victim_is_locked_out(guesses: Guesses, drained: Drained) -> None:
    """
    An attacker at the victims' address fails with a victim's code, a shop's key id, and codes by the hundred.

    The holder still has her coupon there and the shop still reads it; only her own mistyping waits, and only there.
    """
    (code,) = drained.add("ann")
    shop = await guesses.key()
    for attacker in ("eve", "mallory", "oscar"):
        assert set(await guesses.told(attacker, code, times=10)) <= {404, 429}
        assert 404 not in await guesses.told(attacker, code, times=10)
    assert set(await guesses.told(forged(shop), code, times=50)) == {401}

    assert await guesses.told("ann", code) == [200]
    assert await guesses.told(shop, code) == [200]
    assert await guesses.told(shop) == [404]
    assert await guesses.told("ann") == [429]
    assert await guesses.told("ann", address=ELSEWHERE) == [404]


async def test_a_stranger_can_not_spend_another_address(guesses: Guesses) -> None:
    """What a stranger writes into X-Forwarded-For before our proxy adds his address counts for nobody."""
    for n in range(8):
        headers = {**guesses.worker.token(f"eve-{n}"), "X-Forwarded-For": f"{ELSEWHERE}, {HOME}"}
        await guesses.worker.http.get("/v1/coupons/nonsense", headers=headers)

    assert await guesses.told("bob") == [429]
    assert await guesses.told("bob", address=ELSEWHERE) == [404]


async def test_nothing_is_counted_by_code(guesses: Guesses, drained: Drained) -> None:
    """However many strangers fail at one code from however many places, no key in Redis is about it."""
    (code,) = drained.add("ann")
    for n in range(12):
        assert await guesses.told(f"eve-{n}", code, f"198.51.100.{n}") == [404]

    redis = guesses.worker.services.door.redis
    keys = [bytes(key) async for key in redis.scan_iter("*")]
    assert Counter(key.split(b"/")[0] for key in keys) == {
        b"fc:failures:{holder": 12,
        b"fc:failures:{address": 12,
        b"fc:failures:{all": 1,
    }
    assert all([0 < await redis.pttl(key) <= 120_000 for key in keys])


async def test_a_burst_of_guesses_at_words_is_not_all_let_through(guesses: Guesses, eventually: Eventually) -> None:
    """
    Shared codes can be guessed, so each guess counts before the look: of forty at once no more than the limit is told.

    Who is right gives it back: a holder may look at the code he knows as often as he likes.
    """
    worker = guesses.worker
    await worker.publish()
    sent = {**await worker.key("marketer"), "Idempotency-Key": "batch"}
    path = "/v1/campaigns/flash/code-imports"
    words = [f"SUMMER{n}" for n in range(40)]
    csv = {**sent, "content-type": "text/csv"}
    batch = (await worker.http.post(path, content="\n".join(words).encode(), headers=csv)).headers["location"]

    async def done() -> bool:
        return bool((await worker.http.get(batch, headers=sent)).json()["state"] == "done")

    await eventually(done)

    async def quote(who: str, code: str) -> int:
        body = {"code": code, "order": ORDER}
        return (await worker.http.post("/v1/quotes", json=body, headers=worker.token(who))).status_code

    assert [await quote("ann", words[0]) for _ in range(10)] == [200] * 10
    told = Counter(await asyncio.gather(*(quote("eve", f"WINTER{n}") for n in range(40))))
    assert told == {404: 3, 429: 37}
    assert await quote("eve", words[0]) == 429
    told = Counter(await asyncio.gather(*(quote("mallory", code) for code in words)))
    assert told[200] < 40
    assert told[200] + told[429] == 40
    assert await quote("mallory", words[0]) == 200
