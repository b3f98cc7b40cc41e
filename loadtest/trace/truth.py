"""Pure: what came of a replay beside what the oracle says, in figures and row by row."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import IO, Any, NamedTuple

from loadtest.trace.course import Course
from loadtest.trace.oracle import CLAIMED, LIMIT_REACHED, SOLD_OUT
from loadtest.trace.play import NOTHING, REDEEMED, Play
from loadtest.trace.rows import Row


class Difference(NamedTuple):
    """A row that came to something else: its line in the file and what was *expected* and *found* of its *step*."""

    line: int
    user: str
    coupon: str
    step: str
    expected: str
    found: str


@dataclass
class Figures:
    """How many rows came to what; *face_minor* sums what threshold coupons take off, *rates* counts the others."""

    claimed: int = 0
    limit_reached: int = 0
    sold_out: int = 0
    other: int = 0
    face_minor: int = 0
    rates: int = 0
    redeemed: int = 0
    redeemed_minor: int = 0

    @classmethod
    def of(cls, rows: Sequence[Row], claims: Sequence[str], redemptions: Sequence[str]) -> "Figures":
        """The figures of outcomes, a row each."""
        counts = Counter(claims)
        discounts = [row.discount for row, claim in zip(rows, claims, strict=True) if claim == CLAIMED]
        spent = [row.discount for row, redemption in zip(rows, redemptions, strict=True) if redemption == REDEEMED]
        claimed, limit_reached, sold_out = counts[CLAIMED], counts[LIMIT_REACHED], counts[SOLD_OUT]
        return cls(
            claimed=claimed,
            limit_reached=limit_reached,
            sold_out=sold_out,
            other=len(claims) - claimed - limit_reached - sold_out - counts[NOTHING],
            face_minor=sum(discount.off_minor for discount in discounts),
            rates=sum(discount.percent > 0 for discount in discounts),
            redeemed=len(spent),
            redeemed_minor=sum(discount.taken_minor for discount in spent),
        )


@dataclass
class Truth:
    """Both sides of a replay, and the rows that differ. A row without an answer differs from none."""

    expected: Figures
    found: Figures
    answered: int
    differing: list[Difference] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether every row that was answered came to what the oracle says."""
        return not self.differing

    def data(self) -> dict[str, Any]:
        """For JSON; of the rows that differ the first."""
        return {
            "expected": asdict(self.expected),
            "found": asdict(self.found),
            "answered": self.answered,
            "differing": len(self.differing),
            "first": self.differing[0]._asdict() if self.differing else None,
        }


def compare(rows: Sequence[Row], course: Course, play: Play) -> Truth:
    """Every row's outcome with the oracle's, in the order of the file; no coupon was told twice either."""
    used = {step.row for step in course.steps if step.redeems}
    redemptions = [REDEEMED if number in used else NOTHING for number in range(len(rows))]
    truth = Truth(
        Figures.of(rows, course.outcomes, redemptions),
        Figures.of(rows, play.claims, play.redemptions),
        answered=sum(claim != NOTHING for claim in play.claims),
    )
    owners: dict[str, int] = {}
    for number, row in enumerate(rows):
        sides = [("claim", course.outcomes[number], play.claims[number])]
        sides.append(("redemption", redemptions[number], play.redemptions[number]))
        first = owners.setdefault(play.codes[number], row.line) if play.codes[number] else row.line
        if first != row.line:
            sides.append(("coupon", "another one", f"that of line {first}"))
        truth.differing += [
            Difference(row.line, row.user, row.coupon, step, wanted, found)
            for step, wanted, found in sides
            if found not in (NOTHING, wanted)
        ]
    return truth


def write_rows(out: IO[str], rows: Sequence[Row], course: Course, play: Play) -> None:
    """Every row with both outcomes and its code, as CSV."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("line", "user", "coupon", "expected", "found", "code", "redemption"))
    for number, row in enumerate(rows):
        both = course.outcomes[number], play.claims[number]
        writer.writerow((row.line, row.user, row.coupon, *both, play.codes[number], play.redemptions[number]))
