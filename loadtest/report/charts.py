"""Pure: what each chart of the page shows. The page's script draws it and knows nothing of load tests."""

import re
from collections.abc import Iterable

import msgspec

from loadtest.report import telling
from loadtest.report.course import Course, Values, course_of
from loadtest.report.figures import amount, count, known, shortened
from loadtest.report.result import Result

CAMPAIGNS_MAX = 6
MARKS_MAX = 300
_LINES = ("blue", "amber", "purple", "green", "red", "grey")


class Line(msgspec.Struct, frozen=True):
    """
    One line; *colour* is one of the page's. *side* is the axis. *rest* is shown while no cursor is on the chart.

    *style*: line, area, step or dashes.
    """

    name: str
    colour: str
    values: Values
    rest: str
    side: str = "left"
    style: str = "line"


class Limit(msgspec.Struct, frozen=True):
    """A level that was asked for."""

    value: float
    says: str


class Chart(msgspec.Struct, frozen=True):
    """
    One chart: *says* is all of it in a sentence, for whoever does not see it; *rest_says* what *rest* of its lines is.

    *kind*: lines, or pile, whose lines lie upon each other. *scale*: linear or log. Without lines there is nothing to
    draw. *unit* and *right_unit* are those of the axes.
    """

    id: str
    title: str
    unit: str
    says: str
    rest_says: str
    lines: list[Line]
    kind: str = "lines"
    scale: str = "linear"
    right_unit: str = ""
    limits: list[Limit] = []

    @property
    def two_sided(self) -> bool:
        """Whether a line goes by the axis on the right."""
        return any(line.side == "right" for line in self.lines)


class Sheet(msgspec.Struct, frozen=True):
    """All charts over one time axis."""

    at_s: list[float]
    step_s: int
    marks: list[tuple[float, str]]
    charts: list[Chart]


def sheet_of(result: Result) -> Sheet:
    """The charts of a run. Errors: ValueError if its seconds are not of one length."""
    course = course_of(result.seconds)
    charts = [
        _claims(result, course),
        _outcomes(result, course),
        _latency(result, course),
        _stock(result, course),
        _lag(result, course),
        _batch(result, course),
    ]
    marks = [(mark.at_s, shortened(mark.says, 80)) for mark in result.marks[:MARKS_MAX]]
    return Sheet(course.at_s, course.step_s, marks, charts)


def _claims(result: Result, course: Course) -> Chart:
    claims = course.claims_per_s if any(course.claims_per_s) else []
    lines = [
        Line("claims/s", "blue", claims, _most(claims), style="area"),
        Line("users", "grey", course.users, _most(course.users), side="right", style="dashes"),
    ]
    says = telling.claims(result)
    return Chart("claims", "Claims answered", "claims/s", says, "at most", _there(lines), right_unit="users")


def _outcomes(result: Result, course: Course) -> Chart:
    lines = []
    for family, name, values in course.pile:
        total = sum(sum(result.seconds.outcomes[each]) for each in telling.members(result.seconds, family))
        lines.append(Line(name, family.colour, values, count(total)))
    return Chart("outcomes", "What they were told", "claims/s", telling.outcomes(result), "in all", lines, kind="pile")


def _latency(result: Result, course: Course) -> Chart:
    colours = {"p50": "blue", "p95": "amber", "p99": "red"}
    lines = _there(Line(name, colours[name], values, _most(values)) for name, values in course.latency_ms.items())
    values = [value for line in lines for value in known(line.values)]
    # A scale of decades where a linear one would press the usual second flat against the axis.
    wide = bool(values) and max(values) > 15 * max(0.1, sorted(values)[len(values) // 3])
    return Chart(
        "latency",
        "How long a claim took",
        "ms",
        telling.latency(result),
        "at most",
        lines,
        scale="log" if wide else "linear",
        limits=_limits(result),
    )


def _stock(result: Result, course: Course) -> Chart:
    stocks = list(course.stock.items())[:CAMPAIGNS_MAX]
    lines = [
        Line(campaign, _LINES[at], values, count(next(iter(known(values[::-1])), None)), style="step")
        for at, (campaign, values) in enumerate(stocks)
    ]
    return Chart("stock", "Stock", "left", telling.stock(result), "at the end", _there(lines))


def _lag(result: Result, course: Course) -> Chart:
    lines = [
        Line("behind", "purple", course.lag_s, _most(course.lag_s), style="area"),
        Line("waiting", "grey", course.lag_seq, _most(course.lag_seq), side="right", style="dashes"),
    ]
    says = telling.lag(result)
    return Chart("lag", "Drain lag", "s", says, "at most", _there(lines), right_unit="state changes")


def _batch(result: Result, course: Course) -> Chart:
    lines = [Line("claims a call", "green", course.batch_claims, _most(course.batch_claims), style="area")]
    return Chart("batch", "Batch size", "claims", telling.batch(result), "at most", _there(lines))


def _there(lines: Iterable[Line]) -> list[Line]:
    return [line for line in lines if known(line.values)]


def _most(values: Values) -> str:
    return amount(max(known(values), default=None))


def _limits(result: Result) -> list[Limit]:
    """Those latencies that a gate asks for: its name is a percentile's, and *asked* has the milliseconds."""
    found = []
    for gate in result.gates:
        asked = re.search(r"([\d.,]+) ?ms", gate.asked)
        if re.fullmatch(r"p\d+", gate.name) and asked:
            found.append(Limit(float(asked[1].replace(",", "")), f"asked: {gate.name} {gate.asked}"))
    return found
