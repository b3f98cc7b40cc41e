"""A verdict as it is asked for: by command, over HTTP, with what claimants were told, on a sale through a gateway."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lua.door import Door
from reconciler.verdict.told import Told, read_told
from tests.conftest import Eventually, redis_binaries
from tests.integration.commands import Cli
from tests.integration.draining import Books, draining
from tests.integration.lived_in import broken, forge, judged
from tests.integration.site_http import open_http
from tests.integration.tilling import Till, an_order, done

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
"""What the scripts do on Redis 7 is tests/scripts' to prove; here it is what is asked of both stores."""

LIMITS = {"per_holder": 2, "per_holder_per_day": 2, "per_day": 30, "budget_minor": 20_000}
BACK = {"stock": "restore", "holder_slot": "restore"}


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Command lines."""
    return Cli(capsys)


@pytest.fixture
async def till(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Till]:
    """A worker on empty servers."""
    async with open_http(redis_url, postgres_url, tmp_path) as http:
        yield Till(http)


async def sell(till: Till, eventually: Eventually) -> Told:
    """A sale of two shards with every limit, a shared code and a campaign of balances; what the claimants were told."""
    publish = till.http.publish
    await publish(
        stock=40,
        shards=2,
        limits=LIMITS,
        on_revoke=BACK,
        on_rollback={**BACK, "coupon": "end"},
        timezone="Asia/Shanghai",
    )
    await publish(id="card", value={"type": "balance", "minor": 1000}, stock=5)
    await till.shared(eventually, "TEATIME", 3)
    holders = [f"h{n}" for n in range(8)]
    codes = await till.claimed(*holders)
    cards = await till.claimed("ann", "bob", campaign="card")
    done(await till.redeem("TEATIME", an_order("o-s1"), key="s1"))
    done(await till.reserve("TEATIME", "o-s2"))
    first = done(await till.redeem(codes[0], an_order("o-0"), key="k0"))
    again = await till.redeem(codes[0], an_order("o-0"), key="k0")
    assert again.json()["id"] == first["id"]
    part = done(await till.redeem(codes[1], an_order("o-1"), key="k1"))
    done(await till.roll_back(part["id"], amount_minor=200))
    whole = done(await till.redeem(codes[2], an_order("o-2"), key="k2"))
    done(await till.roll_back(whole["id"]))
    done(await till.reserve(codes[3], "o-3"))
    assert (await till.revoke(codes[4])).status_code == 200
    once_more = (await till.http.claim("h4", key="again"))["code"]
    done(await till.redeem(cards[0], an_order("o-c", 300), key="kc"))
    told = dict(zip([*codes, once_more, *cards], [*holders, "h4", "ann", "bob"], strict=True))
    return Told(coupons={code.replace("-", ""): holder for code, holder in told.items()})


async def test_a_sale_through_a_gateway_is_clean(
    till: Till, door: Door, redis_url: str, postgres_url: str, eventually: Eventually
) -> None:
    """Every verb, limit and kind of coupon: all invariants hold, when it is drained and while the drain is behind."""
    with Books(postgres_url) as books:
        async with draining(redis_url, postgres_url):
            told = await sell(till, eventually)
        found = await judged(door, books, told=told)
        assert broken(found) == {}
        figures = {each.name: each.figures for each in found.invariants}
        assert figures["answers"] == {
            "claims": 11, "coupons": 12, "told": 11, "unanswered": 0, "done without an answer": 0
        }  # fmt: skip
        assert figures["limits"] == {"holders of several": 1}

        await till.claimed("late")
        assert broken(await judged(door, books, told=told)) == {}
        assert broken(await judged(door, books, "flash")) == {}


async def test_what_was_told_has_to_be_there(
    till: Till, door: Door, redis_url: str, postgres_url: str, eventually: Eventually
) -> None:
    """An answer without a coupon, a coupon nobody was told of, one told to two: all are found; a timeout is none."""
    async with draining(redis_url, postgres_url):
        await till.http.publish()
        mine, other = await till.claimed("ann", "bob")
    mine, other = mine.replace("-", ""), other.replace("-", "")

    async def said(*lines: str) -> Any:
        with Books(postgres_url) as books:
            found = await judged(door, books, told=read_told(["code,holder", *lines]))
        [answers] = [each for each in found.invariants if each.name == "answers"]
        return answers

    assert (await said(f"{mine},ann", f"{other},bob")).holds
    timed_out = await said(f"{mine},ann", ",bob", ",cy")
    assert (timed_out.holds, timed_out.figures["done without an answer"]) == (True, 1)
    untold = await said(f"{mine},ann")
    assert untold.first == {"check": "nobody_was_told", "code": other, "holder": "bob"}
    lost = await said(f"{mine},ann", f"{other},bob", "XXXXXXXXXXXXXXXXXX,dan")
    assert lost.first == {
        "check": "told_and_not_booked", "code": "XXXXXXXXXXXXXXXXXX", "told": "dan", "holder": None
    }  # fmt: skip
    twice = await said(f"{mine},ann", f"{mine},eve", f"{other},bob")
    assert twice.first == {"check": "told_to_two", "code": mine, "holder": "ann"}


async def test_the_command_has_one_exit_code(
    till: Till, redis_url: str, postgres_url: str, cli: Cli, tmp_path: Path
) -> None:
    """0 while all holds, 1 with the invariant and its row named once one does not; 2, 3 and 6 as documented."""
    told = tmp_path / "told.csv"

    async def ask(*arguments: str) -> Any:
        urls = ("--redis-url", redis_url, "--postgres-url", postgres_url)
        return await asyncio.to_thread(cli, "verdict", *urls, *arguments)

    async with draining(redis_url, postgres_url):
        await till.http.publish()
        [code] = await till.claimed("ann")
        told.write_text(f"code,holder\n{code},ann\n")
        clean = await ask("--drain-wait", "20", "--told", str(told))
    assert clean.code == 0, clean
    assert "13 invariants of 1 shards hold" in clean.out

    with Books(postgres_url) as books:
        forge(books, "UPDATE coupons SET holder = 'eve'")
    wrong = await ask("--json", "--campaign", "flash")
    assert (wrong.code, wrong.data["holds"], wrong.data["campaign"]) == (1, False, "flash")
    [answers] = [each for each in wrong.data["invariants"] if each["name"] == "answers"]
    assert (answers["holds"], answers["first"]["holder"], answers["first"]["claimed_by"]) == (False, "eve", "ann")
    shown = await ask("--told", str(told))
    assert "answers: 2 violate it: each claim is one coupon of its holder" in " ".join(shown.out.split())
    assert "first: check claims_are_coupons, shard flash/0" in " ".join(shown.out.split())

    of_main = await ask("--json", "--entity", "main")
    assert (of_main.code, of_main.data["entity"], of_main.data["shards"]) == (1, "main", 1)
    assert [one["shard"] for one in of_main.data["chains"]] == ["flash/0"]
    assert (await ask("--campaign", "other")).code == (await ask("--entity", "other")).code == 3
    assert (await ask("--campaign", "flash", "--entity", "main")).code == 2
    told.write_text("nothing\n")
    assert (await ask("--told", str(told))).code == 2
    away = await asyncio.to_thread(
        cli, "verdict", "--redis-url", redis_url, "--postgres-url", "postgresql://nobody@127.0.0.1:1/nothing"
    )
    assert away.code == 6


async def test_finance_asks_over_http(till: Till, redis_url: str, postgres_url: str, eventually: Eventually) -> None:
    """Finance and auditors get the same verdict, one at a time; marketers and holders don't, and no campaign is 404."""
    async with draining(redis_url, postgres_url):
        await till.http.publish()
        await till.claimed("ann")
    path = "/v1/reports/verdict"
    waits = "SELECT count(*) = 1 FROM pg_locks WHERE relation = 'coupons'::regclass AND NOT granted"
    with Books(postgres_url) as books, psycopg.connect(postgres_url) as holding_up:
        holding_up.execute("LOCK coupons")
        asking = asyncio.create_task(till.ask("GET", path, "finance"))
        await eventually(lambda: books.value(waits))
        second = await till.ask("GET", path, "auditor")
        holding_up.rollback()
        first = await asking

    assert (second.status_code, second.json()["detail"]) == (503, "Another verdict is on its way.")
    assert first.json() == (await till.ask("GET", path, "auditor")).json()
    assert first.json()["holds"] is True
    assert (first.json()["shards"], len(first.json()["invariants"])) == (1, 13)
    assert (await till.ask("GET", path, "marketer")).status_code == 403
    assert (await till.ask("GET", path, "@ann")).status_code == 403
    assert (await till.ask("GET", f"{path}?campaign=none", "finance")).json()["code"] == "campaign_not_found"
    assert (await till.ask("GET", f"{path}?entity=main", "finance")).json()["entity"] == "main"
    assert (await till.ask("GET", f"{path}?entity=none", "finance")).json()["code"] == "not_found"
    assert (await till.ask("GET", f"{path}?entity=main&campaign=flash", "finance")).json()["field"] == "entity"
