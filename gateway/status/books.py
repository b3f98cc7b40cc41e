"""What the books say, read in one snapshot."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from psycopg import AsyncCursor

from lua.keys import Shard

WORK_MEM = "64MB"
"""Enough for the hash of a million holders; the default of 4 MB would sort them on disk."""


class Position(NamedTuple):
    """Where the drain of a shard stands: the last seq in the books and the stream record it came with."""

    shard: Shard
    seq: int
    entry_id: str
    state: str


class Books(NamedTuple):
    """Rows of the books by campaign or shard; what has no rows is not in the mapping."""

    campaigns: list[dict[str, Any]]  # id, state, definition
    coupons: dict[str, dict[str, int]]  # campaign → coupons and their units; see _COUPONS
    over: dict[str, int]  # campaign → holders with more coupons than any version of it allowed
    entries: dict[str, dict[str, int]]  # shard → last_seq, entries
    balances: dict[str, dict[str, int]]  # campaign → account → units
    breaks: list[dict[str, Any]]
    quarantine: list[dict[str, Any]]


_POSITIONS = """
SELECT checkpoints.shard, checkpoints.seq, entry_id, checkpoints.state
FROM checkpoints JOIN campaigns ON campaigns.id = checkpoints.campaign
WHERE campaigns.state <> 'archived'
    AND (%(campaigns)s::text[] IS NULL OR checkpoints.campaign = ANY (%(campaigns)s))
ORDER BY checkpoints.campaign, checkpoints.shard
"""

_CAMPAIGNS = "SELECT id, state, definition FROM campaigns WHERE state <> 'archived' ORDER BY id"

# What is outstanding: a coupon that is out is one unit, a code that many may use as many as it has left. Of such a code
# only the outstanding units can be told from its row, so it is counted as *shared*.
_COUPONS = """
SELECT campaign, count(*) AS coupons, sum(units)::bigint AS units,
    coalesce(sum(CASE WHEN state <> 'claimed' THEN 0 WHEN units = 1 THEN 1 ELSE coalesce("left", units) END), 0)::bigint
        AS outstanding,
    count(*) FILTER (WHERE state = 'reserved') AS reserved,
    count(*) FILTER (WHERE state = 'redeemed') AS redeemed,
    count(*) FILTER (WHERE units > 1) AS shared
FROM coupons
GROUP BY campaign
"""

# A limit may be lowered later; nobody who was within it when he claimed is over it. It is never below 1, so the
# many holders of one coupon are dropped before anything else is asked of them. What ended may have given its place
# back, and nobody holds a code on paper.
_OVER = """
WITH several AS (
    SELECT campaign, holder, count(*) AS held
    FROM coupons
    WHERE holder <> '' AND state IN ('claimed', 'reserved', 'redeemed')
    GROUP BY campaign, holder
    HAVING count(*) > 1
), limits AS (
    SELECT campaign, max(coalesce((definition -> 'limits' ->> 'per_holder')::int, 1)) AS per_holder
    FROM campaign_versions
    GROUP BY campaign
)
SELECT campaign, count(*) AS over
FROM several LEFT JOIN limits USING (campaign)
WHERE held > coalesce(per_holder, 1)
GROUP BY campaign
"""

_ENTRIES = "SELECT shard, max(seq) AS last_seq, count(*) AS entries FROM coupon_entries GROUP BY shard"

_BALANCES = "SELECT commodity, account, balance FROM v_balances WHERE commodity LIKE 'coupon:%'"

_BREAKS = """
SELECT shard, kind, expected, found, detected_at FROM breaks WHERE resolved_at IS NULL ORDER BY detected_at LIMIT 100
"""

_QUARANTINE = """
SELECT shard, entry_id, first_seq, count, reason, quarantined_at
FROM quarantine
WHERE replayed_at IS NULL
ORDER BY quarantined_at
LIMIT 100
"""


async def read_positions(cursor: AsyncCursor[dict[str, Any]], campaigns: Sequence[str] | None = None) -> list[Position]:
    """The position of every shard of *campaigns*, or of all, that are not archived. Errors: psycopg.Error."""
    await cursor.execute(_POSITIONS, {"campaigns": None if campaigns is None else list(campaigns)})
    return [
        Position(Shard.parse(row["shard"]), row["seq"], row["entry_id"], row["state"])
        for row in await cursor.fetchall()
    ]


async def read_books(cursor: AsyncCursor[dict[str, Any]]) -> Books:
    """Count the books, inside the caller's transaction. Errors: psycopg.Error."""

    async def rows(query: str) -> list[dict[str, Any]]:
        await cursor.execute(query)
        return await cursor.fetchall()

    await cursor.execute("SELECT set_config('work_mem', %s, true)", (WORK_MEM,))
    balances: dict[str, dict[str, int]] = {}
    for row in await rows(_BALANCES):
        campaign = row["commodity"].removeprefix("coupon:")
        balances.setdefault(campaign, {})[row["account"]] = row["balance"]
    return Books(
        campaigns=await rows(_CAMPAIGNS),
        coupons={row["campaign"]: row for row in await rows(_COUPONS)},
        over={row["campaign"]: row["over"] for row in await rows(_OVER)},
        entries={row["shard"]: row for row in await rows(_ENTRIES)},
        balances=balances,
        breaks=await rows(_BREAKS),
        quarantine=await rows(_QUARANTINE),
    )
