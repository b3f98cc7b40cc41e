"""Each report against a reckoning of its own, on books of three months; and against every other one."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from gateway.stack.postgres import Postgres
from reconciler.reports.catalog import REPORTS
from reconciler.reports.reading import (
    Sort,
    first_of,
    first_query,
    page_of,
    page_query,
    rows_of,
    totals_of,
    totals_query,
)
from reconciler.reports.shape import Asked
from tests.integration.reporting import Reports, Rows, total, year_of
from tests.integration.yearbook import CAMPAIGNS, QUIET, WORTH, Act

LIVE = {"outstanding", "reserved"}
CURRENCY = {name: told["currency"] for name, told in CAMPAIGNS.items()}
OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
ENDS = [None, date(2026, 9, 14), QUIET[1]]


@pytest.fixture(scope="module")
def year(postgres_server: Postgres) -> Iterator[Reports]:
    """One book for all tests: none of them writes."""
    with year_of(postgres_server) as year:
        yield year


def placed(rows: Rows, by: tuple[str, ...], column: str) -> dict[tuple[str, ...], int]:
    """A column by place and currency, where it is not 0."""
    return {(*(row[name] for name in by), row["currency"]): row[column] for row in rows if row[column]}


def effect(act: Act, accounts: set[str]) -> int:
    """What an act adds to *accounts*."""
    return act.units * ((act.destination in accounts) - (act.source in accounts))


def money(acts: Iterable[Act]) -> dict[tuple[str, str], int]:
    """Balance by currency and account, debits less credits, as docs/accounting.md says and from the acts alone."""
    found: Counter[tuple[str, str]] = Counter()

    def post(currency: str, debit: str, credit: str, minor: int) -> None:
        found[currency, debit] += minor
        found[currency, credit] -= minor

    for act in acts:
        currency, worth = CURRENCY[act.campaign], WORTH[act.campaign]
        sign = {"redeem": 1, "rollback": -1}.get(act.verb, 0)
        if act.campaign == "card":
            if act.verb == "claim":
                post(currency, "clearing:gift:card", "liability:gift:card", worth)
            post(currency, "liability:gift:card", f"payable:{act.merchant}", sign * act.minor)
            post(currency, "liability:gift:card", "income:breakage:card", act.ended_minor)
            continue
        if act.verb in ("restock", "withdraw"):
            post(currency, "budget:available", "budget:authorised", effect(act, {"stock"}) * worth)
        else:
            post(currency, f"commitment:{act.campaign}", "budget:available", effect(act, LIVE) * worth)
        for funder, minor in act.funders.items():
            post(currency, f"expense:promotion:{funder}", f"payable:{act.merchant}", sign * minor)
    return {key: minor for key, minor in found.items() if minor}


@pytest.mark.parametrize("until", ENDS)
def test_the_trial_balance_is_what_happened(year: Reports, until: date | None) -> None:
    """Every account of the money book, as of now or of a day; debits and credits are equal in each currency."""
    rows = year.rows("trial-balance", until=until)

    found = {(row["currency"], row["account"]): row["closing_debit"] - row["closing_credit"] for row in rows}
    assert {key: minor for key, minor in found.items() if minor} == money(year.until(until))
    assert total(rows, "closing_debit") == total(rows, "closing_credit") != {}
    assert total(rows, "debit") == total(rows, "credit")
    assert all(row["closing_debit"] == 0 or row["closing_credit"] == 0 for row in rows)


def test_the_trial_balance_of_a_month_goes_on_from_the_one_before(year: Reports) -> None:
    """What an account closes September with it opens November with, since nothing happened between; and it adds up."""
    before = year.rows("trial-balance", until=QUIET[1], by=("campaign",))
    after = year.rows("trial-balance", since=NOVEMBER, by=("campaign",))

    def balances(rows: Rows, which: str) -> dict[tuple[str, ...], int]:
        found = {
            (row["campaign"], row["currency"], row["account"]): row[f"{which}_debit"] - row[f"{which}_credit"]
            for row in rows
        }
        return {key: minor for key, minor in found.items() if minor}

    assert balances(before, "closing") == balances(after, "opening")
    for row in after:
        opening = row["opening_debit"] - row["opening_credit"]
        assert opening + row["debit"] - row["credit"] == row["closing_debit"] - row["closing_credit"]
    assert total(after, "opening_debit") == total(after, "opening_credit") != {}


@pytest.mark.parametrize("until", ENDS)
def test_the_unit_balance_is_what_happened(year: Reports, until: date | None) -> None:
    """Every account of each campaign; all of them together are none."""
    rows = year.rows("unit-balance", until=until, by=("campaign",))
    expected: Counter[tuple[str, str]] = Counter()
    for act in year.until(until):
        if act.units:
            expected[act.campaign, act.source] -= act.units
            expected[act.campaign, act.destination] += act.units

    assert {(row["campaign"], row["account"]): row["closing"] for row in rows} == dict(expected)
    assert sum(row["closing"] for row in rows) == 0


FLOWS = {
    "restocked": ("restock", {"stock"}, 1), "withdrawn": ("withdraw", {"stock"}, -1), "claimed": ("claim", LIVE, 1),
    "issued": ("issue", LIVE, 1), "redeemed": ("redeem", LIVE, -1), "rolled_back": ("rollback", LIVE, 1),
    "expired": ("expire", LIVE, -1), "revoked": ("revoke", LIVE, -1), "returned": ("expire", {"stock"}, 1),
}  # fmt: skip


def slot(act: Act, by: tuple[str, ...]) -> tuple[Any, ...]:
    """Where an act belongs in a report by *by*."""
    return tuple(act.day.replace(day=1) if name == "month" else getattr(act, name) for name in by)


@pytest.mark.parametrize(
    "by",
    [(), ("campaign",), ("channel",), ("store",), ("day",), ("month", "campaign"), ("campaign", "channel", "month")],
)
def test_the_roll_forward_is_what_happened(year: Reports, by: tuple[str, ...]) -> None:
    """Each flow in each row is counted anew from the acts; opening and flows make closing, which the next one opens."""
    rows = year.rows("roll-forward", by=by)
    flows: Counter[tuple[Any, ...]] = Counter()
    for act in year.acts:
        for name, (verb, accounts, sign) in FLOWS.items():
            if act.verb == verb:
                flows[*slot(act, by), name] += sign * effect(act, accounts)

    for row in rows:
        place = tuple(row[name] for name in by)
        for name in FLOWS.keys() & row.keys():
            assert row[name] == flows.pop((*place, name), 0), (place, name)
        if "out_closing" in row:
            came, went = row["claimed"] + row["issued"] + row["rolled_back"], row["redeemed"] + row["expired"]
            assert row["out_opening"] + came - went - row["revoked"] == row["out_closing"]
        if "stock_closing" in row:
            came, went = row["restocked"] + row["returned"], row["withdrawn"] + row["claimed"] + row["issued"]
            assert row["stock_opening"] + came - went == row["stock_closing"]
    assert {key for key, units in flows.items() if units and key[-1] in rows[0]} == set()
    for earlier, later in pairwise(rows):
        if by == ("day",):
            assert earlier["out_closing"] == later["out_opening"]
            assert earlier["stock_closing"] == later["stock_opening"]


def out_minor(act: Act) -> int:
    """What an act adds to what the coupons that are out may cost, and to what is left on balances."""
    if act.campaign != "card" or act.verb == "claim":
        return effect(act, LIVE) * WORTH[act.campaign]
    return {"redeem": -act.minor, "rollback": act.minor}.get(act.verb, -act.ended_minor)


@pytest.mark.parametrize("by", [(), ("campaign", "channel"), ("channel", "month"), ("campaign", "store"), ("store",)])
def test_the_roll_forward_in_money_is_what_happened(year: Reports, by: tuple[str, ...]) -> None:
    """Also what was spent of balances and left on them is of its channel and store; opening and flows make closing."""
    rows = year.rows("roll-forward-money", by=by)
    flows: Counter[tuple[Any, ...]] = Counter()
    for act in year.acts:
        for name, (verb, accounts, sign) in FLOWS.items():
            if act.verb == verb:
                minor = out_minor(act) if accounts is LIVE else effect(act, accounts) * WORTH[act.campaign]
                flows[*slot(act, by), CURRENCY[act.campaign], f"{name}_minor"] += sign * minor

    for row in rows:
        place = *(row[name] for name in by), row["currency"]
        for name in {f"{name}_minor" for name in FLOWS} & row.keys():
            assert row[name] == flows.pop((*place, name), 0), (place, name)
        if "out_closing_minor" in row:
            came = row["claimed_minor"] + row["issued_minor"] + row["rolled_back_minor"]
            went = row["redeemed_minor"] + row["expired_minor"] + row["revoked_minor"]
            assert row["out_opening_minor"] + came - went == row["out_closing_minor"]
    assert {key for key, minor in flows.items() if minor and key[-1] in rows[0]} == set()


def test_a_month_without_movement_is_shown(year: Reports) -> None:
    """October has a row a campaign, with nothing in it but what stood there; so has what was asked beyond."""
    rows = year.rows("roll-forward", by=("campaign", "month"), since=date(2026, 8, 5), until=date(2026, 12, 5))
    october = [row for row in rows if row["month"] == OCTOBER]

    assert [row["month"] for row in rows if row["campaign"] == "tea"] == [date(2026, n, 1) for n in (8, 9, 10, 11, 12)]
    assert [row["campaign"] for row in october] == ["card", "cup", "tea"]
    assert all(row["out_opening"] == row["out_closing"] > 0 for row in october)
    assert all(row[name] == 0 for row in october for name in FLOWS)
    days = year.rows("roll-forward", by=("day",), campaign="tea", since=QUIET[0], until=QUIET[1])
    assert len(days) == 31


def test_the_roll_forward_of_a_time_opens_with_what_was_there(year: Reports) -> None:
    """November begins with what the whole life came to by the end of October, whatever the rows are of."""
    by_end = {row["campaign"]: row for row in year.rows("roll-forward", by=("campaign",), until=QUIET[1])}
    november = {row["campaign"]: row for row in year.rows("roll-forward", by=("campaign",), since=NOVEMBER)}

    for campaign, row in november.items():
        assert row["out_opening"] == by_end[campaign]["out_closing"]
        assert row["stock_opening"] == by_end[campaign]["stock_closing"]


@pytest.mark.parametrize("until", ENDS)
def test_units_agree_between_reports(year: Reports, until: date | None) -> None:
    """Roll-forward, unit balance and ageing say the same of stock and of what is out, campaign by campaign."""
    accounts = {
        (row["campaign"], row["account"]): row["closing"]
        for row in year.rows("unit-balance", until=until, by=("campaign",))
    }
    ageing = {row["campaign"]: row for row in year.rows("ageing-coupons", until=until, by=("campaign",))}

    for row in year.rows("roll-forward", until=until, by=("campaign",)):
        campaign = row["campaign"]
        out = sum(accounts.get((campaign, name), 0) for name in LIVE)
        assert row["out_closing"] == out == ageing[campaign]["coupons"] > 0
        assert row["stock_closing"] == accounts[campaign, "stock"]
        assert sum(value for name, value in ageing[campaign].items() if name.startswith("days_")) == out


@pytest.mark.parametrize("until", ENDS)
def test_money_agrees_between_reports(year: Reports, until: date | None) -> None:
    """Trial balance, roll-forward in money, ageing, settlement and statements agree to the minor unit."""
    balance = {
        (row["currency"], row["account"]): row["closing_debit"] - row["closing_credit"]
        for row in year.rows("trial-balance", until=until)
    }
    rolled = year.rows("roll-forward-money", until=until, by=("campaign",))
    ageing = {row["campaign"]: row["minor"] for row in year.rows("ageing-commitments", until=until, by=("campaign",))}
    for row in rolled:
        campaign, currency = row["campaign"], row["currency"]
        committed = balance.get((currency, f"commitment:{campaign}"), 0)
        owed = -balance.get((currency, f"liability:gift:{campaign}"), 0)
        assert row["out_closing_minor"] == committed + owed == ageing[campaign] > 0
    for party, kind, sign in (("merchant", "payable", -1), ("funder", "expense:promotion", 1)):
        settled = year.rows(f"{party}-settlement", until=until)
        for row in settled:
            assert row["closing_minor"] == sign * balance[row["currency"], f"{kind}:{row[party]}"]
        assert {account for (_, account), minor in balance.items() if minor and account.startswith(kind)} <= {
            f"{kind}:{row[party]}" for row in settled
        }
        stated = {(row[party], row["currency"]): row for row in year.rows(f"{party}-statement", until=until)}
        assert {key: row["balance_minor"] for key, row in stated.items()} == {
            (row[party], row["currency"]): row["closing_minor"] for row in settled
        }
    for by in ("channel",), ("campaign", "channel"):
        parts = year.rows("roll-forward-money", until=until, by=by)
        aged = year.rows("ageing-commitments", until=until, by=by)
        assert placed(parts, by, "out_closing_minor") == placed(aged, by, "minor")
        assert total(parts, "out_closing_minor") == total(rolled, "out_closing_minor")
    given = total(rolled, "discount_minor")
    assert given == total(year.rows("merchant-settlement", until=until), "given_minor")
    assert given == total(year.rows("redemptions", until=until), "minor")
    assert total(rolled, "given_back_minor") == total(year.rows("rollbacks", until=until), "minor")


def test_a_statement_opens_with_what_was_owed(year: Reports) -> None:
    """That of November: an opening row a party that was owed, then its lines, ending where the whole statement ends."""
    for party in ("merchant", "funder"):
        rows, whole = year.rows(f"{party}-statement", since=NOVEMBER), year.rows(f"{party}-statement")
        before = {
            (row[party], row["currency"]): row["closing_minor"]
            for row in year.rows(f"{party}-settlement", until=QUIET[1])
        }
        opening = {(row[party], row["currency"]): row["balance_minor"] for row in rows if row["act"] == "opening"}
        assert opening == before
        lines = [row for row in whole if row["effective_date"] >= NOVEMBER]
        assert [row for row in rows if row["act"] != "opening"] == lines


def test_an_empty_name_is_that_of_nobody(year: Reports) -> None:
    """Claims that named no channel are a part of all claims, beside those of each channel."""
    whole = sum(row["claimed"] for row in year.rows("roll-forward", by=("channel",)))
    parts = [year.rows("roll-forward", channel=name)[0]["claimed"] for name in ("", "app", "web")]

    assert sum(parts) == whole
    assert all(parts)


def test_what_was_given_away_agrees_by_whatever_it_is_told(year: Reports) -> None:
    """Profit, performance by each of its groups, roll-forward and the redemptions themselves: one sum."""
    profit = year.rows("campaign-profit")
    expected: Counter[str] = Counter()
    for act in year.acts:
        expected[CURRENCY[act.campaign]] += {"redeem": 1, "rollback": -1}.get(act.verb, 0) * act.minor
    assert total(profit, "cost_minor") == dict(expected)
    for by in ("channel", "store", "staff", "campaign", "day", "month"):
        rows = year.rows("performance", by=(by,))
        for column in ("cost_minor", "order_minor", "discount_minor", "given_back_minor"):
            assert total(rows, column) == total(profit, column)
        assert sum(row["redemptions"] for row in rows) == sum(row["redemptions"] for row in profit)
    redemptions = year.rows("redemptions")
    assert total(redemptions, "cost_minor") == dict(expected)
    assert total(redemptions, "order_minor") == total(profit, "order_minor")
    assert len(redemptions) == sum(act.verb == "redeem" for act in year.acts)


def test_the_profit_of_a_campaign_is_what_happened(year: Reports) -> None:
    """Use, conversion, cost each and uplift of tea, by hand."""
    [tea] = year.rows("campaign-profit", campaign="tea")
    acts = [act for act in year.acts if act.campaign == "tea"]
    given_out = sum(act.verb == "claim" for act in acts)
    redeemed = sum(effect(act, {"redeemed"}) for act in acts)
    count = sum(act.verb == "redeem" for act in acts)

    assert (tea["given_out"], tea["redeemed"], tea["redemptions"]) == (given_out, redeemed, count)
    assert (tea["coupons"], tea["name"], tea["currency"]) == (given_out, "Tea", "CNY")
    assert float(tea["use_rate"]) == pytest.approx(redeemed / given_out, abs=1e-4)
    assert float(tea["conversion"]) == pytest.approx(tea["used"] / given_out, abs=1e-4)
    assert 0 < tea["used"] <= count
    assert abs(tea["cost_each_minor"] - tea["cost_minor"] / count) <= 0.5
    assert float(tea["uplift"]) == pytest.approx(
        (tea["order_minor"] - tea["discount_minor"]) / tea["cost_minor"], abs=1e-4
    )


def test_the_forecast_and_the_cohorts_have_every_coupon_once(year: Reports) -> None:
    """What expires by day is what is out; what was claimed by month is what was claimed, redeemed or not."""
    days, months = year.rows("expiry-forecast", by=("day",)), year.rows("expiry-forecast", by=("month", "campaign"))
    ageing = year.rows("ageing-commitments")
    assert total(days, "minor") == total(months, "minor") == total(ageing, "minor")
    out = sum(row["coupons"] for row in year.rows("ageing-coupons"))
    assert sum(row["coupons"] for row in days) == sum(row["coupons"] for row in months) == out

    cohorts = year.rows("redemption-lag", by=("campaign", "month"))
    claimed: Counter[str] = Counter(act.campaign for act in year.acts if act.verb in ("claim", "issue"))
    for campaign, count in claimed.items():
        rows = [row for row in cohorts if row["campaign"] == campaign]
        [profit] = year.rows("campaign-profit", campaign=campaign)
        assert sum(row["coupons"] for row in rows) == count == profit["coupons"]
        assert sum(row["redeemed"] for row in rows) == profit["used"]
        assert all(row["redeemed"] + row["unredeemed"] == row["coupons"] for row in rows)
        for row in rows:
            lags = [row[name] for name in ("within_hour", "within_day", "within_week", "within_month", "redeemed")]
            assert lags == sorted(lags)


def test_detail_is_all_there_is_and_adds_up(year: Reports) -> None:
    """As many entries as acts, with the units of the acts; postings that sum to the unit balance."""
    entries = year.rows("entries")
    assert len(entries) == len(year.acts)
    assert sum(row["units"] for row in entries) == sum(act.units for act in year.acts)
    assert [(row["shard"], row["seq"]) for row in entries] == sorted((row["shard"], row["seq"]) for row in entries)
    coupons = year.rows("coupons")
    assert len(coupons) == sum(act.verb in ("claim", "issue") for act in year.acts)
    units: Counter[str] = Counter()
    for row in year.rows("movements"):
        if row["units"]:
            units[row["debit"]] += row["units"]
            units[row["credit"]] -= row["units"]
    assert dict(units) == {row["account"]: row["closing"] for row in year.rows("unit-balance")}


@pytest.mark.parametrize("name", [name for name, report in REPORTS.items() if report.key] + ["trial-balance"])
def test_pages_are_the_whole(year: Reports, name: str) -> None:
    """Page after page gives every row once, in the order of the whole; the key is a key."""
    report, asked = REPORTS[name], Asked()
    with psycopg.connect(year.books.url) as connection:
        whole = (
            list(rows_of(connection, report, asked))[-50:] if report.key else list(rows_of(connection, report, asked))
        )
        names = [column.name for column in report.columns(asked)]
        keys = [tuple(row[names.index(each)] for each in report.key) for row in whole]
        assert len(set(keys)) == len(keys) or not report.key
        after: list[Any] | None = list(keys[0]) if report.key else None
        paged = whole[:1] if report.key else []
        while True:
            query = page_query(report, asked, after, 9)
            page = page_of(
                report, asked, connection.execute(query.statement.encode(), query.values).fetchall(), after, 9
            )
            paged += page.rows
            after = page.after
            if after is None:
                break
    assert paged == whole


@pytest.mark.parametrize("name", [name for name, report in REPORTS.items() if not report.key])
def test_a_first_page_has_the_sums_of_the_whole(year: Reports, name: str) -> None:
    """Read at once they are what they are read one after the other, sorted or not, also of nothing."""
    report = REPORTS[name]
    for asked in (Asked(), Asked(since=date(2020, 1, 1), until=date(2020, 1, 2))):
        for sort in (None, Sort(report.columns(asked)[-1].name, is_down=True)):
            found = first_of(report, asked, year.asked(first_query(report, asked, 5, sort)), 5)
            page, sums = year.asked(page_query(report, asked, None, 5, sort)), totals_query(report, asked)
            assert sums is not None
            assert found == (page_of(report, asked, page, None, 5), totals_of(year.asked(sums, row_factory=dict_row)))
