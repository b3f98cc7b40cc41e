"""The life of a campaign: every transition there is, and every one there is not."""

import pytest

from gateway.campaigns.life import State, Stored, next_stored, state_at
from gateway.errors import Refusal

STARTS, ENDS = 1000, 2000
BEFORE, WITHIN, AFTER = 999, 1999, 2000


@pytest.mark.parametrize(
    ("stored", "now_ms", "state"),
    [
        ("draft", BEFORE, "draft"),
        ("draft", AFTER, "draft"),
        ("scheduled", BEFORE, "scheduled"),
        ("scheduled", STARTS, "active"),
        ("scheduled", WITHIN, "active"),
        ("scheduled", AFTER, "ended"),
        ("paused", BEFORE, "paused"),
        ("paused", WITHIN, "paused"),
        ("paused", AFTER, "ended"),
        ("ended", BEFORE, "ended"),
        ("ended", AFTER, "ended"),
        ("archived", WITHIN, "archived"),
    ],
)
def test_the_state_of_now_follows_from_the_clock(stored: str, now_ms: int, state: str) -> None:
    """The window opens with its first millisecond and is over with the first one after it; nobody has to act."""
    assert state_at(Stored(stored), STARTS, ENDS, now_ms) == state


# From (stored, clock) the states that can be reached, and what is stored then; None: it is there already.
TRANSITIONS: dict[tuple[str, int], dict[str, str | None]] = {
    ("draft", BEFORE): {"draft": None, "scheduled": "scheduled", "archived": "archived"},
    ("draft", WITHIN): {"draft": None, "scheduled": "scheduled", "active": "scheduled", "archived": "archived"},
    ("draft", AFTER): {"draft": None, "archived": "archived"},
    ("scheduled", BEFORE): {"scheduled": None, "paused": "paused", "ended": "ended"},
    ("scheduled", WITHIN): {"scheduled": None, "active": None, "paused": "paused", "ended": "ended"},
    ("scheduled", AFTER): {"ended": None, "archived": "archived"},
    ("paused", BEFORE): {"paused": None, "active": "scheduled", "ended": "ended"},
    ("paused", WITHIN): {"paused": None, "active": "scheduled", "ended": "ended"},
    ("paused", AFTER): {"ended": None, "archived": "archived"},
    ("ended", BEFORE): {"ended": None, "archived": "archived"},
    ("ended", AFTER): {"ended": None, "archived": "archived"},
    ("archived", WITHIN): {"archived": None},
}


@pytest.mark.parametrize("to", list(State))
@pytest.mark.parametrize(("stored", "now_ms"), list(TRANSITIONS))
def test_every_transition(stored: str, now_ms: int, to: State) -> None:
    """A transition in the table is made; every other is refused with from, to and what is allowed instead."""
    reachable = TRANSITIONS[stored, now_ms]

    if to in reachable:
        assert next_stored(Stored(stored), to, STARTS, ENDS, now_ms) == reachable[to]
        return
    with pytest.raises(Refusal) as refused:
        next_stored(Stored(stored), to, STARTS, ENDS, now_ms)
    assert refused.value.code == "invalid_state"
    assert refused.value.context == {
        "from": state_at(Stored(stored), STARTS, ENDS, now_ms),
        "to": to,
        "allowed": [state for state, becomes in reachable.items() if becomes is not None],
    }
