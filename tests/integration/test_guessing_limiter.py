"""The limiter behind the guesses: its window passes, codes count one by one, and it may be away."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import pytest

from gateway.addresses import Address
from gateway.callers import Caller
from gateway.errors import Refusal
from gateway.guessing import Guessing
from gateway.keys import ApiKey
from gateway.limiter import Limiter
from gateway.probing import Probing
from gateway.settings import Settings
from gateway.telemetry import Telemetry
from lua.keys import HolderId
from tests.conftest import Eventually
from tests.integration.drained import Drained
from tests.integration.guesses import open_guesses
from tests.proxy import Proxy

EVE, ANN = Caller(HolderId("eve"), None), Caller(HolderId("ann"), None)
TILL = Caller(None, ApiKey("aaaaaaaa", "till", "store"))
HERE, THERE = Address("203.0.113.9"), Address("198.51.100.4")
NOWHERE = "redis://127.0.0.1:1"


@asynccontextmanager
async def guessing_on(url: str, folder: Path, window_s: int = 60, ms_max: int = 20_000) -> AsyncIterator[Guessing]:
    """Three failures a holder, five an address, four a key at an address, nine a key, in a window of *window_s*."""
    settings = Settings(
        code_failures_holder_max=3,
        code_failures_address_max=5,
        code_failures_key_address_max=4,
        code_failures_key_max=9,
        code_limiter_ms_max=ms_max,
    )
    limiter, telemetry = Limiter(url, ms_max), Telemetry(folder, 1)
    yield Guessing(limiter, Probing(limiter, 100, window_s), settings, telemetry, window_s)
    await limiter.close()
    telemetry.close()


@pytest.fixture
async def guessing(redis_url: str, tmp_path: Path) -> AsyncIterator[Guessing]:
    """Limits in a window of a minute."""
    async with guessing_on(redis_url, tmp_path) as guessing:
        yield guessing


async def fails(guessing: Guessing, who: Caller, address: Address = HERE, codes: int = 1) -> str:
    """What *who* is told, who asks for what is not there."""
    try:
        await guessing.admit(who, address)
    except Refusal as refusal:
        return refusal.code
    return (await guessing.failed(who, address, codes=codes)).code


@pytest.mark.parametrize("who", [EVE, TILL], ids=["holder", "key"])
async def test_the_window_passes(who: Caller, redis_url: str, tmp_path: Path, eventually: Eventually) -> None:
    """Locked out for a window of a second, and then not any more, by the clock of Redis alone."""
    async with guessing_on(redis_url, tmp_path, window_s=1) as guessing:

        async def limited() -> bool:
            return await fails(guessing, who) == "rate_limited"

        async def admitted() -> bool:
            return await fails(guessing, who) == "coupon_not_found"

        assert await admitted()
        await eventually(limited)
        await eventually(admitted)


async def test_several_codes_of_a_request_are_several_failures(guessing: Guessing) -> None:
    """Two and one are three; a holder can't put ten guesses into a request that counts as one."""
    assert [await fails(guessing, EVE, codes=codes) for codes in (2, 1, 1)] == [
        "coupon_not_found",
        "coupon_not_found",
        "rate_limited",
    ]


async def test_a_request_beyond_the_limit_uses_up_what_is_left(guessing: Guessing) -> None:
    """Else requests of four codes would be refused for ever uncounted, and answered where one of them is right."""
    assert await fails(guessing, EVE, codes=4) == "rate_limited"
    assert await fails(guessing, EVE) == "rate_limited"


async def test_a_coupon_nobody_holds_is_hidden_from_a_holder_beyond_his_limit(guessing: Guessing) -> None:
    """A right guess at a code of paper is answered like a wrong one; before the limit, and to others, it is not."""
    await guessing.admit_unheld(EVE)
    for _ in range(3):
        await fails(guessing, EVE)

    with pytest.raises(Refusal) as refused:
        await guessing.admit_unheld(EVE)
    missed = await guessing.failed(EVE, HERE)
    assert (refused.value.code, refused.value.detail) == (missed.code, missed.detail)
    assert refused.value.code == "rate_limited"
    await guessing.admit_unheld(ANN)
    await guessing.admit_unheld(TILL)


