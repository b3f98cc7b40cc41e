"""A till's session: what is sealed is opened until its time is over, and nothing else is."""

import pytest

from gateway.credentials import Credentials
from gateway.settings import Settings
from gateway.till.sessions import SIGNED_IN_S_MAX, Session, Sessions

IDLE_S, NOW_S = 1800, 1_800_000_000.5
KEYS = {"k1": b"1" * 32, "k2": b"2" * 32}


def sessions(*kids: str) -> Sessions:
    """Sessions under these keys."""
    return Sessions({kid: KEYS[kid] for kid in kids or ("k1",)}, IDLE_S)


def signed_in(made: Sessions) -> Session:
    """The session of a till."""
    told = {"store": "Straße 1", "merchant": "m-1", "staff": "王雷", "currency": "CNY", "zone": "Asia/Shanghai"}
    return made.sign_in("abcdefgh", NOW_S, **told)


def test_what_is_sealed_is_opened() -> None:
    """A session comes back as it was, with its form and its key's id."""
    here = sessions()
    session = signed_in(here)

    found = here.open(here.seal(session, NOW_S), NOW_S)

    assert found == session
    assert found is not None
    assert (found.key_id, found.store, found.staff) == ("abcdefgh", "Straße 1", "王雷")


def test_it_ends_when_it_is_not_used() -> None:
    """Good until idle_s_max after it was sealed, and not at that second."""
    here = sessions()
    text = here.seal(signed_in(here), NOW_S)

    assert here.open(text, NOW_S + IDLE_S - 1) is not None
    assert here.open(text, NOW_S + IDLE_S) is None


def test_it_ends_however_much_it_is_used() -> None:
    """Sealed again and again, it is over SIGNED_IN_S_MAX after the sign-in."""
    here = sessions()
    session: Session | None = signed_in(here)
    at_s = NOW_S
    while session is not None:
        text = here.seal(session, at_s)
        at_s += IDLE_S / 2
        session = here.open(text, at_s)

    assert SIGNED_IN_S_MAX - IDLE_S <= at_s - NOW_S <= SIGNED_IN_S_MAX + IDLE_S


@pytest.mark.parametrize("at", range(0, 120, 7))
def test_a_changed_one_is_none(at: int) -> None:
    """A single changed character anywhere in it, and it is no session."""
    here = sessions()
    text = here.seal(signed_in(here), NOW_S)
    assert here.open(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :], NOW_S) is None


@pytest.mark.parametrize("text", ["", ".", "...", "fcs_1.azE.gg.x", "é", "x" * 5000, "fct_1.azE.e30.x"])
def test_what_was_never_sealed_is_none(text: str) -> None:
    """Anything else is no session, and no error."""
    assert sessions().open(text, NOW_S) is None


def test_it_goes_with_its_key() -> None:
    """A session outlives a rotation while its key is known, and ends when the key goes."""
    here = sessions("k1")
    text = here.seal(signed_in(here), NOW_S)

    here.use_keys({"k2": KEYS["k2"], "k1": KEYS["k1"]})
    both = here.open(text, NOW_S)
    here.use_keys({"k2": KEYS["k2"]})

    assert both is not None
    assert here.open(text, NOW_S) is None


def test_keys_change_with_those_of_tokens() -> None:
    """Credentials gives its sessions the keys that tokens have."""
    credentials = Credentials({"k1": KEYS["k1"]}, Settings())
    text = credentials.sessions.seal(signed_in(credentials.sessions), NOW_S)

    credentials.use_keys({"k2": KEYS["k2"]})

    assert credentials.sessions.open(text, NOW_S) is None


def test_two_sign_ins_have_two_forms() -> None:
    """Each session has a form of its own, and signing in makes a new one."""
    here = sessions()

    assert len({here.visit(NOW_S).form, signed_in(here).form, signed_in(here).form}) == 3
