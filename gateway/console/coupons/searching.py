"""The coupons of a holder or of an order, filtered and sorted, a page at a time. A store's misses count as guesses."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from gateway.campaigns.broken import is_text
from gateway.console.access import HOME, check_role
from gateway.console.coupons.asking import asker_of
from gateway.console.coupons.places import COUPONS
from gateway.console.coupons.words import STATE_WORDS
from gateway.console.locales import N_
from gateway.console.page import Visit
from gateway.console.tables import Sort, Table
from gateway.redeeming.bodies import ORDER_ID_CHARS_MAX
from gateway.sql import load_queries, postgres, rows

EXPORT = f"{HOME}/coupons.csv"
SORTS: Mapping[str, Sort] = {"claimed": Sort(N_("Claimed"), falls=True), "ends": Sort(N_("Good until"))}
SEARCHERS = ("marketer", "finance", "auditor", "operator")
"""Who may look up what a holder has; a store has the code or the order before it."""
_ORDERS = {
    ("claimed", True): "newest",
    ("claimed", False): "oldest",
    ("ends", False): "ending",
    ("ends", True): "lasting",
}
_FIRST, _LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
_FIELDS = ("code", "holder", "order", "campaign", "state")
_QUERIES = load_queries("coupon_search")


class Place(NamedTuple):
    """After which coupon a page begins."""

    at: datetime
    code: str


def table_of(visit: Visit) -> Table:
    """What *visit* asks for, *holder* before *order*; what can't be asked for is what nobody asks for."""
    given = {name: visit.asked(name) for name in _FIELDS}
    if given["state"] not in STATE_WORDS:
        given["state"] = ""
    return Table(visit, COUPONS, SORTS, given, EXPORT)


def place_of(found: Mapping[str, Any], table: Table) -> Place:
    """The place after *found*."""
    return Place(found["claimed_at" if table.by == "claimed" else "expires_at"], found["code"])


async def search(visit: Visit, table: Table, after: Place | None, limit: int) -> list[dict[str, Any]]:
    """
    At most *limit* coupons from after a place, none where nothing is asked for.

    Errors: Refusal forbidden for a store that asks for a holder; rate_limited; not_ready.
    """
    holder, order = table.given("holder"), table.given("order")
    of = "of_holder" if holder else "of_order"
    if holder:
        check_role(visit.who, *SEARCHERS)
    elif not is_text(order, ORDER_ID_CHARS_MAX):
        return []
    who, coupons = asker_of(visit), visit.here.redeeming.coupons
    await coupons.admit(who)
    query = _QUERIES[of] + b" " + _QUERIES[_ORDERS[table.by, table.down]]
    begin = after or Place(_LAST if table.down else _FIRST, "")
    async with postgres(visit.here.pool) as connection:
        found = await rows(
            connection,
            query,
            who=holder or order,
            at=begin.at,
            code=begin.code,
            state=table.given("state"),
            campaign=table.given("campaign"),
            limit=limit,
        )
    if not found and after is None and not visit.who.may(*SEARCHERS):
        refusal = await coupons.missed(who)
        if refusal.code == "rate_limited":
            raise refusal
    return found