async def test_a_key_that_fails_is_looked_at_again_at_once(guessing: Guessing) -> None:
    """That a key was let through a moment ago lets no guess through after its last failure in this worker."""
    for _ in range(4):
        await guessing.admit(TILL, HERE)
        await guessing.admit(TILL, HERE)
        assert (await guessing.failed(TILL, HERE)).code == "coupon_not_found"

    with pytest.raises(Refusal):
        await guessing.admit(TILL, HERE)
    await guessing.admit(TILL, THERE)


async def test_holders_with_odd_names_do_not_share_a_limit(guessing: Guessing) -> None:
    """Slashes, braces and numbers in a holder's name are his name and no part of a key."""
    names = ["eve", "eve/3", "eve/3/60", "{eve}", "eve}", "é/ve", "e" * 128]

    for name in names:
        assert await fails(guessing, Caller(HolderId(name), None), Address(name)) == "coupon_not_found"
    for name in names:
        told = [await fails(guessing, Caller(HolderId(name), None), Address(name)) for _ in range(3)]
        assert told == ["coupon_not_found", "coupon_not_found", "rate_limited"], name


async def test_a_limiter_that_is_away_stops_nobody(
    tmp_path: Path, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused connections: everybody goes on as if nobody had failed; one line says so and one when it is back."""
    caplog.set_level(logging.WARNING, "fairclaim.guessing")
    async with Proxy(redis_url) as proxy, guessing_on(proxy.url, tmp_path) as guessing:
        proxy.refuse = True
        for who in (EVE, TILL):
            told = [await fails(guessing, who) for _ in range(6)]
            assert told == ["coupon_not_found"] * 6
        await guessing.admit_unheld(EVE)
        assert [record.message for record in caplog.records] == ["failures on codes are not limited: no answer"]

        proxy.refuse = False
        assert [await fails(guessing, EVE) for _ in range(4)] == ["coupon_not_found"] * 3 + ["rate_limited"]
        assert [record.message for record in caplog.records][1:] == ["failures on codes are limited again"]


async def test_a_limiter_that_stands_still_is_not_waited_for(tmp_path: Path) -> None:
    """A server that takes connections and never answers costs a request the time of the setting, twice at most."""
    release = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with guessing_on(url, tmp_path, ms_max=100) as guessing:
        for who in (EVE, TILL):
            took_s = []
            for _ in range(3):
                started = monotonic()
                assert await fails(guessing, who) == "coupon_not_found"
                took_s.append(monotonic() - started)
            assert 0.09 <= min(took_s) < 2, "the least: in another one the machine itself may have stood still"
    release.set()
    server.close()
    await server.wait_closed()


async def test_owners_and_stores_are_answered_without_a_limiter(
    redis_url: str, postgres_url: str, tmp_path: Path, drained: Drained
) -> None:
    """Through HTTP: his coupon, the shop's look-up, and 404 for what is not there; the metric counts each of them."""
    (code,) = drained.add("ann")
    async with (
        open_guesses(redis_url, postgres_url, tmp_path) as guesses,
        guessing_on(NOWHERE, tmp_path / "telemetry") as away,
    ):
        shop = await guesses.key()
        worker = guesses.worker
        worker.services.redeeming.coupons.guessing = away

        assert await guesses.told("ann", code) == [200]
        assert await guesses.told(shop, code) == [200]
        assert await guesses.told("eve", code, times=5) == [404] * 5
        metrics = (await worker.http.get("/metrics")).text

    assert "\nfairclaim_code_limiter_away_total 6\n" in metrics
    assert '\nfairclaim_code_failures_total{kind="holder"} 5\n' in metrics
