"""What a refusal is to a person: what did not work, and what to do, as messages of the catalogues."""

from typing import NamedTuple

from gateway.console.locales import N_
from gateway.errors import Refusal
from gateway.forms import NotOurs


class Trouble(NamedTuple):
    """*what* did not work and what to do *then*, as messages."""

    what: str
    then: str


_OF_CODE = {
    "forbidden": Trouble(
        N_("You may not do this"),
        N_("Your roles do not include it. Ask an admin of the console if they should."),
    ),
    "not_found": Trouble(
        N_("There is nothing here"),
        N_("The address may be mistyped, or what was here is gone. Go on from the menu."),
    ),
    "campaign_not_found": Trouble(
        N_("There is nothing here"),
        N_("The address may be mistyped, or what was here is gone. Go on from the menu."),
    ),
    "rate_limited": Trouble(
        N_("Too many tries"),
        N_("Wait a minute, then try again."),
    ),
    "overloaded": Trouble(
        N_("Too busy at this moment"),
        N_("Nothing was done. Try again in a few seconds."),
    ),
    "not_ready": Trouble(
        N_("The books can't be reached"),
        N_("The console needs PostgreSQL, which does not answer. Claims go on without it. Try again in a moment."),
    ),
    "internal": Trouble(
        N_("Something went wrong on our side"),
        N_("It is in the log, with this answer's X-Request-Id. Look whether it was done before you try again."),
    ),
}
_FORM = Trouble(
    N_("This form could not be taken"),
    N_("Nothing was done. Open the page again and fill it in anew."),
)

_PLACE = Trouble(
    N_("There is no such page of the list"),
    N_("The address may be cut off, or of an earlier version. Open the list again from the menu."),
)


def trouble_of(refusal: Refusal) -> Trouble:
    """What *refusal* is to a person."""
    if isinstance(refusal, NotOurs):
        return _FORM
    if refusal.context.get("field") == "cursor":
        return _PLACE
    return _OF_CODE.get(refusal.code, _FORM)
