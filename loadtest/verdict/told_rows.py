"""Each coupon that was told and each row of a claim, against each other."""

from typing import Any

from loadtest.verdict.books import Changed
from loadtest.verdict.clocks import Clocks
from loadtest.verdict.crowd import Crowd, Granted, Unsettled
from loadtest.verdict.found import Tallies


class ToldRows:
    """Takes the rows of claims one by one; *before_s* excuses what was claimed before a sale that was there already."""

    def __init__(self, crowd: Crowd, tallies: Tallies) -> None:
        self._crowd, self._told, self._untold = crowd, tallies["told"], tallies["untold"]
        self._replays = tallies["replays"]
        self._unsettled = crowd.unsettled()
        self._refused: list[tuple[Changed, Unsettled]] = []
        """Rows that nobody was told of, with a key that may have got them and was refused some time."""
        self.before_s = float("-inf")

    def row(self, change: Changed) -> Granted | None:
        """The answer that told of this row, if one did."""
        granted = self._crowd.coupons.get(change.code)
        self._untold.checked += 1
        place: dict[str, Any] = {
            "campaign": self._crowd.campaign,
            "code": change.code,
            "shard": change.shard,
            "seq": change.seq,
        }
        if granted is None:
            if not self._may_be_untold(change):
                self._untold.violate("nobody was told of it", **place, holder=change.holder)
            return None
        granted.rows += 1
        if granted.rows > 1:
            self._told.violate("it has more than one row", **place, holder=change.holder, key=granted.key)
        elif granted.holder != change.holder:
            self._told.violate("the row is of another holder", **place, holder=granted.holder, key=granted.key,
                               row_holder=change.holder)  # fmt: skip
        elif granted.seq not in (0, change.seq):
            self._told.violate("the row has another number", **place, holder=granted.holder, key=granted.key,
                               told_seq=granted.seq)  # fmt: skip
        return granted

    def _may_be_untold(self, change: Changed) -> bool:
        keys = self._unsettled.get(change.holder)
        if keys:
            # Rows of a holder come in their order: the earliest is of the key that was refused earliest, or never.
            key = min(keys, key=lambda each: each.refused_s)
            keys.remove(key)
            if key.refused_s:
                self._refused.append((change, key))
            return True
        return change.at_s < self.before_s

    def end(self, clocks: Clocks) -> None:
        """After the last row: who was told of a coupon that has none, and who was refused one that he had."""
        for change, key in self._refused if clocks.known else ():
            asked_s, _ = clocks.during(key.refused_s, key.refused_s)
            if change.at_s < asked_s:
                self._replays.violate(
                    "whoever has a coupon was refused it", campaign=self._crowd.campaign, holder=change.holder,
                    key=key.key, code=change.code, shard=change.shard, seq=change.seq, sent_s=key.refused_s,
                )  # fmt: skip
        self._told.checked += len(self._crowd.coupons)
        for granted in self._crowd.coupons.values():
            if not granted.rows:
                self._told.violate(
                    "it has no row", campaign=self._crowd.campaign, code=granted.code, holder=granted.holder,
                    key=granted.key, seq=granted.seq,
                )  # fmt: skip
