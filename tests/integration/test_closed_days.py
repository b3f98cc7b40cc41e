"""What is asked of closed days has the same bytes whenever it is asked; as of a day a report has what stood then."""

import io
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

import psycopg
import pytest

from gateway.stack.postgres import Postgres
from reconciler.exports.manifest import manifest_bytes, manifest_of, read_books
from reconciler.periods.calendar import Period
from reconciler.periods.figures import campaigns_of
from reconciler.reports.catalog import REPORTS
from reconciler.reports.reading import rows_of
from reconciler.reports.shape import Asked, Report
from reconciler.reports.writing import FORMATS, Format, write
from tests.conftest import fresh_database
from tests.integration.closed_book import AFTER, CLOSED, SINCE, close, live, live_on
from tests.integration.draining import Books
from tests.integration.reporting import Reports, Rows, total

LIVE = ("outstanding", "reserved")
DAYS = [date(2026, 9, 20), date(2026, 10, 31), CLOSED, AFTER, None]
"""Days to look at the end of; None: now."""

Made = dict[str, bytes]
"""Files and manifests, by what was asked."""


class Closed(NamedTuple):
    """The book after all that happened, and what was exported of it when its days were closed."""

    reports: Reports
    exported: Made
    open: dict[str, Rows]


@pytest.fixture(scope="module")
def closed(postgres_server: Postgres) -> Iterator[Closed]:
    """One book for all tests: none of them writes."""
    with fresh_database(postgres_server) as url, Books(url) as books:
        left, reports = live(books), Reports(books, [])
        close(books)
        before = Closed(reports, exported(url), {name: reports.rows(name) for name in REPORTS})
        live_on(books, left)
        yield before


def asks(report: Report) -> list[Asked]:
    """Of closed days: all, one campaign, one entity, by all that there is; with a basis, as of the last of them."""
    days: dict[str, Any] = {"since": SINCE, "until": CLOSED}
    told: dict[str, Any] = {name: day for name, day in days.items() if name in report.takes}
    found = [Asked(**told), Asked(**told, campaign="tea"), Asked(until=CLOSED), Asked(**told, entity="main")]
    if report.groups:
        found.append(Asked(**told, by=tuple(name for name in report.groups if name != "month")))
    if report.forecast:
        found += [Asked(since=SINCE, until=date(2027, 2, 1), as_of=CLOSED, by=("month",)), Asked(as_of=CLOSED)]
    elif "as_of" in report.takes:
        found += [Asked(since=SINCE, until=date(2026, 10, 5), as_of=CLOSED), Asked(as_of=CLOSED, campaign="card")]
    if "basis" in report.takes:
        found += [Asked(**told, as_of=CLOSED, basis="occurred"), Asked(as_of=CLOSED, basis="posted")]
    return found


def exported(url: str) -> Made:
    """Each report, with its manifest, however it may be asked; in every format once, and as CSV."""
    made: Made = {}
    for report in REPORTS.values():
        for number, asked in enumerate(asks(report)):
            with psycopg.connect(url) as connection:
                rows, read = list(rows_of(connection, report, asked)), read_books(connection, report, asked)
            assert read.closed
            formats: list[Format] = ["csv"] if number else [*FORMATS]
            for format in formats:
                if format == "beancount" and report.name != "journal":
                    continue
                out = io.BytesIO()
                sums = write(report, asked, rows, format, out)
                digest = sha256(out.getvalue()).hexdigest()
                manifest = manifest_of(report, asked, format, read, sums, bytes_=out.tell(), sha256=digest)
                place = f"{report.name} {number}.{format}"
                made |= {place: out.getvalue(), f"{place}: manifest": manifest_bytes(manifest)}
    return made


def test_closed_days_are_exported_to_the_same_bytes_whatever_happens_then(closed: Closed) -> None:
    """Every report, in every format, and its manifest; while what is asked without a day has changed in each."""
    again = exported(closed.reports.books.url)

    assert [place for place, data in closed.exported.items() if again[place] != data] == []
    assert again.keys() == closed.exported.keys()
    assert [name for name in REPORTS if closed.reports.rows(name) == closed.open[name]] == []


