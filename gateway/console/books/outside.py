"""Beside a settlement: what files of other systems say of the same merchant and time, and how much of it differs."""

from typing import NamedTuple

import msgspec

from gateway.console.books.cells import Cell, figure
from gateway.console.locales import N_
from gateway.console.page import Visit
from gateway.sql import postgres
from reconciler.outside.files import OutsideFile, list_files
from reconciler.outside.matching import OUTCOMES, Summary
from reconciler.reports.shape import Asked, Report

REPORTS_BESIDE = ("merchant-settlement", "merchant-statement")
FILES_MAX, LOOKED_AT_MAX = 10, 200
MEASURE_WORDS = {
    "discount": N_("Discounts given"),
    "net": N_("Discounts that did not come back"),
    "order": N_("Worth of the orders"),
}
OUTCOME_WORDS = {
    "missing_here": N_("only there"),
    "missing_there": N_("only here"),
    "amount_differs": N_("another amount"),
    "duplicate": N_("twice in the file"),
}
assert set(OUTCOME_WORDS) == set(OUTCOMES), "each outcome has its words"


class Told(NamedTuple):
    """A file, what it and we come to by its last run, and its differences; None where it was never compared."""

    file: OutsideFile
    days: str
    here: Cell | None
    there: Cell | None
    orders: int
    differences: list[tuple[str, int]] | None


async def outside_of(visit: Visit, report: Report, asked: Asked) -> list[Told] | None:
    """The newest files that are about what *report* was asked for; None for another report. Errors: Refusal."""
    if report.name not in REPORTS_BESIDE:
        return None
    async with postgres(visit.here.pool) as connection:
        found = await list_files(connection, None, LOOKED_AT_MAX)
    told, counted = list[Told](), set[str]()
    for file, summary in found:
        if file.first in counted or not _is_about(file, asked):
            continue  # of files that take each other's place the newest counts
        counted.add(file.first)
        told.append(_told(visit, file, msgspec.convert(summary, Summary) if summary else None))
    return told[:FILES_MAX]


def _is_about(file: OutsideFile, asked: Asked) -> bool:
    """Whether some of the file is of what is asked for."""
    return (
        (asked.entity is None or file.entity == asked.entity)
        and (asked.merchant is None or file.merchant is None or file.merchant == asked.merchant)
        and (asked.since is None or file.until >= asked.since)
        and (asked.until is None or file.since <= asked.until)
    )


def _told(visit: Visit, file: OutsideFile, summary: Summary | None) -> Told:
    words = visit.words
    days = f"{words.day(file.since)} – {words.day(file.until)}"
    if summary is None:
        return Told(file, days, None, None, 0, None)
    groups = [summary.matched, *(getattr(summary, outcome) for outcome in OUTCOMES)]
    sides = (sum(group.here_minor for group in groups), sum(group.there_minor for group in groups))
    here, there = (figure(words, side, file.currency) for side in sides)
    differences = [
        (OUTCOME_WORDS[outcome], getattr(summary, outcome).orders)
        for outcome in OUTCOMES
        if getattr(summary, outcome).orders
    ]
    return Told(file, days, here, there, sum(group.orders for group in groups), differences)
