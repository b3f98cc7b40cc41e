"""The coupons of a holder or of an order, filtered and sorted, a page at a time. A store's misses count as guesses."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from gateway.campaigns.broken import is_text
from gateway.console.access import check_role
from gateway.console.coupons.asking import asker_of
from gateway.console.coupons.words import STATE_WORDS
from gateway.console.locales import N_
from gateway.console.page import Visit
from gateway.redeeming.bodies import ORDER_ID_CHARS_MAX
from gateway.sql import load_queries, postgres, rows

SORT_WORDS: Mapping[str, str] = {
    "newest": N_("Claimed last first"),
    "oldest": N_("Claimed first first"),
    "ending": N_("Good until, soonest first"),
}
"""Order → what it is called. The first is taken where none is asked for."""
SEARCHERS = ("marketer", "finance", "auditor", "operator")
"""Who may look up what a holder has; a store has the code or the order before it."""
_ENDS = {"newest": datetime(9999, 12, 31, tzinfo=UTC)}
_START = datetime(1, 1, 2, tzinfo=UTC)
_SORTED_BY = {"newest": "claimed_at", "oldest": "claimed_at", "ending": "expires_at"}
_FIELDS = ("code", "holder", "order", "campaign", "state", "sort")
_QUERIES = load_queries("coupon_search")


class Wanted(NamedTuple):
    """What the address asks for. *holder* goes before *order*."""

    code: str
    holder: str
    order: str
    campaign: str
    state: str
    sort: str

    def query(self, **more: str) -> str:
        """The same as an address says it."""
        named = {**self._asdict(), **more}
        if named["sort"] == "newest":
            del named["sort"]
        return urlencode({name: value for name, value in named.items() if value})


def wanted_of(visit: Visit) -> Wanted:
    """What *visit* asks for; what can't be asked for is what nobody asks for."""
    given = {name: visit.asked(name) for name in _FIELDS}
    if given["state"] not in STATE_WORDS:
        given["state"] = ""
    if given["sort"] not in SORT_WORDS:
        given["sort"] = next(iter(SORT_WORDS))
    return Wanted(**given)


def place_of(found: Mapping[str, Any], wanted: Wanted) -> dict[str, str]:
    """The place after *found*, as an address says it."""
    return {"at": found[_SORTED_BY[wanted.sort]].isoformat(), "after": found["code"]}


async def search(visit: Visit, wanted: Wanted, at: str, after: str, limit: int) -> list[dict[str, Any]]:
    """
    At most *limit* coupons from after a place, none where nothing is asked for.

    Errors: Refusal forbidden for a store that asks for a holder; rate_limited; not_ready.
    """
    of = "of_holder" if wanted.holder else "of_order"
    if wanted.holder:
        check_role(visit.who, *SEARCHERS)
    elif not is_text(wanted.order, ORDER_ID_CHARS_MAX):
        return []
    who, coupons = asker_of(visit), visit.here.redeeming.coupons
    await coupons.admit(who)
    query = _QUERIES[of] + b" " + _QUERIES[wanted.sort]
    async with postgres(visit.here.pool) as connection:
        found = await rows(
            connection,
            query,
            who=wanted.holder or wanted.order,
            at=_instant(at, wanted.sort),
            code=after,
            state=wanted.state,
            campaign=wanted.campaign,
            limit=limit,
        )
    if not found and not after and not visit.who.may(*SEARCHERS):
        refusal = await coupons.missed(who)
        if refusal.code == "rate_limited":
            raise refusal
    return found


def _instant(text: str, sort: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):  # none, or none of ours: from the beginning on
        return _ENDS.get(sort, _START)
