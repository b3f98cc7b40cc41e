"""
Pure: the parts of a statement that goes by how things stood at the end of a day, `as_of`, whatever was booked later.

A state change counts on the date it is booked on. What has none after the day is read as it is now; only the others are
looked up in the sub-ledger, where a coupon is what its steps up to the day come to.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from reconciler.reports.clauses import fill
from reconciler.reports.shape import Asked

BOOKED = "effective_date <= %(as_of)s::date"
"""Of a state change: it was booked by the end of the day."""

_CHANGED = """SELECT code
        FROM coupon_entries
        WHERE {shard}effective_date > %(as_of)s::date AND code IS NOT NULL{kinds}
            AND EXISTS (SELECT FROM movement_days WHERE effective_date > %(as_of)s::date)"""
# Every state change of a coupon is in movement_days, which is small: where nothing is later, nothing is read.

_LATER = """later AS MATERIALIZED (
    SELECT DISTINCT code
    FROM ({changed}) AS changed
), """

_LATER_OF_CAMPAIGN = """later AS MATERIALIZED (
    SELECT DISTINCT code
    FROM (SELECT shard FROM checkpoints WHERE campaign = %(campaign)s) AS shards
    CROSS JOIN LATERAL (
        {changed}
        OFFSET 0
    ) AS changed
), """
# OFFSET 0 keeps it a look-up for each shard, as in first_used.py.

FOLD = """LEFT JOIN LATERAL (
        SELECT seq, state, "left" FROM coupon_entries AS steps
        WHERE steps.code = coupons.code AND steps.state IS NOT NULL AND coupons.changed_seq > coupons.seq AND {booked}
        ORDER BY seq DESC LIMIT 1
    ) AS last ON true
    LEFT JOIN LATERAL (
        SELECT ref, expires_at FROM coupon_entries AS steps
        WHERE steps.code = coupons.code AND steps.state IS NOT NULL AND kind = 'reserved' AND last.state = 'reserved'
            AND {booked}
        ORDER BY seq DESC LIMIT 1
    ) AS hold ON true
    LEFT JOIN LATERAL (
        SELECT expires_at FROM coupon_entries AS steps
        WHERE steps.code = coupons.code AND steps.state IS NOT NULL AND kind = 'rolled_back'
            AND steps.expires_at IS NOT NULL AND coupons.expires_at <> firsts.expires_at AND {booked}
        ORDER BY seq DESC LIMIT 1
    ) AS extended ON true""".replace("{booked}", BOOKED)
"""
Joins to coupons and firsts, the entries of their claims, what steps up to the day left each in: `last`, `hold` and
`extended` are null where there is no such step. As refold_coupons of queries.sql has it.
"""


def seen(asked: Asked) -> Asked:
    """*asked*, whose days are of the books, with both: as of the end of until, and nothing booked after as_of."""
    return replace(asked, until=asked.until or asked.as_of, as_of=asked.as_of or asked.until)


def later(asked: Asked, kinds: Sequence[str] = ()) -> str:
    """
    What a WITH begins with: `later`, the codes with a state change, of *kinds*, after the day; nothing without a day.
    """
    if asked.as_of is None:
        return ""
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    changed = fill(
        _CHANGED,
        shard="" if asked.campaign is None else "coupon_entries.shard = shards.shard AND ",
        kinds=f" AND kind IN ({listed})" if kinds else "",
    )
    return fill(_LATER if asked.campaign is None else _LATER_OF_CAMPAIGN, changed=changed)


def unchanged(asked: Asked, rows: str) -> str:
    """What completes a condition: no code of the table *rows* is later()'s; nothing without a day."""
    return "" if asked.as_of is None else f" AND NOT EXISTS (SELECT FROM later WHERE later.code = {rows}.code)"
