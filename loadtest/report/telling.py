"""Pure: each chart in a sentence or two, with its peak and what is usual, for whoever does not see it."""

from collections.abc import Sequence
from itertools import pairwise

from loadtest.report.course import claims_each_second
from loadtest.report.families import Family, family_of
from loadtest.report.figures import amount, clock, count, known, median, milliseconds, percent, plural, seconds
from loadtest.report.result import Result, Seconds

UNREAD = "Nothing is known of it: it could not be read during this run."


def members(course: Seconds, family: Family) -> list[str]:
    """The outcomes of a family that were counted."""
    return [name for name in course.outcomes if family_of(name) == family]


def claims(result: Result) -> str:
    """Claims a second."""
    course = result.seconds
    each = claims_each_second(course)
    if not any(each):
        return "No claim was answered in this run."
    peak = max(each)
    busy = [value for value in each if value]
    users = max(known(course.users), default=0)
    crowd = f"; at most {plural(users, 'user')} at once" if users else ""
    return (
        f"{plural(sum(each), 'claim')} answered, {count(peak)} in the busiest second (at {_at(course, each, peak)}), "
        f"{count(median(busy))} in a usual one{crowd}."
    )


def outcomes(result: Result) -> str:
    """What became of the claims."""
    total = sum(result.outcomes.values())
    if not total:
        return "No claim was answered in this run."
    ranked = sorted((item for item in result.outcomes.items() if item[1]), key=lambda item: -item[1])
    shown = [f"{count(number)} {name} ({percent(number / total)})" for name, number in ranked[:6]]
    rest = sum(number for _, number in ranked[6:])
    return f"Of {plural(total, 'claim')}: {', '.join(shown)}{f', {count(rest)} something else' if rest else ''}."


def latency(result: Result) -> str:
    """How long claims took."""
    course = result.seconds
    slowest = max(known(course.p99_ms), default=None)
    if slowest is None:
        return "No claim was answered in this run."
    at = _at(course, course.p99_ms, slowest)
    return (
        f"In a usual second p50 is {milliseconds(median(known(course.p50_ms)))}, "
        f"p95 {milliseconds(median(known(course.p95_ms)))} and p99 {milliseconds(median(known(course.p99_ms)))}; "
        f"in the slowest, at {at}, p99 is {milliseconds(slowest)}."
    )


def stock(result: Result) -> str:
    """How the stock of each campaign went."""
    course, told = result.seconds, []
    for campaign, values in course.stock.items():
        read = known(values)
        if not read:
            told.append(f"{campaign}: not read")
            continue
        gone = next((at for at, value in zip(course.at_s, values, strict=True) if value == 0), None)
        when = f", nothing left at {clock(gone)}" if gone is not None else ""
        read_at = [at for at, value in zip(course.at_s, values, strict=True) if value is not None]
        rises = [at for at, (before, after) in zip(read_at[1:], pairwise(read), strict=True) if after > before]
        more = f", up at {', '.join(map(clock, rises[:3]))}{' and later' if len(rises) > 3 else ''}" if rises else ""
        told.append(f"{campaign}: {count(read[0])} at first{when}{more}, {count(read[-1])} at the end")
    if not any(known(values) for values in course.stock.values()):
        return UNREAD
    rest = f"; and {plural(len(told) - 6, 'campaign')} more" if len(told) > 6 else ""
    return f"{'; '.join(told[:6])}{rest}."


def lag(result: Result) -> str:
    """How far the books were behind."""
    course = result.seconds
    behind, waiting = known(course.drain_lag_s), known(course.drain_lag_seq)
    if not behind and not waiting:
        return UNREAD
    told = []
    if behind:
        peak = max(behind)
        told.append(
            f"The books were {seconds(peak)} behind at most (at {_at(course, course.drain_lag_s, peak)}), "
            f"{seconds(median(behind))} usually, {seconds(behind[-1])} at the end."
        )
    if waiting:
        told.append(f"At most {plural(max(waiting), 'state change')} waited.")
    return " ".join(told)


def batch(result: Result) -> str:
    """How many claims travelled together."""
    course = result.seconds
    sizes = known(course.batch_claims)
    if not sizes:
        return UNREAD
    peak = max(sizes)
    return (
        f"A call to Redis carried {amount(peak)} claims on average in its fullest second "
        f"(at {_at(course, course.batch_claims, peak)}), {amount(median(sizes))} in a usual one."
    )


def _at(course: Seconds, values: Sequence[float | None], value: float) -> str:
    return clock(course.at_s[values.index(value)])