def test_a_file_is_of_closed_days_where_those_it_is_asked_of_have_closed_them(closed: Closed) -> None:
    """While one of two legal entities is open, only what is asked of the other one says so."""
    until, report = Asked(until=CLOSED), REPORTS["roll-forward"]
    of_main, of_other = (Asked(until=CLOSED, entity=name) for name in ("main", "other"))
    with psycopg.connect(closed.reports.books.url) as connection:
        assert read_books(connection, report, until).closed
        connection.execute("UPDATE legal_entities SET closed_through = NULL WHERE id = 'other'")
        found = [read_books(connection, report, asked).closed for asked in (until, of_main, of_other)]
        connection.rollback()
    assert found == [False, True, False]


def test_much_has_happened_since_to_what_is_closed(closed: Closed) -> None:
    """Each way that a coupon given out before the close can change came after it; and claims and more came late."""
    query = """SELECT DISTINCT later.kind FROM coupon_entries AS later JOIN coupon_entries AS firsts USING (code)
        WHERE firsts.kind IN ('claimed', 'issued') AND firsts.effective_date <= %s AND later.effective_date > %s"""
    found = {kind for (kind,) in closed.reports.books.rows(query, CLOSED, CLOSED)}
    assert found >= {"reserved", "released", "redeemed", "rolled_back", "expired", "revoked"}
    query = "SELECT DISTINCT verb FROM journals WHERE original_date = %s AND effective_date > %s"
    assert {verb for (verb,) in closed.reports.books.rows(query, CLOSED, CLOSED)} >= {"claim", "redeem"}
    query = """SELECT count(*) FROM rollbacks JOIN redemptions ON id = redemption JOIN coupon_entries AS entries
        ON entries.shard = redemptions.shard AND entries.seq = redemptions.seq
        JOIN coupon_entries AS backs ON backs.shard = rollbacks.shard AND backs.seq = rollbacks.seq
        WHERE entries.effective_date <= %s AND backs.effective_date > %s"""
    assert closed.reports.books.value(query, CLOSED, CLOSED) > 5


class Stood(NamedTuple):
    """The sub-ledger up to the end of a day, reckoned here and by nothing of the reports."""

    coupons: dict[str, dict[str, Any]]
    redeemed: dict[str, datetime]


def stood(reports: Reports, day: date | None) -> Stood:
    """Each coupon as its steps up to *day* leave it, and when each was first redeemed that still is."""
    rows = reports.books.rows(
        "SELECT to_jsonb(e), at, expires_at, effective_date FROM coupon_entries AS e ORDER BY shard, seq"
    )
    coupons: dict[str, dict[str, Any]] = {}
    given, first = Counter[tuple[str, str]](), dict[tuple[str, str], datetime]()
    for row, at, until, on in rows:
        kind, code = row["kind"], row["code"]
        if code is None or (day is not None and on > day):
            continue
        if kind in ("claimed", "issued"):
            coupons[code] = {
                "shard": row["shard"], "seq": row["seq"], "on": on, "claimed_at": at, "state": "claimed", "left": None,
                "expires_at": until, "reserved_until": None, "order_id": "", "changed_seq": row["seq"],
                "out": row["units"] or 1,
            }  # fmt: skip
            continue
        coupon = coupons[code]
        coupon |= {"state": row["state"], "left": row["left"], "changed_seq": row["seq"]}
        coupon["out"] += row["units"] * ((row["destination"] in LIVE) - (row["source"] in LIVE))
        if row["state"] != "reserved":
            coupon |= {"reserved_until": None, "order_id": ""}
        elif kind == "reserved":
            coupon |= {"reserved_until": until, "order_id": row["ref"]}
        if kind == "rolled_back" and until:
            coupon["expires_at"] = until
        if kind in ("redeemed", "rolled_back"):
            given[code, row["ref"]] += row["minor"] if kind == "redeemed" else -row["minor"]
            first.setdefault((code, row["ref"]), at)
    standing: dict[str, datetime] = {}
    for (code, ref), minor in given.items():
        if minor > 0:
            standing[code] = min(first[code, ref], standing.get(code, first[code, ref]))
    return Stood(coupons, standing)


