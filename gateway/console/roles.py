"""The roles in words."""

from gateway.console.locales import N_
from gateway.people.person import ROLES

ROLE_WORDS = {
    "admin": (N_("Admin"), N_("everything, and who else may do what")),
    "marketer": (N_("Marketer"), N_("campaigns, their stock and their codes")),
    "store": (N_("Store"), N_("quotes, holds, redemptions and rollbacks")),
    "finance": (N_("Finance"), N_("the books, periods, journals and exports")),
    "auditor": (N_("Auditor"), N_("sees the books and who did what, changes nothing")),
    "operator": (N_("Operator"), N_("sees how the system runs")),
}
"""Each role: what it is called, and what it is for."""
assert tuple(ROLE_WORDS) == ROLES, "every role has its words, in the order they are listed in"
