"""
One walk over every state change of a campaign, in the order of its shards: what the checks of one row at a time need.

Sums are kept and not rows, but for holders and the few that were told a refusal, so a million claims fit in memory.
"""

from collections import Counter
from collections.abc import Iterable
from zlib import crc32

from loadtest.verdict.books import Changed, Terms
from loadtest.verdict.clocks import Clocks
from loadtest.verdict.crowd import Crowd
from loadtest.verdict.found import Tallies
from loadtest.verdict.told_rows import ToldRows

GRANTS = ("claimed", "issued")


class Walk:
    """What the state changes of one campaign add up to; violations that a single row shows are counted on the way."""

    def __init__(self, crowd: Crowd, terms: Terms, limit: int, tallies: Tallies) -> None:
        self._crowd, self._terms, self._limit, self._tallies = crowd, terms, limit, tallies
        self.clocks = Clocks()
        self.told = ToldRows(crowd, tallies)
        self.last_seq: dict[str, int] = dict.fromkeys(terms.shards, 0)
        self.stock: dict[str, int] = dict.fromkeys(terms.shards, 0)
        self.accounts: Counter[str] = Counter()
        self.claimed_units = self.returned = self.below_zero = 0
        self.adjusted: Counter[str] = Counter()
        """Units by the key of the adjustment, all shards together; and the instants of each."""
        self.adjusted_at: dict[str, float] = {}
        self.last_in_s: dict[str, float] = dict.fromkeys(terms.shards, 0.0)
        """When a unit came to be had last, by its shard and the clock of Redis."""
        self.empty: dict[str, list[tuple[float, float]]] = {shard: [] for shard in terms.shards}
        """From when to when each shard had nothing left, by the clock of Redis."""
        self.holds: Counter[str] = Counter()
        self.claimed_at: dict[str, list[float]] = {}
        self._empty_since: dict[str, float] = {}
        self._as_hashed = True
        self._spent: set[str] = set()

    def over(self, changes: Iterable[Changed]) -> None:
        """Walk over all of them."""
        for change in changes:
            self._number(change)
            kind = change.kind
            if kind == "claimed":
                self._claim(change)
            elif kind == "issued":
                self.claimed_units += change.units
                self._move("stock", "outstanding", change.units, change)
            elif kind == "adjusted":
                self._adjust(change)
            elif change.source:
                self._move(change.source, change.destination, change.units, change)
            if kind in self._terms.frees and change.holder and change.state in ("expired", "revoked"):
                self.holds[change.holder] -= 1
            if change.state:
                self._step(change)
        for shard, since_s in self._empty_since.items():
            self.empty.setdefault(shard, []).append((since_s, float("inf")))

    def shard_of(self, holder: str) -> str:
        """
        The shard whose stock *holder* gets of: the CRC-32 of his name, modulo their number. Nothing where it can't be
        told, because somebody has a coupon of another shard than that.
        """
        if len(self._terms.shards) == 1:
            return self._terms.shards[0]
        return self._hashed(holder) if self._as_hashed else ""

    def _hashed(self, holder: str) -> str:
        return f"{self._crowd.campaign}/{crc32(holder.encode()) % len(self._terms.shards)}"

    def _number(self, change: Changed) -> None:
        sequence, last = self._tallies["sequence"], self.last_seq.get(change.shard, 0)
        sequence.checked += 1
        if change.seq != last + 1:
            sequence.violate("numbers are missing", change.seq - last - 1, shard=change.shard, from_seq=last + 1,
                             to_seq=change.seq - 1)  # fmt: skip
        self.last_seq[change.shard] = change.seq

    def _claim(self, change: Changed) -> None:
        self.claimed_units += 1
        granted = self.told.row(change)
        if granted is not None and granted.fresh:
            self.clocks.decided(change.at_s, granted.sent_s, granted.answered_s)
        self._move("stock", "outstanding", 1, change)
        if len(self._terms.shards) > 1 and self._as_hashed:
            self._as_hashed = self._hashed(change.holder) == change.shard
        self.holds[change.holder] += 1
        self._tallies["limit"].checked += 1
        if self.holds[change.holder] > self._limit:
            self._tallies["limit"].violate(
                "this claim is one too many", campaign=self._crowd.campaign, holder=change.holder, code=change.code,
                shard=change.shard, seq=change.seq, has=self.holds[change.holder], limit=self._limit,
            )  # fmt: skip
        if change.holder in self._crowd.limited:
            self.claimed_at.setdefault(change.holder, []).append(change.at_s)

    def _adjust(self, change: Changed) -> None:
        key = change.key.rpartition("#")[0] or change.key
        self.adjusted[key] += change.delta
        self.adjusted_at[key] = change.at_s
        if change.delta > 0:
            self._move("supply", "stock", change.delta, change)
        else:
            self._move("stock", "supply", -change.delta, change)

    def _move(self, source: str, destination: str, units: int, change: Changed) -> None:
        self.accounts[source] -= units
        self.accounts[destination] += units
        if destination == "stock":
            self.last_in_s[change.shard] = max(self.last_in_s.get(change.shard, 0.0), change.at_s)
            self.returned += 0 if change.kind == "adjusted" else units
            self._stock(change, units)
        elif source == "stock":
            self._stock(change, -units)

    def _stock(self, change: Changed, units: int) -> None:
        shard, check = change.shard, self._tallies["stock"]
        left = self.stock[shard] = self.stock.get(shard, 0) + units
        check.checked += 1
        if left < 0 and units < 0:
            self.below_zero += 1
            check.violate(
                "nothing was left of it", campaign=self._crowd.campaign, shard=shard, seq=change.seq, code=change.code,
                holder=change.holder, key=change.key, left=left,
            )  # fmt: skip
        if left <= 0:
            self._empty_since.setdefault(shard, change.at_s)
        elif shard in self._empty_since:
            self.empty.setdefault(shard, []).append((self._empty_since.pop(shard), change.at_s))

    def _step(self, change: Changed) -> None:
        if change.kind == "redeemed":
            check = self._tallies["redeemed"]
            check.checked += 1
            if change.code in self._spent:
                check.violate(
                    "it was spent already", campaign=self._crowd.campaign, code=change.code, holder=change.holder,
                    redemption=change.ref, shard=change.shard, seq=change.seq,
                )  # fmt: skip
        if change.state == "redeemed":
            self._spent.add(change.code)
        else:
            self._spent.discard(change.code)
