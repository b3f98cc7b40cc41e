"""
Every kind of alert, in one table. Nothing but this table decides what is watched, how far is too far, and whose it is.

Texts are messages of the console's catalogues; programs and mails get them in English. In *says* and *over* stand
``%(figure)s``, ``%(threshold)s`` and ``%(subject)s``.
"""

from collections.abc import Collection
from typing import Literal, NamedTuple

from gateway.console.locales import N_
from gateway.somebody import Somebody, may

Severity = Literal["critical", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")
KindName = Literal[
    "low_stock",
    "selling_out",
    "budget_low",
    "failure_rate",
    "code_probing",
    "drain_lag",
    "breaks",
    "expiry_wave",
    "redis_away",
]
Unit = Literal["%", "s", "coupons", "breaks", "failures"]

EXPIRY_HOURS = 24
"""How far ahead an expiry wave is looked for."""
RATE_WINDOW_S = 60.0
"""How far back failures are counted."""
ANSWERS_MIN = 50
"""Answers in that window below which no share of them says anything."""


class Kind(NamedTuple):
    """
    One kind.

    *threshold* is the default, in *unit*, from *low* to *high*; *own_unit* is that of a threshold of one campaign. With
    *is_floor* a figure at the threshold or below is trouble, else one at it or above. Trouble is over where the figure
    is beyond *fine* times the threshold, for *over_s* seconds; it begins after *after_s* seconds of it. *roles* are who
    it is for, besides admins and auditors; *of_campaigns* says that it is of one campaign each. *setting* is the name
    of the one that is the threshold, where it is not chosen here.
    """

    name: KindName
    title: str
    watches: str
    says: str
    to_do: str
    severity: Severity
    unit: Unit
    threshold: float
    low: float
    high: float
    roles: tuple[str, ...]
    is_floor: bool = False
    fine: float = 1.0
    after_s: float = 0.0
    over_s: float = 0.0
    of_campaigns: bool = False
    own_unit: Unit | None = None
    setting: str = ""


_ALL = (
    Kind(
        name="low_stock",
        title=N_("Low stock"),
        watches=N_("what is left of all that was put into an open sale"),
        says=N_("%(subject)s has %(figure)s of its stock left."),
        to_do=N_("Restock it, or tell customers before they meet “sold out”."),
        severity="warning",
        unit="%",
        threshold=10,
        low=0,
        high=100,
        roles=("marketer", "operator"),
        is_floor=True,
        fine=1.2,
        of_campaigns=True,
        own_unit="coupons",
    ),
    Kind(
        name="selling_out",
        title=N_("Selling out"),
        watches=N_("how long the stock of a running sale lasts at the rate of the last 15 seconds"),
        says=N_("%(subject)s is sold out in %(figure)s at the rate of late."),
        to_do=N_("Restock it now if it is to go on; look whether bots are buying if the rate is odd."),
        severity="warning",
        unit="s",
        threshold=120,
        low=1,
        high=86_400,
        roles=("marketer", "operator"),
        is_floor=True,
        fine=1.5,
        over_s=30,
        of_campaigns=True,
    ),
    Kind(
        name="budget_low",
        title=N_("Budget nearly gone"),
        watches=N_("what is left of the budget of an open sale, promises counted at their worst"),
        says=N_("%(subject)s has %(figure)s of its budget left."),
        to_do=N_("Raise the budget, or let it end: claims are refused with budget_exhausted once it is gone."),
        severity="warning",
        unit="%",
        threshold=10,
        low=0,
        high=100,
        roles=("marketer", "finance"),
        is_floor=True,
        fine=1.2,
        of_campaigns=True,
    ),
    Kind(
        name="failure_rate",
        title=N_("Failures"),
        watches=N_("the share of answers of the last minute that are failures of ours, 5xx"),
        says=N_("%(figure)s of the answers of the last minute failed."),
        to_do=N_("Look at /readyz and at the log; 503 means overload, so more workers or fewer claims at once."),
        severity="critical",
        unit="%",
        threshold=5,
        low=0.1,
        high=100,
        roles=("operator",),
        fine=0.5,
        over_s=30,
    ),
    Kind(
        name="code_probing",
        title=N_("Codes are being guessed"),
        watches=N_("codes asked for that are not there, of everybody together, in the last minute"),
        says=N_("Codes are being guessed: %(figure)s that are not there, in a minute."),
        to_do=N_("Look in the log for whose limits are used up; revoke a key that is misused, block the address."),
        severity="critical",
        unit="failures",
        threshold=300,
        low=1,
        high=1_000_000,
        roles=("operator",),
        fine=0.5,
        over_s=30,
        setting="code_failures_alarm",
    ),
    Kind(
        name="drain_lag",
        title=N_("Drain lag"),
        watches=N_("the age of the oldest state change that is not in the books yet"),
        says=N_("The books are %(figure)s behind."),
        to_do=N_("Look whether the reconciler runs and PostgreSQL answers; nothing is lost, it catches up by itself."),
        severity="critical",
        unit="s",
        threshold=5,
        low=1,
        high=86_400,
        roles=("operator", "finance"),
        fine=0.5,
        after_s=5,
        over_s=10,
    ),
    Kind(
        name="breaks",
        title=N_("Breaks"),
        watches=N_("differences between Redis and the books, or with files of others, that are not resolved"),
        says=N_("Open: %(figure)s."),
        to_do=N_("Open it in the books, explain what it comes from, make it good, and resolve it."),
        severity="critical",
        unit="breaks",
        threshold=1,
        low=1,
        high=1000,
        roles=("finance", "operator"),
    ),
    Kind(
        name="expiry_wave",
        title=N_("Expiry wave"),
        watches=N_("coupons out of a campaign that expire within the next 24 hours"),
        says=N_("Within 24 hours %(figure)s of %(subject)s will expire."),
        to_do=N_("Remind their holders, and expect money to come back to the budget."),
        severity="info",
        unit="coupons",
        threshold=1000,
        low=1,
        high=100_000_000,
        roles=("marketer", "finance"),
        fine=0.8,
        of_campaigns=True,
    ),
    Kind(
        name="redis_away",
        title=N_("Redis does not answer"),
        watches=N_("for how long Redis has not answered"),
        says=N_("Redis has not answered for %(figure)s: nothing can be claimed or redeemed."),
        to_do=N_("Look whether it runs and can be reached; see the recovery guide before it is started empty."),
        severity="critical",
        unit="s",
        threshold=5,
        low=1,
        high=3600,
        roles=("operator",),
        fine=0.2,
    ),
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}
"""name → the kind, in the order they are listed in."""

READERS = ("marketer", "finance", "auditor", "operator")
"""Who sees some alerts; an admin sees all, and so does an auditor, who changes nothing."""
ACTORS = ("marketer", "finance", "operator")
"""Who acknowledges those of his."""


def seen_by(who: Somebody) -> list[str]:
    """The kinds that *who* sees."""
    return [kind.name for kind in _ALL if may(who, (*kind.roles, "auditor"))]


def acted_on_by(who: Somebody) -> list[str]:
    """The kinds that *who* may acknowledge."""
    return [kind.name for kind in _ALL if may(who, kind.roles)]


def known(names: Collection[str]) -> bool:
    """Whether each of *names* is a kind."""
    return set(names) <= KINDS.keys()
