"""The states of a coupon, the steps between them, and how an illegal one is refused. Pure."""

from enum import StrEnum
from typing import Any

from gateway.errors import Refusal


class State(StrEnum):
    """A state as everybody sees it; *letter* is how Redis keeps it."""

    CLAIMED = "claimed"
    RESERVED = "reserved"
    REDEEMED = "redeemed"
    EXPIRED = "expired"
    REVOKED = "revoked"


LETTERS = {
    "c": State.CLAIMED,
    "r": State.RESERVED,
    "u": State.REDEEMED,
    "x": State.EXPIRED,
    "v": State.REVOKED,
}
"""One character of a coupon's record (lua/lib/life.lua) → the state."""

ALLOWED: dict[State, tuple[State, ...]] = {
    State.CLAIMED: (State.RESERVED, State.REDEEMED, State.EXPIRED, State.REVOKED),
    State.RESERVED: (State.CLAIMED, State.REDEEMED, State.REVOKED),
    State.REDEEMED: (State.CLAIMED, State.EXPIRED),
    State.EXPIRED: (),
    State.REVOKED: (),
}
"""From → to. What is redeemed comes back by a rollback; what is expired or revoked stays so."""

_STEPS = {
    State.RESERVED: "reserved",
    State.REDEEMED: "redeemed",
    State.REVOKED: "revoked",
    State.CLAIMED: "released",
}


def illegal_step(now: State, to: State) -> Refusal:
    """The refusal of a step that a coupon can't take from here."""
    allowed = [state.value for state in ALLOWED[now]]
    ways = ", ".join(allowed) or "nothing"
    context: dict[str, Any] = {"from": now.value, "to": to.value, "allowed": allowed}
    return Refusal("invalid_state", f"A coupon that is {now} can't be {_STEPS[to]}; it can become: {ways}.", **context)
