"""Ask for the revocation of a campaign's or a holder's coupons, and see how it comes along; revoking.py does it."""

import logging
import re
from datetime import datetime
from secrets import token_hex
from typing import Any

import msgspec
from psycopg_pool import AsyncConnectionPool

from gateway.campaigns.bounds import ID_PATTERN
from gateway.campaigns.broken import is_text
from gateway.campaigns.shards import Shards
from gateway.errors import Refusal
from gateway.issuing.asked import refuse
from gateway.issuing.cutoff import out_now
from gateway.issuing.store import Connection, audit
from gateway.sql import load_queries, postgres, row
from lua.door import Door
from lua.keys import CampaignId, HolderId

log = logging.getLogger("fairclaim.revocations")

REASON_CHARS_MAX = 200
HOLDER_BYTES_MAX = 128
_ID = re.compile(r"rv_[0-9a-f]{16}")
QUERIES = load_queries("revocations")


class RevocationBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of POST /v1/revocations: of a campaign, of a holder, or of a holder in a campaign; and why."""

    reason: str
    campaign: str | None = None
    holder: str | None = None


class Revocation(msgspec.Struct, frozen=True):
    """
    A row of revocations.

    *until* has shard → seq, None until Redis could tell: of coupons that came out later nothing is revoked. *place* is
    of the pass: shards done, and the last row seen, in the form revoking.py gives it.
    """

    id: str
    campaign: CampaignId | None
    holder: HolderId | None
    reason: str
    key: str
    actor: str
    state: str
    waits_for: str | None
    until: dict[str, int] | None
    books: dict[str, int] | None
    place: list[str | int] | None
    pass_: int = msgspec.field(name="pass")
    pass_revoked: int
    looked_at: int
    revoked: int
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Revocations:
    """What the staff does with revocations of many coupons."""

    def __init__(self, pool: AsyncConnectionPool[Any], door: Door) -> None:
        self._pool, self._shards = pool, Shards(door)

    async def ask(self, key: str, body: RevocationBody, actor: str) -> tuple[Revocation, bool]:
        """
        A new revocation, or the one that *key* asked for before, and then True.

        What is out now is what it will revoke; while Redis can't tell, what is out when it can again.

        Errors: Refusal bad_request; campaign_not_found; idempotency_key_reused; not_ready.
        """
        _check(body)
        async with postgres(self._pool) as connection:
            known = _revocation(await row(connection, QUERIES["revocation_by_key"], key=key))
            if known is None:
                await _check_campaign(connection, body)
        until = None if known is not None else await self._until(body)
        async with postgres(self._pool) as connection, connection.transaction():
            if known is None:
                added = await row(
                    connection,
                    QUERIES["add_revocation"],
                    id=f"rv_{token_hex(8)}",
                    campaign=body.campaign,
                    holder=body.holder,
                    reason=body.reason,
                    key=key,
                    actor=actor,
                    until=until,
                )
                if added is not None:
                    subject = f"campaign:{body.campaign}" if body.campaign else f"holder:{body.holder}"
                    detail = {"revocation": added["id"], "holder": body.holder, "reason": body.reason}
                    await audit(connection, actor, "coupons.revoked", subject, detail)
                    return msgspec.convert(added, Revocation), False
                known = _revocation(await row(connection, QUERIES["revocation_by_key"], key=key))
        assert known is not None, "the key was in the way, and no revocation is ever removed"
        if (known.campaign, known.holder, known.reason) != (body.campaign, body.holder, body.reason):
            raise Refusal("idempotency_key_reused", "This Idempotency-Key came with another revocation.")
        return known, True

    async def plan(self, body: RevocationBody) -> int:
        """How many coupons the books have out that ask() would revoke now. Errors: Refusal, as ask()."""
        _check(body)
        async with postgres(self._pool) as connection:
            await _check_campaign(connection, body)
            query = "out_of_campaign" if body.holder is None else "out_of_holder"
            found = await row(connection, QUERIES[query], campaign=body.campaign, holder=body.holder)
        assert found is not None, "a count is always one row"
        return int(found["coupons"])

    async def _until(self, body: RevocationBody) -> str | None:
        campaign = None if body.campaign is None else CampaignId(body.campaign)
        holder = None if body.holder is None else HolderId(body.holder)
        try:
            out = await out_now(self._pool, self._shards, campaign, holder)
        except Refusal as refusal:
            log.warning("what is out can't be told yet", extra={"reason": refusal.detail})
            return None
        return msgspec.json.encode(out).decode()

    async def see(self, revocation: str) -> Revocation:
        """The revocation as it is now. Errors: Refusal revocation_not_found, not_ready."""
        found = None
        if _ID.fullmatch(revocation):
            async with postgres(self._pool) as connection:
                found = _revocation(await row(connection, QUERIES["revocation"], id=revocation))
        if found is None:
            raise Refusal("revocation_not_found")
        return found


def _revocation(found: dict[str, Any] | None) -> Revocation | None:
    return None if found is None else msgspec.convert(found, Revocation)


def _check(body: RevocationBody) -> None:
    if body.campaign is None and body.holder is None:
        raise refuse("campaign", "give a campaign, a holder, or both")
    if body.holder is not None and not (is_text(body.holder, HOLDER_BYTES_MAX) and _is_holder(body.holder)):
        raise refuse("holder", f"1 to {HOLDER_BYTES_MAX} bytes without blanks")
    if not is_text(body.reason, REASON_CHARS_MAX):
        raise refuse("reason", f"1 to {REASON_CHARS_MAX} characters, not only blanks, no control characters")


def _is_holder(text: str) -> bool:
    return len(text.encode("utf-8", "replace")) <= HOLDER_BYTES_MAX and not any(sign.isspace() for sign in text)


async def _check_campaign(connection: Connection, body: RevocationBody) -> None:
    if body.campaign is None:
        return
    found = None
    if ID_PATTERN.fullmatch(body.campaign):
        found = await row(connection, QUERIES["published_campaign"], campaign=body.campaign)
    if found is None:
        raise Refusal("campaign_not_found", "There is no such campaign that was ever published.")
