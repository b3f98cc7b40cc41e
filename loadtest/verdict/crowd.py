"""
What the claimants of one campaign were told, kept as small as the checks allow: a million attempts fit in memory.

Attempts come in the order they were answered, those of one key from one generator at least.
"""

from array import array
from typing import Any, NamedTuple

from loadtest.told import Attempt
from loadtest.verdict.found import Tally

LIMIT_REACHED, SOLD_OUT = "limit_reached", "sold_out"
REFUSALS = {
    LIMIT_REACHED, SOLD_OUT, "period_limit", "budget_exhausted", "not_eligible", "not_started", "campaign_paused",
    "campaign_ended", "idempotency_key_reused",
}  # fmt: skip
"""What nobody may be told whose key has a coupon: a replay comes before all of these."""
BUSY = 429
Ask = tuple[str, str]
"""Holder and key: attempts that share them are one ask."""


class Unsettled(NamedTuple):
    """A key that had no answer once; *refused_s*: when it was asked with again and refused, 0 for never."""

    key: str
    refused_s: float


class Granted:
    """A coupon as it was first told, and how many rows of it were found since."""

    __slots__ = ("answered_s", "code", "fresh", "holder", "key", "rows", "sent_s", "seq")

    def __init__(self, attempt: Attempt) -> None:
        self.code, self.holder, self.key, self.seq = attempt.code, attempt.holder, attempt.key, attempt.seq
        self.sent_s, self.answered_s = attempt.sent_s, attempt.answered_s
        self.fresh = attempt.status == 201  # decided between sent_s and answered_s; a replay was decided earlier
        self.rows = 0


class Refused:
    """One reason that claims were refused for: how often, who asked last, and who was answered first."""

    def __init__(self, attempt: Attempt) -> None:
        self.count, self.asked_last, self.answered_first = 0, attempt, attempt

    def add(self, attempt: Attempt) -> None:
        """One more."""
        self.count += 1
        self.asked_last = max(self.asked_last, attempt, key=lambda each: each.sent_s)
        self.answered_first = min(self.answered_first, attempt, key=lambda each: each.answered_s)


class SoldOut:
    """Everybody who was told sold_out: when each was sent and answered, and who it was."""

    def __init__(self) -> None:
        self.sent_s, self.answered_s = array("d"), array("d")
        self.asks: list[Ask] = []

    def add(self, attempt: Attempt) -> None:
        """One more."""
        self.sent_s.append(attempt.sent_s)
        self.answered_s.append(attempt.answered_s)
        self.asks.append((attempt.holder, attempt.key))


class Crowd:
    """What was told of claims of one campaign. *replays* is counted while the attempts come by."""

    def __init__(self, campaign: str, replays: Tally) -> None:
        self.campaign, self._replays = campaign, replays
        self.coupons: dict[str, Granted] = {}
        self.by_ask: dict[Ask, Granted] = {}
        self.uncertain: set[Ask] = set()
        self.limited: dict[str, tuple[float, str]] = {}
        """Holder → when he was first told limit_reached, and with which key."""
        self.sold_out = SoldOut()
        self.refused: dict[str, Refused] = {}
        """Reasons besides sold_out and limit_reached, but for overload, which decides nothing."""
        self._settled_s: dict[Ask, float] = {}
        self.limits_told = 0
        self.first_sent_s = float("inf")
        self._holders: dict[str, str] = {}

    def add(self, attempt: Attempt) -> None:
        """One claim."""
        # Each line of a file has a text of its own for the holder: one is enough.
        attempt = attempt._replace(holder=self._holders.setdefault(attempt.holder, attempt.holder))
        ask = (attempt.holder, attempt.key)
        self.first_sent_s = min(self.first_sent_s, attempt.sent_s)
        if attempt.granted and attempt.code:
            self._grant(ask, attempt)
        elif attempt.uncertain or attempt.granted:  # told that it is done, but not which coupon
            self.uncertain.add(ask)
        elif attempt.status != BUSY:
            self._refuse(ask, attempt)

    def _grant(self, ask: Ask, attempt: Attempt) -> None:
        self._replays.checked += 1
        earlier, owner = self.by_ask.get(ask), self.coupons.get(attempt.code)
        if earlier is None:
            earlier = self.by_ask[ask] = Granted(attempt)
        elif earlier.code != attempt.code:
            self._violate("one key was given two coupons", attempt, code=earlier.code, and_then=attempt.code)
        elif earlier.seq != attempt.seq:
            self._violate("a coupon was told with two numbers", attempt, seq=earlier.seq, and_then=attempt.seq)
        if owner is None:
            self.coupons[attempt.code] = earlier if earlier.code == attempt.code else Granted(attempt)
        elif (owner.holder, owner.key) != ask:
            other = {"also_holder": owner.holder, "also_key": owner.key}
            self._violate("one coupon was given to two", attempt, code=attempt.code, seq=attempt.seq, **other)

    def _refuse(self, ask: Ask, attempt: Attempt) -> None:
        granted, replays = self.by_ask.get(ask), attempt.outcome in REFUSALS
        if replays and granted is not None and attempt.sent_s >= granted.answered_s:
            self._replays.checked += 1
            self._violate("whoever has a coupon was refused it", attempt, code=granted.code, told=attempt.outcome)
        elif replays and ask in self.uncertain:
            self._settled_s[ask] = max(self._settled_s.get(ask, 0.0), attempt.sent_s)
        if attempt.outcome == SOLD_OUT:
            self.sold_out.add(attempt)
        elif attempt.outcome == LIMIT_REACHED:
            self.limits_told += 1
            if attempt.holder not in self.limited or attempt.answered_s < self.limited[attempt.holder][0]:
                self.limited[attempt.holder] = (attempt.answered_s, attempt.key)
        else:
            self.refused.setdefault(attempt.outcome, Refused(attempt)).add(attempt)

    def _violate(self, why: str, attempt: Attempt, **row: Any) -> None:
        self._replays.violate(why, campaign=self.campaign, holder=attempt.holder, key=attempt.key, **row)

    def unsettled(self) -> dict[str, list[Unsettled]]:
        """Holder → the keys he asked with and was told of no coupon: each may be a row, or none."""
        unsettled: dict[str, list[Unsettled]] = {}
        for holder, key in self.uncertain - self.by_ask.keys():
            unsettled.setdefault(holder, []).append(Unsettled(key, self._settled_s.get((holder, key), 0.0)))
        return unsettled
