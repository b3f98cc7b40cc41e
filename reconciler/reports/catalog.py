"""Every report there is, by its name."""

from reconciler.reports.journal import JOURNAL
from reconciler.reports.shape import Report

_ALL = (JOURNAL,)

REPORTS: dict[str, Report] = {report.name: report for report in _ALL}
"""Name → report, in the order people read them in."""
