"""Plays a course: claims and redemptions over many connections at once, and what each of them came to."""

import asyncio
from collections.abc import Callable, Sequence
from time import perf_counter

from loadtest.client import Address, Tally
from loadtest.target import Target, claim_request
from loadtest.trace.campaigns import Terms
from loadtest.trace.course import Course
from loadtest.trace.lines import Answer, Line, together
from loadtest.trace.oracle import CLAIMED
from loadtest.trace.redeeming import redemption_request
from loadtest.trace.rows import Row

REDEEMED, NOTHING = "redeemed", ""
TOKEN_TTL_S = 86_400
WATCH_S = 0.25


class Play:
    """
    One course of *rows*; tokens are minted when it is made, so that playing it only sends.

    *claims* and *redemptions* have the outcome of each row's, empty while there is none: `claimed` and `redeemed` where
    the worth is right too, else what the gateway answered. *codes* has the coupons.
    """

    def __init__(self, target: Target, address: Address, rows: Sequence[Row], course: Course, terms: Terms) -> None:
        self._target, self._address, self._rows, self._course, self._terms = target, address, rows, course, terms
        mint = target.tokens(TOKEN_TTL_S + round(terms.lasts_s))
        self._tokens = {user: mint.token(user) for user in {row.user for row in rows}}
        self._ready: asyncio.PriorityQueue[int] = asyncio.PriorityQueue()
        self._finished = 0
        self.claims, self.redemptions, self.codes = ([NOTHING] * len(rows) for _ in range(3))
        self.tally = Tally()

    async def run(self, connections: int, watch: Callable[[int], None]) -> None:
        """
        Play it to its end; *watch* is told how many steps are answered, a few times a second.

        Always the earliest step that may be asked is asked next. Errors: Away.
        """
        began = perf_counter()
        for step in self._course.start():
            self._ready.put_nowait(step)
        watching = asyncio.create_task(self._watch(watch))
        clock = [self._clock(began)] if self._course.is_paced else []
        try:
            await together([*(self._line(connections) for _ in range(connections)), *clock])
        finally:
            watching.cancel()
            self.tally.elapsed_s = perf_counter() - began
            watch(self._finished)

    async def _watch(self, watch: Callable[[int], None]) -> None:
        while True:
            watch(self._finished)
            await asyncio.sleep(WATCH_S)

    async def _clock(self, began: float) -> None:
        for place, step in enumerate(self._course.steps):
            early_s = began + step.due_s - perf_counter()
            if early_s > 0:
                await asyncio.sleep(early_s)
            for free in self._course.due(place):
                self._ready.put_nowait(free)

    async def _line(self, connections: int) -> None:
        steps = self._course.steps
        async with Line(self._address, self.tally) as line:
            while (place := await self._ready.get()) < len(steps):
                number, redeems, _ = steps[place]
                if redeems:
                    await self._redeem(line, number)
                else:
                    await self._claim(line, number)
                self._finished += 1
                for free in self._course.answered(place):
                    self._ready.put_nowait(free)
                if self._finished == len(steps):
                    for _ in range(connections - 1):
                        self._ready.put_nowait(len(steps))
                    return

    async def _claim(self, line: Line, number: int) -> None:
        row, terms = self._rows[number], self._terms
        key = f"{terms.run}-{row.line}"
        answer = await line.ask(claim_request(terms.campaign(row.coupon), self._tokens[row.user], key))
        if answer.status in (200, 201):
            coupon = answer.json()
            self.codes[number] = coupon["code"]
            worth, told = row.discount.value(), coupon["value"]
            is_right = all(told.get(name) == term for name, term in worth.items())
            self.claims[number] = CLAIMED if is_right else f"claimed as {told}"
        else:
            self.claims[number] = _refusal(answer)

    async def _redeem(self, line: Line, number: int) -> None:
        row, code = self._rows[number], self.codes[number]
        if not code:
            self.redemptions[number] = "nothing to redeem"
            return
        answer = await line.ask(redemption_request(self._target.admin_key, self._terms, row, code))
        if answer.status in (200, 201):
            minor = answer.json()["discount"]["minor"]
            self.redemptions[number] = REDEEMED if minor == row.discount.taken_minor else f"redeemed with {minor} off"
        else:
            self.redemptions[number] = _refusal(answer)


def _refusal(answer: Answer) -> str:
    return str(answer.json().get("code", answer.status))
