"""Campaigns through Postgres and Redis: versions, states, what is frozen, what is fixed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from psycopg_pool import AsyncConnectionPool

from gateway.campaigns.life import State
from gateway.campaigns.service import Seen
from gateway.errors import Refusal
from lua.door import Door
from lua.entries import Claimed
from lua.keys import CampaignId, Shard
from lua.outcomes import Outcome
from tests.integration.campaigning import (
    ACTOR,
    Site,
    a_definition,
    a_patch,
    open_pool,
    prove_whole,
)


@pytest.fixture
async def site(postgres_url: str, door: Door) -> AsyncIterator[Site]:
    """Services on an empty Redis and an empty database."""
    async with open_pool(postgres_url) as pool:
        yield Site(pool, door, postgres_url)


async def refused(awaitable: Any) -> Refusal:
    """What the awaited is refused with."""
    with pytest.raises(Refusal) as found:
        await awaitable
    return found.value


async def test_a_draft_is_version_one_and_not_in_redis(site: Site) -> None:
    """Creating writes the campaign, its version and who did it, and leaves Redis alone."""
    created = await site.campaigns.create(a_definition(), ACTOR)

    assert (created.state, created.version, created.effective) == ("draft", 1, "draft")
    assert site.rows("SELECT version, state, changed_by FROM campaign_versions") == [
        {"version": 1, "state": "draft", "changed_by": ACTOR}
    ]
    assert site.rows("SELECT actor, action, subject FROM audit_log") == [
        {"actor": ACTOR, "action": "campaign.created", "subject": "campaign:flash"}
    ]
    assert await site.door.redis.dbsize() == 0


async def test_a_second_campaign_of_the_same_id_is_refused_and_uses_up_no_number(site: Site) -> None:
    """campaign_exists changes nothing, and the next campaign gets the next number."""
    await site.campaigns.create(a_definition(), ACTOR)
    for _ in range(5):
        assert (await refused(site.campaigns.create(a_definition(name="other"), ACTOR))).code == "campaign_exists"

    second = await site.campaigns.create(a_definition(id="second"), ACTOR)

    assert second.number == 2
    assert (await site.campaigns.see(CampaignId("flash"))).definition.name == "Flash"


async def test_a_campaign_is_in_the_books_of_a_legal_entity_that_is_there(site: Site) -> None:
    """One that keeps no books is refused, for a draft too; once published, the campaign stays in those it is in."""
    nowhere = await refused(site.campaigns.create(a_definition(legal_entity="other"), ACTOR))
    assert (nowhere.code, nowhere.context["errors"][0]["field"]) == ("bad_request", "legal_entity")
    draft = await site.campaigns.create(a_definition(), ACTOR)
    assert draft.definition.legal_entity == "main"
    assert (await refused(site.campaigns.patch(draft.id, a_patch(legal_entity="other"), ACTOR))).code == "bad_request"

    site.rows("INSERT INTO legal_entities (id) VALUES ('other') RETURNING id")
    assert (await site.campaigns.patch(draft.id, a_patch(legal_entity="other"), ACTOR)).version == 2
    await site.campaigns.set_state(draft.id, State.SCHEDULED, ACTOR)
    fixed = await refused(site.campaigns.patch(draft.id, a_patch(legal_entity="main"), ACTOR))
    assert (fixed.code, fixed.context["errors"][0]["field"]) == ("invalid_state", "legal_entity")


async def test_publishing_opens_every_shard_with_all_its_stock(site: Site) -> None:
    """A published campaign is active at once in its window; its stock, budget and limit are sliced without loss."""
    limits = {"per_holder": 1, "per_day": 9, "budget_minor": 4600}
    seen = await site.campaigns.create(a_definition(shards=4, limits=limits), ACTOR)

    seen = await site.campaigns.set_state(seen.id, State.SCHEDULED, ACTOR)

    assert seen.effective == "active"
    assert [look.stock for look in seen.looks] == [3, 3, 2, 2]
    assert [look.rules["budget_minor"] for look in seen.looks] == ["1600", "1000", "1000", "1000"]
    assert [look.rules["per_day"] for look in seen.looks] == ["3", "2", "2", "2"]
    assert [entry.__struct_config__.tag for entry in await site.entries("flash", 0)] == [
        "published",
        "adjusted",
        "published",
    ]
    assert site.rows("SELECT shard, epoch, seq FROM checkpoints ORDER BY shard") == [
        {"shard": f"flash/{n}", "epoch": 1, "seq": 0} for n in range(4)
    ]
    await prove_whole(site, "flash", 4)


async def test_a_whole_life(site: Site) -> None:
    """Each state asked for reaches claims, and asking again changes nothing."""
    await site.campaigns.create(a_definition(), ACTOR)
    campaign, answers = CampaignId("flash"), {}
    for holder, to in enumerate((State.ACTIVE, State.PAUSED, State.ACTIVE, State.ENDED, State.ARCHIVED)):
        seen = await site.campaigns.set_state(campaign, to, ACTOR)
        again = await site.campaigns.set_state(campaign, to, ACTOR)

        assert (seen.effective, again.version) == (to, seen.version)
        answers[f"{to} {seen.version}"] = await site.claim("flash", 0, f"h{holder}")

    assert {state: min(answer, 1) for state, answer in answers.items()} == {
        "active 2": 1,
        "paused 3": Outcome.PAUSED,
        "active 4": 1,
        "ended 5": Outcome.ENDED,
        "archived 6": Outcome.ENDED,
    }
    history = site.rows("SELECT version, state FROM campaign_versions ORDER BY version")
    assert [each["state"] for each in history] == ["draft", "scheduled", "paused", "scheduled", "ended", "archived"]
    assert (await refused(site.campaigns.set_state(campaign, State.ACTIVE, ACTOR))).code == "invalid_state"


async def test_a_draft_changes_freely(site: Site) -> None:
    """Stock, shards and money of a draft are only words; what is published is the last of them."""
    await site.campaigns.create(a_definition(), ACTOR)
    campaign = CampaignId("flash")

    await site.campaigns.patch(campaign, a_patch(stock=7, shards=2, limits={"per_day": 4}), ACTOR)
    await site.campaigns.patch(campaign, a_patch(limits={"per_holder": 3, "per_day": None}), ACTOR)
    seen = await site.campaigns.set_state(campaign, State.SCHEDULED, ACTOR)

    assert seen.version == 4
    assert [look.stock for look in seen.looks] == [4, 3]
    assert (seen.definition.limits.per_holder, seen.definition.limits.per_day) == (3, None)


async def test_a_change_reaches_claims_and_no_change_makes_no_version(site: Site) -> None:
    """A PATCH of a published campaign is one version more, the same again is none."""
    campaign = await site.publish()
    assert await site.claim("flash", 0, "ann") > 0
    assert await site.claim("flash", 0, "ann") == Outcome.REPLAYED

    changed = await site.campaigns.patch(campaign, a_patch(name="Renamed", limits={"per_holder": 2}), ACTOR)
    again = await site.campaigns.patch(campaign, a_patch(name="Renamed"), ACTOR)

    assert (changed.version, again.version) == (3, 3)
    assert changed.looks[0].rules["name"] == "Renamed"
    assert changed.looks[0].rules["per_holder"] == "2"


async def test_versions_guard_against_somebody_else(site: Site) -> None:
    """A PATCH that names a version is made only on that version, and of two at once one wins."""
    campaign = await site.publish()

    results = await asyncio.gather(
        *(site.campaigns.patch(campaign, a_patch(version=2, name=f"n{n}"), ACTOR) for n in range(2)),
        return_exceptions=True,
    )

    (won,) = [result for result in results if isinstance(result, Seen)]
    (lost,) = [result for result in results if isinstance(result, Refusal)]
    assert (won.version, lost.code, lost.context) == (3, "version_conflict", {"version": 3})
    await prove_whole(site, "flash", 1)


async def test_changes_at_once_are_made_one_after_the_other(site: Site) -> None:
    """Many changes of one campaign at the same instant each get a version of their own, in Redis and Postgres alike."""
    campaign = await site.publish(shards=2)

    await asyncio.gather(*(site.campaigns.patch(campaign, a_patch(name=f"n{n}"), ACTOR) for n in range(6)))

    versions = site.rows("SELECT version FROM campaign_versions ORDER BY version")
    assert [each["version"] for each in versions] == list(range(1, 9))
    await prove_whole(site, "flash", 2)


MONEY = {
    "value": {"type": "amount_off", "minor": 600},
    "currency": "EUR",
    "funders": [{"account": "brand", "basis_points": 10_000}],
    "timezone": "Asia/Tokyo",
    "limits.budget_minor": {"budget_minor": 5000},
}


@pytest.mark.parametrize("shards", [1, 4])
@pytest.mark.parametrize("field", list(MONEY))
async def test_what_moves_money_is_frozen_after_the_first_claim(site: Site, field: str, shards: int) -> None:
    """Before a claim it changes; after one on any shard it is refused by name and every shard stays as it was."""
    campaign, patch = await site.publish(shards=shards), a_patch(**{field.partition(".")[0]: MONEY[field]})
    assert (await site.campaigns.patch(campaign, patch, ACTOR)).version == (3 if shards == 1 else 4)
    await prove_whole(site, "flash", shards)
    assert await site.claim("flash", shards - 1, "ann") > 0
    before = await site.looks("flash", shards)
    back = a_patch(
        value={"type": "balance", "minor": 1},
        currency="CNY",
        timezone="UTC",
        funders=[{"account": "platform", "basis_points": 10_000}],
        limits={"budget_minor": 7000},
    )

    no = await refused(site.campaigns.patch(campaign, back, ACTOR))

    assert no.code == "frozen"
    assert field in [error["field"] for error in no.context["errors"]]
    assert [look.rules for look in await site.looks("flash", shards)] == [look.rules for look in before]
    await prove_whole(site, "flash", shards)


@pytest.mark.parametrize("shards", [1, 4])
async def test_a_claim_between_look_and_change_still_freezes(site: Site, shards: int) -> None:
    """When the first coupon goes out while a change of money is on its way, the change is undone on every shard."""
    campaign = await site.publish(shards=shards)

    class ClaimsOnce(Door):
        """Lets a claim through just before the first publish of the change."""

        claimed = False

        async def call(self, script: Any, shard: Any, *args: Any, with_server: bool = True) -> Any:
            if script.name == "publish" and not self.claimed:
                self.claimed = True
                assert await site.claim("flash", shards - 1, "ann") > 0
            return await super().call(script, shard, *args, with_server=with_server)

    racing = Site(site.pool, ClaimsOnce(site.door.redis), site.postgres_url)
    no = await refused(racing.campaigns.patch(campaign, a_patch(value={"type": "balance", "minor": 1}), ACTOR))

    assert no.code == "frozen"
    seen = await site.campaigns.see(campaign)
    assert seen.definition.unit_minor == 500
    assert seen.effective == "active"
    assert {look.rules["unit_minor"] for look in seen.looks} == {"500"}
    assert site.rows("SELECT action FROM audit_log ORDER BY id DESC LIMIT 1") == [{"action": "campaign.refused"}]
    await prove_whole(site, "flash", shards)
    assert await site.claim("flash", 0, "bob") > 0


async def test_a_rush_never_claims_at_two_values(site: Site) -> None:
    """
    Whichever shard's publish a rush on all shards begins at, while a change of money is on its way: the change is
    made or refused as a whole, and every coupon that is out has the one value that is in the books and on all shards.
    """

    class Rush(Door):
        """Claims on every shard before each publish from number *begins* on."""

        def __init__(self, campaign: str, begins: int) -> None:
            super().__init__(site.door.redis)
            self.campaign, self.begins, self.publishes = campaign, begins, 0

        async def call(self, script: Any, shard: Any, *args: Any, with_server: bool = True) -> Any:
            self.publishes += script.name == "publish"
            if script.name == "publish" and self.publishes >= self.begins:
                for number in range(3):
                    await site.claim(self.campaign, number, f"{self.publishes} {number}")
            return await super().call(script, shard, *args, with_server=with_server)

    made = []
    for begins in range(1, 8):
        campaign = await site.publish(id=f"c{begins}", shards=3, stock=90)
        racing = Site(site.pool, Rush(campaign, begins), site.postgres_url)
        try:
            await racing.campaigns.patch(campaign, a_patch(value={"type": "balance", "minor": 1}), ACTOR)
            made.append(True)
        except Refusal as no:
            made.append(no.code != "frozen")

        seen = await site.campaigns.see(campaign)
        out = [
            entry.unit_minor for n in range(3) for entry in await site.entries(campaign, n) if type(entry) is Claimed
        ]
        value = str(seen.definition.unit_minor)
        assert {value} == {look.rules["unit_minor"] for look in seen.looks} >= set(out)
        assert (value == "1", seen.effective) == (made[-1], "active")
        await prove_whole(site, campaign, 3)
    assert made == [False] * 3 + [True] * 4


FIXED = [
    ({"stock": 11}, "stock"),
    ({"shards": 2}, "shards"),
    ({"starts_at": "2026-01-01T00:00:00Z"}, "starts_at"),
]


@pytest.mark.parametrize(("changes", "field"), FIXED, ids=str)
async def test_what_is_fixed_once_published_is_refused_by_name(site: Site, changes: dict[str, Any], field: str) -> None:
    """Stock moves by adjustments only, shards never change, and a start that has been stays."""
    campaign = await site.publish()

    no = await refused(site.campaigns.patch(campaign, a_patch(**changes), ACTOR))

    assert no.code == "invalid_state"
    assert [error["field"] for error in no.context["errors"]] == [field]
    assert (await site.campaigns.see(campaign)).version == 2


async def test_an_ended_campaign_does_not_change(site: Site) -> None:
    """Neither by PATCH nor by going back."""
    campaign = await site.publish()
    await site.campaigns.set_state(campaign, State.ENDED, ACTOR)

    assert (await refused(site.campaigns.patch(campaign, a_patch(name="x"), ACTOR))).code == "invalid_state"
    assert (await refused(site.campaigns.set_state(campaign, State.PAUSED, ACTOR))).code == "invalid_state"


async def test_an_absent_campaign_is_not_found(site: Site) -> None:
    """Every change of a campaign that is not there says so."""
    nobody = CampaignId("nobody")

    assert (await refused(site.campaigns.see(nobody))).code == "campaign_not_found"
    assert (await refused(site.campaigns.patch(nobody, a_patch(name="x"), ACTOR))).code == "campaign_not_found"
    assert (await refused(site.campaigns.set_state(nobody, State.PAUSED, ACTOR))).code == "campaign_not_found"


async def test_a_shard_that_is_not_the_one_the_books_know_is_not_changed(site: Site) -> None:
    """Until the reconciler has compared a shard with the books, changes answer not_ready and decide nothing."""
    campaign = await site.publish(shards=2)
    await site.door.redis.hset(Shard(campaign, 1).key("rules"), "server", "another")

    assert (await refused(site.campaigns.set_state(campaign, State.PAUSED, ACTOR))).code == "not_ready"
    assert (await refused(site.campaigns.patch(campaign, a_patch(name="x"), ACTOR))).code == "not_ready"

    assert site.rows("SELECT max(version) AS version FROM campaign_versions") == [{"version": 2}]
    assert (await site.looks("flash", 2))[0].rules["state"] == "open"


async def test_the_first_stock_is_there_before_the_first_claim(site: Site) -> None:
    """While a campaign is being published nobody is told that it is sold out: it is paused until all stock is in."""
    await site.campaigns.create(a_definition(), ACTOR)
    seen: list[int] = []

    class Claims(Door):
        """Claims before every script of the publication, each time for somebody else."""

        async def call(self, script: Any, shard: Any, *args: Any, with_server: bool = True) -> Any:
            if script.name in ("publish", "adjust"):
                seen.append(await site.claim("flash", 0, f"h{len(seen)}"))
            return await super().call(script, shard, *args, with_server=with_server)

    await Site(site.pool, Claims(site.door.redis), "").campaigns.set_state(CampaignId("flash"), State.ACTIVE, ACTOR)

    assert seen == [Outcome.NOT_READY, Outcome.PAUSED, Outcome.PAUSED]


async def test_redis_or_postgres_away_is_not_ready(site: Site, postgres_url: str) -> None:
    """A service that can't be reached is 503 not_ready, and the change can be repeated."""
    campaign = await site.publish()
    closed: AsyncConnectionPool[Any] = AsyncConnectionPool(postgres_url, open=False)
    nowhere = Door(type(site.door.redis).from_url("redis://127.0.0.1:1"))

    no_books = Site(closed, site.door, postgres_url)
    no_redis = Site(site.pool, nowhere, postgres_url)

    assert (await refused(no_books.campaigns.see(campaign))).code == "not_ready"
    assert (await refused(no_redis.campaigns.set_state(campaign, State.PAUSED, ACTOR))).code == "not_ready"
    assert (await site.campaigns.set_state(campaign, State.PAUSED, ACTOR)).effective == "paused"
    await nowhere.close()
