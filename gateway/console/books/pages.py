"""Every page of the room Books, in the order of the menu."""

from gateway.console.books import accounts, breaks, exports, ledger, manual, periods, reports, stocktakes, verdict

PAGES = (
    *reports.PAGES,
    *ledger.PAGES,
    *accounts.PAGES,
    *manual.PAGES,
    *stocktakes.PAGES,
    *breaks.PAGES,
    *periods.PAGES,
    *exports.PAGES,
    *verdict.PAGES,
)
