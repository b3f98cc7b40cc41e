-- outcomes: what a script may answer, in the order of precedence of claim.
-- Negative numbers are refusals. outcomes.py names the same numbers; a test compares them.
local REPLAYED, CLAIMED, DONE, UNCHANGED = 3, 1, 1, 2
local KEY_REUSED, NOT_READY, LIMIT_REACHED = -1, -2, -3
local NOT_STARTED, ENDED, PAUSED, NOT_ELIGIBLE = -4, -5, -6, -7
local PERIOD_LIMIT, BUDGET_EXHAUSTED, SOLD_OUT = -8, -9, -10
local CODE_TAKEN, STOCK_FLOOR, FROZEN, BEHIND = -11, -12, -13, -14
local HELD, WRONG_STATE, ABSENT, NOT_HOLDER, STALE, SHORT = -15, -16, -17, -18, -19, -20
