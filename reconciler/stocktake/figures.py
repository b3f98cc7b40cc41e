"""Pure: the figures of a shard, as the books and as Redis have them, and which of them differ."""

from collections.abc import Mapping
from typing import NamedTuple

from lua.keys import Shard
from lua.tally import COUNTED, Tally
from reconciler.accounts import EXPIRED, OUTSTANDING, REDEEMED, RESERVED, REVOKED, STOCK
from reconciler.stocktake.standing import Standing, Version

FIGURES = {
    "stock": "coupons that can be claimed",
    "claimed": "units ever claimed and issued",
    "returned": "units that came back to the stock from coupons that ended",
    "outstanding": "units that are out and not used; in Redis claimed less the five after it",
    "reserved": "units held for an order",
    "redeemed": "units used up",
    "expired": "units that ended unused",
    "revoked": "units taken away",
    "holds": "members of holds, one a unit that is reserved",
    "coupons": "fields of coupons, one a code ever claimed or issued",
    "redemptions": "fields of redemptions, one a redemption there ever was",
    "day_claims": "coupons claimed today, by the campaign's zone: what its limits by day count",
    "budget_left": "minor units of the shard's budget that no coupon takes; "
    "what of it was spent and paid out by hand stays spent",
    "budget": "the shard's part of the budget, minor units",
    "unit": "what one coupon takes of the budget, minor units",
    "per_day": "the shard's part of the coupons a day",
    "per_holder": "coupons a holder may have",
    "per_holder_per_day": "coupons a holder may have a day",
    "seq": "state changes; by the books and the stream, and by the counter in Redis",
    "epoch": "which history of the shard it is",
}
"""Every figure that is compared. One that a shard does not have, such as a budget, is left out."""

_ACCOUNTS = (STOCK, OUTSTANDING, RESERVED, REDEEMED, EXPIRED, REVOKED)

Figures = dict[str, tuple[int | None, int | None]]
"""Name → by the books, in Redis. None: no limit; of a counter in Redis, no number."""


class Books(NamedTuple):
    """The books at the seq of a tally, and the version of the rules the shard has; None where they don't know it."""

    standing: Standing
    version: Version | None


def figures_of(shard: Shard, books: Books, tally: Tally) -> Figures:
    """Both sides of every figure the shard has, but for seq and epoch, which say whether they can be compared."""
    standing, counters = books.standing, tally.counters
    counted = {name: None if name in tally.garbled else counters.get(name, 0) for name in COUNTED}
    found: dict[str, int | None] = {
        "stock": tally.stock,
        **counted,
        "outstanding": _outstanding(counted),
        "holds": tally.holds_length,
        "coupons": tally.coupons_length,
        "redemptions": tally.redemptions_length,
    }
    expected = {name: standing.units(name) for name in _ACCOUNTS}
    expected |= {"claimed": standing.claimed, "returned": standing.returned, "holds": standing.units(RESERVED)}
    expected |= {"coupons": standing.coupons, "redemptions": standing.redemptions}
    figures: Figures = {name: (expected[name], found[name]) for name in FIGURES if name in expected}
    if standing.day is not None:
        figures["day_claims"] = standing.day_claims, _number(tally, f"day:{tally.day_starts_ms}")
    if books.version is not None and books.version.tells_limits:
        figures |= _limits(shard.number, books.version, standing, tally)
    return figures


def _number(tally: Tally, counter: str) -> int | None:
    return None if counter in tally.garbled else tally.counters.get(counter, 0)


def _outstanding(counted: Mapping[str, int | None]) -> int | None:
    numbers = [number for number in counted.values() if number is not None]
    return 2 * numbers[0] - sum(numbers) if len(numbers) == len(counted) else None


def _limits(number: int, version: Version, standing: Standing, tally: Tally) -> Figures:
    """Budget and limits, as they are sliced over shards: what the rules in Redis say beside what was published."""
    per_day, budget = version.limit("per_day"), version.limit("budget_minor")
    expected = {
        "budget": None if budget is None else budget_slice(budget, version.unit_minor, version.shards, number),
        "unit": version.unit_minor,
        "per_day": None if per_day is None else slice_of(per_day, version.shards, number),
        "per_holder": version.limit("per_holder"),
        "per_holder_per_day": version.limit("per_holder_per_day"),
    }
    rules = {"budget": "budget_minor", "unit": "unit_minor"}
    figures: Figures = {
        name: (limit, _limit(tally.rules.get(rules.get(name, name), ""))) for name, limit in expected.items()
    }
    part = expected["budget"]
    if part is not None:
        used = _number(tally, "budget_used")
        left = None if used is None else part - used
        figures["budget_left"] = part - standing.budget_used(version), left
    return figures


def _limit(text: str) -> int | None:
    """A limit as the rules have it: no text is none, and what is no number is below any limit."""
    if not text:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else -1


def slice_of(whole: int, shards: int, number: int) -> int:
    """The part of *whole* that shard *number* has: parts differ by one at most, the larger ones first."""
    part, rest = divmod(whole, shards)
    return part + (number < rest)


def budget_slice(budget_minor: int, unit_minor: int, shards: int, number: int) -> int:
    """The part of a budget that shard *number* has: whole coupons, and the rest is the first one's."""
    if unit_minor <= 0:
        return budget_minor if number == 0 else 0
    coupons, rest_minor = divmod(budget_minor, unit_minor)
    return slice_of(coupons, shards, number) * unit_minor + (rest_minor if number == 0 else 0)


def differing(figures: Figures) -> Figures:
    """
    The figures that differ.

    What is outstanding follows from other counters in Redis: where they explain all of its difference, it is theirs.
    """
    found = {name: sides for name, sides in figures.items() if sides[0] != sides[1]}
    if "outstanding" in found:
        away = {name: _away(*figures[name]) for name in ("outstanding", *COUNTED)}
        given, *taken = (away[name] for name in COUNTED)
        if None in away.values() or away["outstanding"] == (given or 0) - sum(one or 0 for one in taken):
            del found["outstanding"]
    return found


def _away(expected: int | None, found: int | None) -> int | None:
    return None if expected is None or found is None else found - expected
