"""A close report by example: two currencies, a late entry, a manual journal, names of any script."""

from datetime import UTC, date, datetime

from gateway.finance.close_report.render import Given
from reconciler.periods.checks import check, checks_of
from reconciler.periods.listing import Signed
from reconciler.periods.report import Account, Campaign, Check, CloseReport, Late, Line, Manual
from reconciler.verdict.invariants import INVARIANTS
from reconciler.verdict.judging import Chain, Judged

COUPONS = {
    **{"opening_stock": 1_000, "restocked": 20_000, "withdrawn": 500, "returned": 12, "manual_stock": 0},
    **{"closing_stock": 8_162, "opening_out": 240, "claimed": 12_000, "issued": 350, "redeemed": 9_471},
    **{"rolled_back": 38, "expired": 1_204, "revoked": 15, "manual_out": 0, "closing_out": 1_938},
}


PERIOD = {
    "hold": {},
    "order": {"days_open_before_it": 0},
    "over": {"zones": 2},
    "drained": {"shards": 3},
    "manual": {"journals_undecided": 0},
    "suspense": {"in_suspense": 0},
    "roll_forward": {"campaigns": 3},
    "still": {"totals_of_accounts": 412},
}
BOOKS: dict[str, dict[str, int]] = {
    "units": {"put in": 63_000, "in stock": 24_486, "went out": 38_550, "came back": 36},
    "sequence": {"shards": 3, "changes": 71_904},
    "limits": {"holders of several": 118},
    "answers": {"claims": 37_500, "coupons": 38_550},
    "balanced": {"CNY debit": 17_306_467, "JPY debit": 1_200_000, "CNY credit": 17_306_467, "JPY credit": 1_200_000},
    "commitment": {"CNY committed": 6_158_000, "JPY committed": 0},
    "control": {"stock": 24_486, "outstanding": 5_814, "redeemed": 28_299, "CNY owed to merchants": 1_224_667},
    "redemptions": {"redemptions": 28_413, "rollbacks": 114, "standing": 28_299},
    "once": {"done twice": 0},
    "chain": {"chains": 4, "journals": 41_207},
    "settled": {"quarantined": 0, "in suspense": 0, "breaks open": 0, "shards stopped": 0},
    "live": {"shards": 3, "stock": 24_486, "outstanding": 5_814, "coupons sampled": 600},
    "totals": {"totals of accounts": 412, "totals of movements": 388},
}


def some_checks() -> list[Check]:
    """Everything holds, with figures of each."""
    judged = [Judged(one.name, one.says, True, BOOKS[one.name], 0, None) for one in INVARIANTS]
    return [*(check(name, [], **figures) for name, figures in PERIOD.items()), *checks_of(judged)]


def a_given(campaigns: int = 3) -> Given:
    """A report of November 2026, closed on the first of December in Shanghai."""
    posted_at = datetime(2026, 11, 1, 0, 4, 11, tzinfo=UTC)
    payable = Line("payable:m-tea", "expense:promotion:platform", "CNY", 450)
    freed = Line("commitment:tea-1", "budget:available", "CNY", 500)
    units = Line("outstanding", "redeemed", "coupon:tea-1", 1)
    report = CloseReport(
        entity="shop-cn",
        kind="month",
        starts=date(2026, 11, 1),
        ends=date(2026, 11, 30),
        zone="Asia/Shanghai",
        closed_by="key:k4x7n2qa Chen Jing",
        software="0.1.0",
        checks=some_checks(),
        accounts=[
            Account("CNY", "budget:authorised", -500_000, 0, 9_750_000, -10_250_000),
            Account("CNY", "budget:available", 380_000, 9_887_000, 6_175_000, 4_092_000),
            Account("CNY", "commitment:tea-1", 120_000, 6_175_000, 137_000, 6_158_000),
            Account("CNY", "expense:promotion:platform", 0, 1_234_567, 9_900, 1_224_667),
            Account("CNY", "payable:茶の店 & <sons>", 0, 9_900, 1_234_567, -1_224_667),
            Account("JPY", "budget:authorised", 0, 0, 1_200_000, -1_200_000),
            Account("JPY", "budget:available", 0, 1_200_000, 0, 1_200_000),
        ],
        campaigns=[
            Campaign(
                campaign="flash-1" if number == 0 else f"tea-{number}",
                currency="JPY" if number == 0 else "CNY",
                **COUPONS,
                given_minor=0 if number == 0 else 411_522,
                given_back_minor=0 if number == 0 else 3_300,
            )
            for number in range(campaigns)
        ],
        late=[
            Late(
                *(41, "tea-1/0", "redeem", date(2026, 10, 31), date(2026, 11, 1), posted_at, 1207, 1209),
                [units, freed, payable],
            )
        ],
        late_count=1,
        late_onward=0,
        manual=[
            Manual(
                *(52, "mj_7f", date(2026, 11, 12), "key:a Li", "key:b Chen", "The shop was paid twice", "INV-2026-118"),
                [Line("expense:promotion:platform", "payable:m-tea", "CNY", 12_00)],
            )
        ],
        manual_count=1,
        chains=[Chain(f"tea-{number}/0", 13_735, f"{number:x}" * 64) for number in range(1, 4)],
    )
    return Given(Signed(7, report.closed_by, datetime(2026, 12, 1, 1, 30, 5, tzinfo=UTC)), report)
