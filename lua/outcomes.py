"""What a script may answer: the Python half of lib/outcomes.lua. A test keeps the two equal."""

from enum import IntEnum


class Outcome(IntEnum):
    """
    The result of one ask. Refusals are negative, in claim's order of precedence.

    CLAIMED is what claim decides inside; on the wire a claimed coupon is its seq, which is > 0.
    """

    REPLAYED = 3
    UNCHANGED = 2
    CLAIMED = 1
    DONE = 1  # alias: what the other verbs answer
    KEY_REUSED = -1
    NOT_READY = -2
    LIMIT_REACHED = -3
    NOT_STARTED = -4
    ENDED = -5
    PAUSED = -6
    NOT_ELIGIBLE = -7
    PERIOD_LIMIT = -8
    BUDGET_EXHAUSTED = -9
    SOLD_OUT = -10
    CODE_TAKEN = -11
    STOCK_FLOOR = -12
    FROZEN = -13
    BEHIND = -14
    HELD = -15
    WRONG_STATE = -16
    ABSENT = -17
    NOT_HOLDER = -18
    STALE = -19
    SHORT = -20
