"""What tills and marketers of one campaign were told: redemptions, rollbacks, stock adjustments."""

from typing import Any, NamedTuple

from loadtest.told import ADJUST, REDEEM, ROLLBACK, Attempt
from loadtest.verdict.found import Tallies

BUSY, FOREVER_S = 429, float("inf")
CHECKS = {REDEEM: "redeemed", ROLLBACK: "rolled_back", ADJUST: "adjusted"}
"""What is done by a key, and the check it is the business of."""


class Redeemed(NamedTuple):
    """A redemption as it was told: *code* is empty where whoever asked did not write down which it was."""

    ref: str
    code: str
    minor: int
    seq: int
    key: str


class GivenBack(NamedTuple):
    """A rollback as it was told."""

    seq: int
    minor: int


class Spent:
    """What was told of one campaign, and what was asked without an answer."""

    def __init__(self, campaign: str, tallies: Tallies) -> None:
        self.campaign, self._tallies = campaign, tallies
        self.redemptions: dict[str, Redeemed] = {}
        self.rollbacks: dict[tuple[str, str], GivenBack] = {}
        """Redemption and key → what came back."""
        self.adjustments: dict[str, int] = {}
        self.first_sent_s = float("inf")
        self._redeems: dict[tuple[str, str], str] = {}
        self._unsure_redeems: dict[tuple[str, str], str] = {}
        self._unsure_rollbacks: set[tuple[str, str]] = set()
        self._unsure_adjustments: dict[str, int] = {}
        self._done_s: dict[tuple[str, str, str], float] = {}

    def add(self, attempt: Attempt) -> None:
        """One of them. Holds and their release leave nothing behind that could be counted, and are passed over."""
        self.first_sent_s = min(self.first_sent_s, attempt.sent_s)
        if attempt.kind in CHECKS:
            self._again(attempt)
        if attempt.kind == REDEEM:
            self._redeem(attempt)
        elif attempt.kind == ROLLBACK:
            self._rollback(attempt)
        elif attempt.kind == ADJUST:
            self._adjust(attempt)

    def _again(self, attempt: Attempt) -> None:
        """What was done by a key is told again, whatever became of the coupon since."""
        about = attempt.ref if attempt.kind == ROLLBACK else attempt.holder
        ask = (attempt.kind, about, attempt.key)
        if attempt.granted:
            self._done_s.setdefault(ask, attempt.answered_s)
        elif not attempt.uncertain and attempt.status != BUSY and attempt.sent_s >= self._done_s.get(ask, FOREVER_S):
            self._violate(CHECKS[attempt.kind], "it was done by this key, which was refused it", attempt,
                          told=attempt.outcome)  # fmt: skip

    def _redeem(self, attempt: Attempt) -> None:
        ask = (attempt.holder, attempt.key)
        if attempt.granted and attempt.ref:
            told = Redeemed(attempt.ref, attempt.code, attempt.minor, attempt.seq, attempt.key)
            earlier = self.redemptions.setdefault(attempt.ref, told)
            first = self._redeems.setdefault(ask, attempt.ref)
            if first != attempt.ref:
                self._violate("redeemed", "one key was given two redemptions", attempt, and_then=first)
            elif (earlier.code, earlier.minor) != (told.code, told.minor):
                self._violate("redeemed", "a redemption was told in two ways", attempt, told=earlier, and_then=told)
        elif attempt.uncertain or attempt.granted:
            self._unsure_redeems[ask] = attempt.code

    def _rollback(self, attempt: Attempt) -> None:
        ask = (attempt.ref, attempt.key)
        if attempt.granted:
            told = GivenBack(attempt.seq, attempt.minor)
            earlier = self.rollbacks.setdefault(ask, told)
            if earlier != told:
                self._violate("rolled_back", "one key was told two rollbacks", attempt, told=earlier, and_then=told)
        elif attempt.uncertain:
            self._unsure_rollbacks.add(ask)

    def _adjust(self, attempt: Attempt) -> None:
        if attempt.granted:
            earlier = self.adjustments.setdefault(attempt.key, attempt.minor)
            if earlier != attempt.minor:
                self._violate("adjusted", "one key was told two amounts", attempt, told=earlier, and_then=attempt.minor)
        elif attempt.uncertain:
            self._unsure_adjustments[attempt.key] = attempt.minor

    def _violate(self, check: str, why: str, attempt: Attempt, **row: Any) -> None:
        self._tallies[check].violate(
            why, campaign=self.campaign, key=attempt.key, code=attempt.code, redemption=attempt.ref, **row
        )

    def unsure_redeems(self) -> list[str]:
        """The code, or '' for any, of each redemption that may have been done although nobody was told so."""
        return [code for ask, code in self._unsure_redeems.items() if ask not in self._redeems]

    def unsure_rollbacks(self) -> list[str]:
        """The redemption of each rollback that may have been done although nobody was told so."""
        return [ref for ref, key in self._unsure_rollbacks if (ref, key) not in self.rollbacks]

    def unsure_adjustments(self) -> dict[str, int]:
        """Key → units of each adjustment that may have been done although nobody was told so."""
        return {key: units for key, units in self._unsure_adjustments.items() if key not in self.adjustments}
