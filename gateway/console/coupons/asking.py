"""Who of the console asks about codes: guessing is limited for people as it is for API keys."""

from gateway.callers import Caller
from gateway.console.page import Visit
from gateway.keys import ApiKey
from gateway.redeeming.coupons import Asker


def asker_of(visit: Visit) -> Asker:
    """
    The person of *visit* as the services know who asks.

    Failures count for the user and for the user at an address, with the limits of a key (gateway/guessing.py).
    """
    who = visit.who
    counted = ApiKey(who.actor, who.name, "store")
    return Asker("", who.actor, Caller(None, counted), visit.here.guessing.address(visit.request), [])
