"""A replay from beginning to end: campaigns, claims and redemptions, the oracle, the books, the verdict."""

from collections import Counter
from collections.abc import Callable
from time import perf_counter
from typing import IO, Any

from loadtest.client import local_address
from loadtest.target import Target
from loadtest.trace.campaigns import Terms, make_campaigns
from loadtest.trace.course import Course
from loadtest.trace.judged import Booked, BooksDiffer, NotJudged, judge
from loadtest.trace.play import REDEEMED, Play
from loadtest.trace.rows import Trace
from loadtest.trace.truth import Truth, compare, write_rows

Watch = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


class Replay:
    """
    One run of *trace*, in the order of *course*, on campaigns of its own.

    *verdict* is the gateway's, None while there is none, and then *unjudged* says why. *differs* says where the books
    have something else than was told, empty for nowhere.
    """

    def __init__(self, target: Target, trace: Trace, course: Course, terms: Terms, watch: Watch) -> None:
        self.trace, self.course, self.terms = trace, course, terms
        self._target, self._watch = target, watch
        self._address = local_address(target.gateway_url)
        self._campaigns = {row.coupon: terms.campaign(row.coupon) for row in trace.rows}
        self.play = Play(target, self._address, trace.rows, course, terms)
        self.verdict: dict[str, Any] | None = None
        self.unjudged, self.differs, self.made_s = "", "", 0.0

    async def run(self, connections: int, books_wait_s: float) -> None:
        """Do all of it. Errors: NotMade, Away."""
        watch, steps, began = self._watch, len(self.course.steps), perf_counter()
        make = make_campaigns(
            self._target, self._address, self.trace.rows, self.terms,
            lambda made: watch("campaigns", made, len(self._campaigns)),
        )  # fmt: skip
        await make
        self.made_s = perf_counter() - began
        await self.play.run(connections, lambda answered: watch("answers", answered, steps))
        told = self._told()
        try:
            self.verdict = await judge(
                self._target, self._address, told, books_wait_s, lambda booked: watch("books", booked, len(told))
            )
        except NotJudged as error:
            self.unjudged = str(error)
        except BooksDiffer as error:
            self.differs = str(error)

    def _told(self) -> dict[str, Booked]:
        rows, play = self.trace.rows, self.play
        claimed = Counter(row.coupon for row, code in zip(rows, play.codes, strict=True) if code)
        redeemed = Counter(row.coupon for row, came in zip(rows, play.redemptions, strict=True) if came == REDEEMED)
        return {name: Booked(claimed[coupon], redeemed[coupon]) for coupon, name in self._campaigns.items()}

    def truth(self) -> Truth:
        """What came of the rows so far, beside the oracle."""
        return compare(self.trace.rows, self.course, self.play)

    def write_rows(self, out: IO[str]) -> None:
        """Every row with both outcomes, as CSV."""
        write_rows(out, self.trace.rows, self.course, self.play)

    def report(self) -> dict[str, Any]:
        """Everything, for JSON. *holds* is whether rows, books and verdict are as they have to be."""
        truth, tally, terms = self.truth(), self.play.tally, self.terms
        judged = self.verdict
        return {
            "holds": truth.holds and not self.differs and (judged is None or judged["holds"]),
            "run": terms.run,
            "rows": len(self.trace.rows),
            "without_coupon": self.trace.without_coupon,
            "campaigns": len(self._campaigns),
            "stock": terms.stock,
            "limit": terms.limit,
            "currency": terms.currency,
            "made_s": round(self.made_s, 2),
            "elapsed_s": round(tally.elapsed_s, 2),
            "answers_per_s": round(sum(tally.statuses.values()) / tally.elapsed_s) if tally.elapsed_s else 0,
            "p50_ms": round(tally.percentile_ms(50), 2),
            "p99_ms": round(tally.percentile_ms(99), 2),
            **truth.data(),
            "books": self.differs or None,
            "verdict": judged,
            "unjudged": self.unjudged or None,
        }
