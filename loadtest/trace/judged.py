"""
The end of a replay: the books are awaited, coupon by coupon, and the gateway is asked for its verdict.

Over HTTP like all the rest: from reports, which are read where a credential may read them.
"""

import asyncio
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, NamedTuple
from urllib.parse import quote

from loadtest.client import Address, Tally
from loadtest.target import Target
from loadtest.trace.campaigns import get
from loadtest.trace.lines import Away, Line

POLL_S = 0.25
_ANSWER_S_MAX, _AWAY_S_MAX = 130.0, 150.0
"""A verdict may take two minutes, and another one may be on its way."""


class Booked(NamedTuple):
    """How many coupons of a campaign were claimed, and how many of these redeemed."""

    claimed: int
    redeemed: int


NONE = Booked(0, 0)


class NotJudged(Exception):
    """There is no verdict, and this is why."""


class BooksDiffer(Exception):
    """The books have more than the replay was told."""


async def judge(
    target: Target, address: Address, told: Mapping[str, Booked], books_wait_s: float, watch: Callable[[int], None]
) -> dict[str, Any]:
    """
    The verdict of the gateway, once its books have what was *told* of each campaign: of it where there is one alone,
    else of everything.

    *watch* is told of how many campaigns the books have all of it. Units: seconds. Errors: BooksDiffer, NotJudged.
    """
    async with Line(address, Tally(), answer_s_max=_ANSWER_S_MAX, away_s_max=_AWAY_S_MAX) as line:
        await _await_books(line, target.admin_key, told, books_wait_s, watch)
        one = f"?campaign={next(iter(told))}" if len(told) == 1 else ""
        return await _read(line, target.admin_key, f"/v1/reports/verdict{one}")


async def _await_books(
    line: Line, api_key: str, told: Mapping[str, Booked], within_s: float, watch: Callable[[int], None]
) -> None:
    """Look at every campaign as often as it takes until all are there. Errors: BooksDiffer, NotJudged."""
    until = perf_counter() + within_s
    while True:
        booked = await _booked(line, api_key, next(iter(told)) if len(told) == 1 else None)
        wrong = {name: wanted for name, wanted in told.items() if booked.get(name, NONE) != wanted}
        watch(len(told) - len(wrong))
        if not wrong:
            return
        for name, wanted in wrong.items():
            found = booked.get(name, NONE)
            if found.claimed > wanted.claimed or found.redeemed > wanted.redeemed:
                raise BooksDiffer(f"{name}: told {_counts(wanted)}, but the books have {_counts(found)}")
        if perf_counter() > until:
            name, wanted = next(iter(wrong.items()))
            behind = f"{name} has {_counts(booked.get(name, NONE))} of {_counts(wanted)}"
            raise NotJudged(f"after {within_s:g} s the books lack claims of {len(wrong):,} campaigns: {behind}")
        await asyncio.sleep(POLL_S)


async def _booked(line: Line, api_key: str, campaign: str | None) -> dict[str, Booked]:
    """What the books have of each campaign they have something of, page after page. Errors: NotJudged."""
    booked, asked = dict[str, Booked](), f"?by=campaign{f'&campaign={campaign}' if campaign else ''}"
    path = cursor = f"/v1/reports/roll-forward{asked}"
    while True:
        page = await _read(line, api_key, cursor)
        booked |= {row["campaign"]: Booked(row["claimed"], row["redeemed"]) for row in page["rows"]}
        if page["next"] is None:
            return booked
        cursor = f"{path}&cursor={quote(page['next'])}"


def _counts(booked: Booked) -> str:
    return f"{booked.claimed:,} claimed and {booked.redeemed:,} redeemed"


async def _read(line: Line, api_key: str, path: str) -> dict[str, Any]:
    """Errors: NotJudged."""
    try:
        answer = await line.ask(get(api_key, path))
    except Away as error:
        raise NotJudged(f"{path}: {error}") from None
    if answer.status != 200:
        raise NotJudged(f"{path}: {answer.status} {answer.text()}")
    body: dict[str, Any] = answer.json()
    return body