def asked_as_of(day: date | None, **told: Any) -> dict[str, Any]:
    """*told*, as of *day*."""
    return told if day is None else {**told, "as_of": day}


@pytest.mark.parametrize("day", DAYS)
def test_coupons_stand_as_their_steps_up_to_the_day_left_them(closed: Closed, day: date | None) -> None:
    """To the field: state, hold, order, deadline, what is left; of all of them, and of those claimed on some days."""
    known = stood(closed.reports, day).coupons
    names = ("shard", "seq", "state", "left", "claimed_at", "expires_at", "reserved_until", "order_id", "changed_seq")
    for since in (None, SINCE):
        rows = closed.reports.rows("coupons", **asked_as_of(day), **({"since": since} if since else {}))
        found = {row["code"]: {name: row[name] for name in names} for row in rows}
        expected = {code: {name: coupon[name] for name in names} for code, coupon in known.items()
                    if since is None or coupon["on"] >= since}  # fmt: skip
        assert found == expected
    assert {coupon["state"] for coupon in known.values()} >= {"claimed", "reserved", "redeemed", "expired", "revoked"}


@pytest.mark.parametrize("day", DAYS)
def test_the_forecast_is_of_what_was_out_at_the_end_of_the_day(closed: Closed, day: date | None) -> None:
    """By the day each then expired on; all of it is what roll-forward and ageing have out, and what that may cost."""
    known, expected = stood(closed.reports, day).coupons, Counter[tuple[str, date]]()
    for coupon in known.values():
        if coupon["out"]:
            expected[coupon["shard"].partition("/")[0], coupon["expires_at"].astimezone(UTC).date()] += coupon["out"]
    rows = closed.reports.rows("expiry-forecast", by=("campaign", "day"), **asked_as_of(day))

    assert {(row["campaign"], row["day"]): row["coupons"] for row in rows if row["coupons"]} == expected
    month = {"since": date(2026, 11, 5), "until": date(2026, 12, 4)}
    some = closed.reports.rows("expiry-forecast", **asked_as_of(day or date(2026, 12, 31), **month))
    within = [count for (_, on), count in expected.items() if month["since"] <= on <= month["until"]]
    assert sum(row["coupons"] for row in some) == sum(within)
    ended = {} if day is None else {"until": day}
    whole = closed.reports.rows("expiry-forecast", **asked_as_of(day))
    [ageing] = closed.reports.rows("ageing-coupons", **ended)
    [rolled] = closed.reports.rows("roll-forward", **ended)
    assert sum(row["coupons"] for row in whole) == ageing["coupons"] == rolled["out_closing"] - rolled["out_corrected"]
    corrected = total(closed.reports.rows("roll-forward-money", **ended), "out_corrected_minor").get("CNY", 0)
    closing = Counter(total(closed.reports.rows("roll-forward-money", **ended), "out_closing_minor"))
    closing["CNY"] -= corrected
    assert total(whole, "minor") == total(closed.reports.rows("ageing-commitments", **ended), "minor") == closing


@pytest.mark.parametrize("day", DAYS)
def test_cohorts_and_conversion_are_those_of_the_day(closed: Closed, day: date | None) -> None:
    """Coupons by the date their claim is booked on; how many were redeemed by then, how soon, and not given back."""
    known = stood(closed.reports, day)
    expected: defaultdict[tuple[str, date], list[timedelta | None]] = defaultdict(list)
    for code, coupon in known.coupons.items():
        lag = known.redeemed[code] - coupon["claimed_at"] if code in known.redeemed else None
        expected[coupon["shard"].partition("/")[0], coupon["on"]].append(lag)
    for campaign in (None, "tea", "cup"):
        told: dict[str, Any] = {"campaign": campaign} if campaign else {}
        rows = closed.reports.rows("redemption-lag", by=("campaign", "day"), **asked_as_of(day), **told)
        for row in rows:
            lags = expected.get((row["campaign"], row["day"]), [])
            used = [lag for lag in lags if lag is not None]
            assert (row["coupons"], row["redeemed"]) == (len(lags), len(used))
            assert row["within_week"] == sum(lag <= timedelta(days=7) for lag in used)
        assert sum(row["coupons"] for row in rows) == sum(
            len(lags) for (of, _), lags in expected.items() if campaign in (None, of)
        )
        since, until = date(2026, 9, 10), date(2026, 9, 20)
        profit = closed.reports.rows(
            "campaign-profit", **asked_as_of(day or date(2026, 12, 31), since=since, until=until), **told
        )
        for row in profit:
            cohort = [lag for (of, on), lags in expected.items() if of == row["campaign"] and since <= on <= until
                      for lag in lags]  # fmt: skip
            assert (row["coupons"], row["used"]) == (len(cohort), sum(lag is not None for lag in cohort))
        assert [row["campaign"] for row in profit if row["used"]]
    whole = closed.reports.rows("redemption-lag", by=("campaign",), **asked_as_of(day))
    profit = closed.reports.rows("campaign-profit", **asked_as_of(day))
    assert [(row["campaign"], row["coupons"], row["redeemed"]) for row in whole] == sorted(
        (row["campaign"], row["coupons"], row["used"]) for row in profit if row["coupons"]
    )


