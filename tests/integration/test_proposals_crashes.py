"""A gateway that dies in the middle of an approval, at every point there is: what is approved is done once."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from gateway.keys import ApiKey
from gateway.proposals.applying import Applying
from gateway.proposals.asked import Asked
from gateway.proposals.deciding import Proposals
from gateway.proposals.store import Proposal
from gateway.settings import Settings
from lua.door import Door
from tests.conftest import ON_VALKEY
from tests.integration.campaigning import Died, Site, every_point, open_pool, prove_whole
from tests.integration.proposing import CHANGE, REVOCATION, STOCK, VALUE, reopening

pytestmark = ON_VALKEY

ANN, BOB, EVE = ApiKey("a", "ann", "marketer"), ApiKey("b", "bob", "marketer"), ApiKey("e", "eve", "finance")
ADMIN = ApiKey("r", "root", "admin")
SHARDS = 2
BODIES: dict[str, dict[str, Any]] = {
    "change": CHANGE,
    "stock": STOCK,
    "revocation": REVOCATION,
    "period": reopening(),
}


@pytest.fixture
async def site(postgres_url: str, door: Door) -> AsyncIterator[Site]:
    """Services on an empty Redis and an empty database."""
    async with open_pool(postgres_url) as pool:
        yield Site(pool, door, postgres_url)


def proposals(site: Site) -> Proposals:
    """The service."""
    return Proposals(site.pool, site.door, Settings())


async def a_proposal(site: Site, act: str, at: int) -> Proposal:
    """A proposal of this kind, of a campaign or a period that no other one has."""
    if act == "period":
        month = f"20{at:02d}-03"
        site.rows(
            "INSERT INTO periods (entity, kind, starts, ends, state, changed_by)"
            f" VALUES ('main', 'month', '{month}-01', '{month}-31', 'hold', 'test')"
        )
        body = reopening(month)
    else:
        body = {**BODIES[act], "campaign": await site.publish(id=f"c{at}", shards=SHARDS)}
    asked: Asked = msgspec.convert(body, Asked)
    made, _ = await proposals(site).make(f"k{at}", asked, EVE if act == "period" else ANN)
    return made


async def prove_done(site: Site, act: str, made: Proposal) -> None:
    """It was done once, and the audit log says so once."""
    match act:
        case "change":
            seen = await site.campaigns.see(made.of_kind.campaign)  # type: ignore[union-attr, arg-type]
            assert msgspec.to_builtins(seen.definition.value) == VALUE
            by = site.rows(
                "SELECT count(*) AS versions FROM campaign_versions WHERE changed_by LIKE %s", f"%{made.id}%"
            )
            assert by == [{"versions": 2}]  # its shards are paused for it, and then they have it
            await prove_whole(site, seen.id, SHARDS)
        case "stock":
            campaign = made.asked["campaign"]
            assert sum(look.stock for look in await site.looks(campaign, SHARDS)) == 15
            await prove_whole(site, campaign, SHARDS)
        case "revocation":
            assert len(site.rows("SELECT id FROM revocations WHERE actor LIKE %s", f"%{made.id}%")) == 1
        case "period":
            query = "SELECT id FROM audit_log WHERE action = 'period.reopened' AND actor LIKE %s"
            assert len(site.rows(query, f"%{made.id}%")) == 1
    acts = site.rows("SELECT action FROM audit_log WHERE subject = %s ORDER BY id", f"proposal:{made.id}")
    assert [each["action"] for each in acts] == ["proposal.made", "proposal.approved", "proposal.applied"]


@pytest.mark.parametrize(
    ("act", "healer"), [("change", "beside"), ("stock", "repeat"), ("revocation", "beside"), ("period", "repeat")]
)
async def test_killed_at_any_point_it_is_done_once(site: Site, act: str, healer: str) -> None:
    """
    Whatever a gateway was doing when it died, between any two calls: the checker who asks again, or a worker beside
    once it is approved, finds it done or does it, and it is done once.
    """
    for at in every_point():
        made = await a_proposal(site, act, at)
        try:
            await proposals(site.trapped(at)).approve(made.id, None, BOB if act != "period" else ADMIN)
            survived = True
        except Died:
            survived = False

        if healer == "beside":
            await Applying(site.pool, site.door, rest_s=0).once("w")
        if healer == "repeat" or (await proposals(site).see(made.id, ADMIN)).state == "pending":
            await proposals(site).approve(made.id, None, BOB if act != "period" else ADMIN)

        assert (await proposals(site).see(made.id, ADMIN)).state == "applied"
        await prove_done(site, act, made)
        if survived:
            return


async def test_a_worker_leaves_who_approved_some_time(site: Site) -> None:
    """What was approved a moment ago is its checker's to do; what is overdue is ended by whoever looks."""
    made, late = await a_proposal(site, "stock", 1), await a_proposal(site, "revocation", 2)
    site.rows("UPDATE proposals SET state = 'approved', checker = 'b', checker_name = 'b', decided_at = now()")
    site.rows("UPDATE proposals SET state = 'pending', checker_name = NULL, expires_at = now() WHERE id = %s", late.id)

    await Applying(site.pool, site.door, rest_s=600).once("w")

    states = site.rows("SELECT id, state FROM proposals ORDER BY kind DESC")
    assert states == [{"id": made.id, "state": "approved"}, {"id": late.id, "state": "expired"}]


async def test_of_two_at_once_done_is_done(site: Site) -> None:
    """Done counts more than failed, whoever is first to say so, and done again it is not done twice."""
    made = await a_proposal(site, "stock", 1)
    site.rows(
        "UPDATE proposals SET state = 'approved', checker = 'key:b bob', checker_name = 'bob', decided_at = now()"
    )
    here = await proposals(site).see(made.id, ADMIN)
    site.rows("UPDATE proposals SET state = 'failed', outcome = '{}'")

    done = await Applying(site.pool, site.door).apply(here)
    again = await Applying(site.pool, site.door).apply(here)

    assert (done.state, again.state) == ("applied", "applied")
    assert sum(look.stock for look in await site.looks("c1", SHARDS)) == 15
