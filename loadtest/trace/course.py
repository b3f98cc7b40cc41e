"""
Pure: which step of a replay may be asked when, so that the outcome is that of one step after the other.

Asking one row at a time would measure the distance to the gateway. Steps of different users may be on their way at
once where the order among them decides nothing, which is everywhere but at one place of each coupon: the row that
takes its last unit. Before that row there is stock for everybody who has a right to some; after it there is none for
anybody. So a coupon's later rows wait until every row up to that one is answered, and each user's steps wait for
his one before. Every wait is for an earlier step, so the earliest step that is not answered can always be asked.
"""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from loadtest.trace.oracle import CLAIMED, expected
from loadtest.trace.rows import Row

DAY_S = 86_400


class Step(NamedTuple):
    """The claim of a row, or the redemption of what it got; due *due_s* seconds after the beginning."""

    row: int
    redeems: bool
    due_s: float = 0.0


def in_order_of_file(rows: Sequence[Row]) -> list[Step]:
    """Row after row, each redeemed at once if it ever was."""
    return [
        Step(number, redeems)
        for number, row in enumerate(rows)
        for redeems in ((False, True) if row.used is not None else (False,))
    ]


def in_order_of_days(rows: Sequence[Row], speed: float) -> list[Step]:
    """
    Day after day, and within a day claims in the order of the file before redemptions, evenly over the day.

    *speed* is how many times as fast as it was.
    """
    days: dict[date, list[tuple[int, bool]]] = {}
    for redeems in (False, True):
        for number, row in enumerate(rows):
            day = row.used if redeems else row.received
            if day is not None:
                days.setdefault(day, []).append((number, redeems))
    first = min(days)
    return [
        Step(number, redeems, ((day - first).days + place / len(days[day])) * DAY_S / speed)
        for day in sorted(days)
        for place, (number, redeems) in enumerate(days[day])
    ]


def lasts_s(rows: Sequence[Row], speed: float | None) -> float:
    """How long the days of a trace take at that speed; 0 where it is played as fast as it goes."""
    if speed is None:
        return 0.0
    days = [row.received for row in rows] + [row.used for row in rows if row.used is not None]
    return ((max(days) - min(days)).days + 1) * DAY_S / speed


class Course:
    """
    The steps of a replay and what each waits for.

    *outcomes* is what the oracle says of each row. A step is left out where there is nothing to redeem.
    """

    def __init__(self, rows: Sequence[Row], steps: Sequence[Step], stock: int | None, limit: int) -> None:
        order = [step.row for step in steps if not step.redeems]
        self.outcomes = expected(rows, order, stock, limit)
        self.steps = [step for step in steps if not step.redeems or self.outcomes[step.row] == CLAIMED]
        self.is_paced = self.steps[-1].due_s > 0
        self._waits = [int(self.is_paced)] * len(self.steps)
        self._then: list[list[int]] = [[] for _ in self.steps]
        self._chain_users(rows)
        if stock is not None:
            self._gate_coupons(rows, stock)

    def _chain_users(self, rows: Sequence[Row]) -> None:
        last: dict[str, int] = {}
        for place, step in enumerate(self.steps):
            user = rows[step.row].user
            if user in last:
                self._wait(place, last[user])
            last[user] = place

    def _gate_coupons(self, rows: Sequence[Row], stock: int) -> None:
        claims: dict[str, list[int]] = {}
        for place, step in enumerate(self.steps):
            if not step.redeems:
                claims.setdefault(rows[step.row].coupon, []).append(place)
        for places in claims.values():
            takers = [n for n, place in enumerate(places) if self.outcomes[self.steps[place].row] == CLAIMED]
            if len(takers) < stock:
                continue
            gate = len(self._then)  # no step: it is there to be waited for
            self._then.append([])
            self._waits.append(0)
            for place in places[: takers[-1] + 1]:
                self._wait(gate, place)
            for place in places[takers[-1] + 1 :]:
                self._wait(place, gate)

    def _wait(self, place: int, for_: int) -> None:
        self._then[for_].append(place)
        self._waits[place] += 1

    def start(self) -> list[int]:
        """Numbers of the steps that wait for nothing; in a paced course each waits for its time at least."""
        return [place for place in range(len(self.steps)) if not self._waits[place]]

    def due(self, place: int) -> list[int]:
        """That step, unless it waits for others; its time has come."""
        self._waits[place] -= 1
        return [] if self._waits[place] else [place]

    def answered(self, place: int) -> list[int]:
        """Numbers of the steps that waited for nothing but this one."""
        free = []
        for following in self._then[place]:
            self._waits[following] -= 1
            if not self._waits[following]:
                free += [following] if following < len(self.steps) else self.answered(following)
        return free
