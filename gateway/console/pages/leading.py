"""From what an act was done to, as the audit log names it, to the page that shows it. Pure."""

import re
from urllib.parse import quote, urlencode

from gateway.console.access import HOME

_SUBJECT = re.compile(r"([a-z_]+)[: ]([^\s]+)", re.ASCII)
_PAGES = {
    "alert": f"{HOME}/alerts/",
    "break": f"{HOME}/books/breaks/",
    "campaign": f"{HOME}/campaigns/",
    "coupon": f"{HOME}/coupons/",
    "export": f"{HOME}/books/exports/",
    "manual_journal": f"{HOME}/books/manual/",
    "report": f"{HOME}/books/reports/",
}
_FOUND = {"holder", "order"}
_PERIOD = re.compile(r"(.+)/(\d{4}-\d\d)(-\d\d)?", re.ASCII)


def leads_to(subject: str, *, is_admin: bool = False) -> str:
    """
    The address of the page that shows *subject*, such as ``coupon:AB12``; empty where it has none.

    An auditor may open all of these pages but those of users, which are an admin's.
    """
    if not (parts := _SUBJECT.match(subject)):
        return ""
    kind, name = parts[1], parts[2]
    if kind in _PAGES:
        return _PAGES[kind] + quote(name, safe="")
    if kind in _FOUND:  # with blanks in it, where it has some
        return f"{HOME}/coupons?{urlencode({kind: subject[parts.start(2) :]})}"
    if kind == "user" and is_admin:
        return f"{HOME}/users/{quote(name, safe='')}"
    if kind == "period" and (period := _PERIOD.fullmatch(name)):
        length, starts = ("day", f"{period[2]}{period[3]}") if period[3] else ("month", f"{period[2]}-01")
        return f"{HOME}/books/periods/{quote(period[1], safe='')}/{length}/{starts}"
    return ""