def test_what_came_late_is_of_the_day_it_is_booked_on(closed: Closed) -> None:
    """A claim of the last closed day is in no closed day's coupons or cohort, but once, on the first open one."""
    opened, reports = CLOSED + timedelta(days=1), closed.reports
    late = {code for code, coupon in stood(reports, None).coupons.items()
            if coupon["on"] == opened and coupon["claimed_at"].date() == CLOSED}  # fmt: skip
    assert len(late) > 1
    for name in ("coupons", "redemption-lag", "campaign-profit"):
        days = [{"until": CLOSED}, {"since": opened, "until": opened}, {"since": AFTER}]
        counts = [
            len(rows) if name == "coupons" else sum(row["coupons"] for row in rows)
            for rows in (reports.rows(name, **day) for day in days)
        ]
        claimed = [sum(row["claimed"] + row["issued"] for row in reports.rows("roll-forward", **day)) for day in days]
        # The code that five may use is one coupon, and five units.
        assert counts == [claimed[0] - 4, *claimed[1:]]
    closed_ones = {row["code"] for row in reports.rows("coupons", until=CLOSED, as_of=date(2026, 12, 31))}
    assert not late & closed_ones


def test_a_redemption_tells_what_was_given_back_by_the_day(closed: Closed) -> None:
    """As of the end of until, of a later day, and now: the sums of the rollbacks booked by then."""
    for day in (CLOSED, AFTER, None):
        told = {} if day is None else {"until": day}
        backs: Counter[str] = Counter()
        for row in closed.reports.rows("rollbacks", **told):
            backs[row["redemption"]] += row["minor"]
        asked = {"until": CLOSED, **asked_as_of(day)} if day else {}
        rows = closed.reports.rows("redemptions", **asked)
        assert {row["redemption"]: row["given_back_minor"] for row in rows} == {
            row["redemption"]: backs[row["redemption"]] for row in rows
        }


def test_a_campaign_has_the_name_it_had(closed: Closed) -> None:
    """Its name of a closed day stays, whatever it is called later."""
    for day, name in ((CLOSED, "Green tea"), (AFTER, "Black tea"), (None, "Black tea")):
        [row] = closed.reports.rows("campaign-profit", campaign="tea", **asked_as_of(day))
        assert row["name"] == name


async def test_a_use_that_is_let_go_after_its_code_ended_ends_as_the_code_did(closed: Closed) -> None:
    """Roll-forward and the close report count it, so that what is out after is what stands on the accounts."""
    [row] = closed.reports.rows("roll-forward", campaign="many")
    assert (row["issued"], row["redeemed"], row["rolled_back"], row["expired"], row["out_closing"]) == (5, 3, 1, 3, 0)
    month = Period("main", "month", date(2026, 11, 1), date(2026, 11, 30))
    async with await psycopg.AsyncConnection.connect(closed.reports.books.url) as connection:
        found = {each.campaign: each for each in await campaigns_of(connection, month)}
    assert [each for each in found.values() if not each.adds_up] == []
    assert (found["many"].expired, found["many"].closing_out) == (3, 0)
