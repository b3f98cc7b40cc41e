"""Pure: what goes into the tables of the books, as one entry or a batch of them has it."""

from collections import defaultdict
from typing import NamedTuple

from reconciler.movements import Movements
from reconciler.postings import Move

COPIES = (
    "copy_coupons",
    "copy_issued_coupons",
    "copy_coupon_entries",
    "copy_issued_entries",
    "copy_step_entries",
    "copy_redemptions",
    "copy_rollbacks",
)
"""The statements that take lines, in the order they are run."""


class CouponChange(NamedTuple):
    """
    The state one or more steps leave a coupon in. *seq* is of the last one.

    *reserved_until* and *order_id* are None where no step took a hold, *expires_at* where none moved the deadline. A
    code that many may use is not reserved by a hold of one use, so it keeps neither.
    """

    seq: int
    state: str
    left: int | None
    reserved_until: str | None
    order_id: str | None
    expires_at: str | None

    def after(self, earlier: "CouponChange") -> "CouponChange":
        """Both, *earlier* first: a hold outlives a step that leaves the coupon reserved, a deadline any step."""
        keeps_hold = self.state == "reserved" and self.reserved_until is None
        return CouponChange(
            self.seq,
            self.state,
            self.left,
            earlier.reserved_until if keeps_hold else self.reserved_until,
            earlier.order_id if keeps_hold else self.order_id,
            self.expires_at or earlier.expires_at,
        )


class Rows:
    """
    What one entry, or one batch of them, puts into the books.

    *lines* are COPY text by statement of COPIES; *changes* the state each coupon ends in, by its code; *rolled_back*
    the redemptions that something was given back of; *movements* what was moved in a day; *moves* those of one entry,
    for its journals.
    """

    def __init__(self) -> None:
        self.lines: defaultdict[str, list[str]] = defaultdict(list)
        self.changes: dict[str, CouponChange] = {}
        self.rolled_back: set[str] = set()
        self.movements = Movements()
        self.moves: list[Move] = []

    def add(self, later: "Rows") -> None:
        """Add what comes after this in the shard, but its moves."""
        for query, lines in later.lines.items():
            self.lines[query] += lines
        for code, change in later.changes.items():
            earlier = self.changes.get(code)
            self.changes[code] = change.after(earlier) if earlier else change
        self.rolled_back |= later.rolled_back
        self.movements.add(later.movements)

    def text(self, query: str) -> str:
        """What the statement *query* takes."""
        return "".join(self.lines[query])

    def changed_values(self) -> dict[str, object]:
        """What change_coupons takes besides the shard."""
        changes = self.changes.values()
        return {
            "codes": list(self.changes),
            "seqs": [change.seq for change in changes],
            "states": [change.state for change in changes],
            "lefts": [change.left for change in changes],
            "untils": [change.reserved_until for change in changes],
            "orders": [change.order_id for change in changes],
            "expires": [change.expires_at for change in changes],
        }
