"""
The life of a campaign: DRAFT → SCHEDULED → ACTIVE ⇄ PAUSED → ENDED → ARCHIVED, or DRAFT → ARCHIVED. Pure.

What is stored is what was last asked for. SCHEDULED becomes ACTIVE, and ACTIVE becomes ENDED, by the
clock alone, so nothing has to be awake for it. claim.lua decides by the same clock and window.
"""

from enum import StrEnum
from typing import Any

from gateway.errors import Refusal


class Stored(StrEnum):
    """A state as Postgres keeps it: what was last asked for."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    PAUSED = "paused"
    ENDED = "ended"
    ARCHIVED = "archived"


class State(StrEnum):
    """A state as everybody sees it, at one instant."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"
    ARCHIVED = "archived"


ALLOWED: dict[State, tuple[State, ...]] = {
    State.DRAFT: (State.SCHEDULED, State.ACTIVE, State.ARCHIVED),
    State.SCHEDULED: (State.PAUSED, State.ENDED),
    State.ACTIVE: (State.PAUSED, State.ENDED),
    State.PAUSED: (State.ACTIVE, State.ENDED),
    State.ENDED: (State.ARCHIVED,),
    State.ARCHIVED: (),
}
"""From → to. A draft goes ACTIVE at once only while its window is open; before that the way is SCHEDULED."""

_STORED_AS = {
    State.SCHEDULED: Stored.SCHEDULED,
    State.ACTIVE: Stored.SCHEDULED,
    State.PAUSED: Stored.PAUSED,
    State.ENDED: Stored.ENDED,
    State.ARCHIVED: Stored.ARCHIVED,
}


def state_at(stored: Stored, starts_ms: int, ends_ms: int, now_ms: int) -> State:
    """The state at *now_ms*, which is Redis TIME. The window is from *starts_ms* up to, not including, *ends_ms*."""
    if stored in (Stored.DRAFT, Stored.ENDED, Stored.ARCHIVED):
        return State(stored.value)
    if now_ms >= ends_ms:
        return State.ENDED
    if stored is Stored.PAUSED:
        return State.PAUSED
    return State.SCHEDULED if now_ms < starts_ms else State.ACTIVE


def next_stored(stored: Stored, to: State, starts_ms: int, ends_ms: int, now_ms: int) -> Stored | None:
    """
    What to store so that the campaign goes to *to*; None when it is there already, so a repetition does no harm.

    Errors: Refusal("invalid_state") with from, to and allowed.
    """
    now = state_at(stored, starts_ms, ends_ms, now_ms)
    if to is now or (to is State.SCHEDULED and now is State.ACTIVE):
        return None
    allowed = list(ALLOWED[now])
    if now is State.DRAFT and now_ms >= ends_ms:
        allowed = [State.ARCHIVED]  # nothing could be claimed; the window has to be moved first
    elif now is State.DRAFT and now_ms < starts_ms:
        allowed.remove(State.ACTIVE)
    if to in allowed:
        return _STORED_AS[to]
    because = ""
    if now is State.DRAFT and to in ALLOWED[now]:
        because = " once its window is over" if now_ms >= ends_ms else " before its window opens"
    detail = f"A campaign can't go from {now} to {to}{because}; allowed: {', '.join(allowed) or 'nothing'}."
    context: dict[str, Any] = {"from": now, "to": to, "allowed": allowed}
    raise Refusal("invalid_state", detail, **context)
