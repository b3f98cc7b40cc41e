"""One shard at the seq where Redis and the books met: every figure, and the sample field by field."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lua.entries import Changed, Claimed, Entry, codes_in
from lua.keys import CouponCode, HolderId, Shard
from lua.tally import Tally
from reconciler.stocktake.fields import coupon_difference, holder_difference
from reconciler.stocktake.figures import Books, Figures, differing, figures_of
from reconciler.stocktake.likely import Cause, Evidence, likely
from reconciler.stocktake.reading import Position, Rows, read_claims, read_coupons, read_standing
from reconciler.stocktake.standing import Standing, Version

FIGURE, COUPON, HOLDER = "figure", "coupon", "holder"


@dataclass(frozen=True)
class Found:
    """A difference: *name* is the figure, the code or the holder; empty *expected* or *found* is what is not there."""

    kind: str
    name: str
    expected: dict[str, Any]
    found: dict[str, Any]
    cause: Cause


@dataclass(frozen=True)
class Stocktake:
    """
    One shard, compared at *seq*. *now_ms* is the clock of Redis then.

    *figures* are both sides of every figure, the books' first. *sampled* counts coupons and holders that were compared
    field by field. *unfinished* says why it could not be compared; then nothing is known.
    """

    shard: Shard
    seq: int
    now_ms: int
    figures: Figures
    sampled: dict[str, int] = field(default_factory=lambda: {"coupons": 0, "holders": 0})
    found: list[Found] = field(default_factory=list)
    unfinished: str = ""

    @property
    def is_clean(self) -> bool:
        """Whether it was compared, and nothing differs."""
        return not self.found and not self.unfinished


class Met(NamedTuple):
    """How the books get to *seq*, where Redis was: by adding *entries* (*sign* 1) or taking them off (-1)."""

    seq: int
    entries: list[Entry]
    sign: int


class Comparison:
    """One shard at the seq where both sides met."""

    def __init__(
        self, cursor: Rows, position: Position, tally: Tally, met: Met, versions: Mapping[int, Version]
    ) -> None:
        self._cursor, self._position, self._tally, self._met = cursor, position, tally, met
        self._versions, self._shard = versions, position.shard
        named = {str(number): version for number, version in versions.items()}
        self._version = named.get(tally.rules.get("version", ""))
        newest = versions[max(versions)] if versions else Version.read({})
        self._value = self._version or newest  # what a coupon is worth is the same in all once one is out
        self._differing: frozenset[str] = frozenset()
        self._balanced = True

    async def stocktake(self) -> Stocktake:
        """Everything that can be compared."""
        standing = await self._standing()
        self._balanced = standing.is_balanced
        figures = figures_of(self._shard, Books(standing, self._version), self._tally)
        figures["seq"] = self._met.seq, self._tally.seq
        away = differing(figures)
        self._differing = frozenset(away)
        found = [
            self._found(FIGURE, name, {"value": books}, self._told(name, redis))
            for name, (books, redis) in away.items()
        ]
        coupons, holders = await self._coupons(), await self._holders()
        found += [self._found(COUPON, code, *sides) for code, sides in coupons.items() if sides]
        found += [self._found(HOLDER, holder, *sides) for holder, sides in holders.items() if sides]
        sampled = {"coupons": len(coupons), "holders": len(holders)}
        return Stocktake(self._shard, self._met.seq, self._tally.now_ms, figures, sampled, found)

    async def _standing(self) -> Standing:
        day = self._tally.day_starts_ms
        standing = await read_standing(self._cursor, self._position, self._versions, self._version, day)
        for entry in self._met.entries:
            standing.roll(entry, self._met.sign)
        return standing

    def _told(self, name: str, redis: int | None) -> dict[str, Any]:
        """A figure of Redis; where it is no number, what is there."""
        counter = {"budget_left": "budget_used", "day_claims": f"day:{self._tally.day_starts_ms}"}.get(name, name)
        hexed = self._tally.garbled.get(counter)
        return {"value": redis} if hexed is None else {"value": None, "hex": hexed}

    def _found(self, kind: str, name: str, expected: dict[str, Any], found: dict[str, Any]) -> Found:
        more = self._differing, self._position.quarantined, self._balanced
        return Found(kind, name, expected, found, likely(Evidence(kind, name, expected, found, *more)))

    async def _coupons(self) -> dict[CouponCode, tuple[dict[str, Any], dict[str, Any]] | None]:
        """Code → how it differs; those that changed between the books and the tally are left out."""
        touched = {code for entry in self._met.entries for code in codes_in(entry)}
        records = {code: record for code, record in self._tally.coupons.items() if code not in touched}
        rows = await read_coupons(self._cursor, records)
        name = str(self._shard)
        return {code: coupon_difference(name, rows.get(code), record, self._value) for code, record in records.items()}

    async def _holders(self) -> dict[HolderId, tuple[dict[str, Any], dict[str, Any]] | None]:
        """Holder → how his claims differ; those of the same."""
        touched = {holder for entry in self._met.entries for holder in _holders(entry)}
        records = {holder: record for holder, record in self._tally.holders.items() if holder not in touched}
        claims = await read_claims(self._cursor, self._shard, records)
        return {holder: holder_difference(claims[holder], record, self._value) for holder, record in records.items()}


def _holders(entry: Entry) -> list[str]:
    match entry:
        case Claimed():
            return [grant.holder for grant in entry.grants]
        case Changed():
            return [step.holder for step in entry.each]
    return []
