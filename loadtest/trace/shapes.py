"""Pure: the shapes of a real month of claims, which the generator draws by; docs/loadtest.md says how closely."""

import math
from bisect import bisect
from datetime import date

COUPON_SHARES = (
    (1, 0.263), (2, 0.102), (3, 0.0649), (4, 0.0563), (5, 0.047), (6, 0.043), (7, 0.0371), (8, 0.0152), (10, 0.0125),
    (20, 0.00313), (50, 0.00128), (100, 0.000669), (200, 0.000378), (500, 0.00015), (1000, 0.0000616),
    (1500, 0.0000264), (2000, 0.0000088),
)  # fmt: skip
"""Rank of a coupon among 2,050 and its share of the rows; between them a straight line on logarithmic scales."""
RANKS = 2050
REPEATED = 7682 / 113_640
"""Share of the rows whose user has claimed that coupon before."""
NEW_REPEATER = 0.52
"""How often such a row is the first repetition of its pair; else it is one more of those who repeat already."""
FAMOUS = 10
"""Coupons of this rank and above are hardly ever claimed twice by a user."""
MERCHANTS_PER_COUPON = 0.76
DAYS = (
    3808, 3831, 5491, 5121, 4693, 4574, 2234, 1416, 1616, 4100, 4521, 4349, 4082, 3655, 3290, 3002, 3213, 3284, 3128,
    2984, 3044, 3613, 4853, 4507, 4746, 4701, 4156, 3906, 3370, 2258, 2094,
)  # fmt: skip
"""Rows of each day, of a month of 31."""
BUSIEST = max(DAYS)
FIRST_DAY = date(2016, 7, 1)
FAMOUS_DISCOUNTS = ("30:5", "30:5", "30:5", "50:10", "20:5", "30:5", "200:20", "100:10", "30:5", "10:1")
DISCOUNTS = {
    "20:1": 531, "30:1": 212, "10:1": 196, "30:5": 168, "0.95": 156, "100:10": 131, "50:5": 128, "20:5": 80,
    "100:20": 75, "0.9": 40, "200:20": 37, "50:10": 34, "50:1": 32, "100:5": 30, "5:1": 24, "30:10": 22, "10:5": 19,
    "150:20": 19, "100:30": 16, "0.8": 11, "100:50": 11, "150:30": 10, "200:50": 7, "300:30": 5, "0.5": 1,
}  # fmt: skip
"""Discounts of the other coupons, and how many had each."""
DISTANCE_MEAN, DISTANCE_MAX = 2.0, 10
USE_DAYS_MEAN, USE_DAYS_MAX = 4.0, 15

_HALVINGS = 60
_LOG_RANKS = [math.log(rank) for rank, _ in COUPON_SHARES]
_LOG_SHARES = [math.log(share) for _, share in COUPON_SHARES]


def coupon_shares(coupons: int) -> list[float]:
    """
    The share of each rank: the famous ones have what they had, and the curve of the others is stretched to as many.

    Where there are few coupons, each has the share of its rank.
    """
    if coupons <= 2 * FAMOUS:
        shares = [_share(math.log(rank)) for rank in range(1, coupons + 1)]
        return [share / sum(shares) for share in shares]
    famous = [_share(math.log(rank)) for rank in range(1, FAMOUS + 1)]
    stretched = math.log(RANKS / FAMOUS) / math.log(coupons / FAMOUS)
    others = [_share(math.log(FAMOUS) + math.log(rank / FAMOUS) * stretched) for rank in range(FAMOUS + 1, coupons + 1)]
    return [*famous, *(share * (1 - sum(famous)) / sum(others) for share in others)]


def _share(log_rank: float) -> float:
    """By COUPON_SHARES, at the logarithm of a rank."""
    place = min(max(bisect(_LOG_RANKS, log_rank), 1), len(_LOG_RANKS) - 1)
    part = (log_rank - _LOG_RANKS[place - 1]) / (_LOG_RANKS[place] - _LOG_RANKS[place - 1])
    return math.exp(_LOG_SHARES[place - 1] + part * (_LOG_SHARES[place] - _LOG_SHARES[place - 1]))


def day_shares(peak: float | None) -> list[float]:
    """
    The share of each day; with a *peak* the month is made steeper or flatter until the busiest day has that.

    Errors: ValueError for a peak that no day can have.
    """
    if peak is None:
        return _raised(1.0)
    if not 1 / len(DAYS) < peak < 1:
        raise ValueError(
            f"the busiest of {len(DAYS)} days has more than {1 / len(DAYS):.3f} of the rows, less than all"
        )
    low, high = 0.0, 1000.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if max(_raised(middle)) > peak else (middle, high)
    return _raised(low)


def _raised(power: float) -> list[float]:
    raised = [(rows / BUSIEST) ** power for rows in DAYS]
    return [each / sum(raised) for each in raised]
