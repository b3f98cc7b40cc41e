"""Every report there is, by its name."""

from reconciler.reports.ageing import AGEING_COMMITMENTS, AGEING_COUPONS
from reconciler.reports.balances import TRIAL_BALANCE, UNIT_BALANCE
from reconciler.reports.campaign_profit import CAMPAIGN_PROFIT
from reconciler.reports.detail import COUPONS, ENTRIES
from reconciler.reports.detail_money import MOVEMENTS, REDEMPTIONS, ROLLBACKS
from reconciler.reports.expiry_forecast import EXPIRY_FORECAST
from reconciler.reports.journal import JOURNAL
from reconciler.reports.performance import PERFORMANCE
from reconciler.reports.redemption_lag import REDEMPTION_LAG
from reconciler.reports.roll_forward import ROLL_FORWARD, ROLL_FORWARD_MONEY
from reconciler.reports.settlement import FUNDER_SETTLEMENT, MERCHANT_SETTLEMENT
from reconciler.reports.shape import Report
from reconciler.reports.statement import FUNDER_STATEMENT, MERCHANT_STATEMENT

_ALL = (
    TRIAL_BALANCE,
    UNIT_BALANCE,
    ROLL_FORWARD,
    ROLL_FORWARD_MONEY,
    CAMPAIGN_PROFIT,
    MERCHANT_SETTLEMENT,
    FUNDER_SETTLEMENT,
    MERCHANT_STATEMENT,
    FUNDER_STATEMENT,
    AGEING_COUPONS,
    AGEING_COMMITMENTS,
    EXPIRY_FORECAST,
    PERFORMANCE,
    REDEMPTION_LAG,
    COUPONS,
    ENTRIES,
    REDEMPTIONS,
    ROLLBACKS,
    MOVEMENTS,
    JOURNAL,
)

REPORTS: dict[str, Report] = {report.name: report for report in _ALL}
"""Name → report, in the order people read them in."""
