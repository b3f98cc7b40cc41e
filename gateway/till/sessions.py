"""
A till that is signed in: who, where, and until when, in one signed cookie (gateway/cookies.py).

It names an API key by its id and never holds the key.
"""

import msgspec

from gateway.cookies import Seal, new_form

COOKIE = "fairclaim_till"
SIGNED_IN_S_MAX = 12 * 3600
"""However busy a till is, somebody shows the key again in every shift."""
_VERSION = "fcs_1"
_PURPOSE = "fairclaim till session 1"


class Session(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """
    One browser's session; one without *key_id* is not signed in.

    Units: times are seconds since the epoch.
    """

    form: str
    expires_s: int
    signed_in_s: int = 0
    key_id: str = ""
    store: str = ""
    merchant: str = ""
    staff: str = ""
    currency: str = ""
    zone: str = ""


class Sessions:
    """Makes and reads sessions with *keys* (kid → JWT secret), the first of which signs."""

    def __init__(self, keys: dict[str, bytes], idle_s_max: int) -> None:
        self._idle_s_max = idle_s_max
        self._seal = Seal(_VERSION, _PURPOSE, Session, keys)

    def use_keys(self, keys: dict[str, bytes]) -> None:
        """From now on *keys* and no others."""
        self._seal.use_keys(keys)

    def visit(self, now_s: float) -> Session:
        """The session of a browser that is not signed in."""
        return Session(form=new_form(), expires_s=int(now_s) + self._idle_s_max)

    def sign_in(
        self, key_id: str, now_s: float, *, store: str, merchant: str, staff: str, currency: str, zone: str
    ) -> Session:
        """A new session of the till that showed the key *key_id*."""
        return Session(
            form=new_form(),
            expires_s=int(now_s) + self._idle_s_max,
            signed_in_s=int(now_s),
            key_id=key_id,
            store=store,
            merchant=merchant,
            staff=staff,
            currency=currency,
            zone=zone,
        )

    def seal(self, session: Session, now_s: float) -> str:
        """The cookie of *session*, good for idle_s_max from now, but not beyond what a sign-in is good for."""
        expires_s = int(now_s) + self._idle_s_max
        if session.key_id:
            expires_s = min(expires_s, session.signed_in_s + SIGNED_IN_S_MAX)
        return self._seal.seal(msgspec.structs.replace(session, expires_s=expires_s))

    def open(self, text: str, now_s: float) -> Session | None:
        """The session in a cookie; None where there is none that is good now."""
        return self._seal.open(text, now_s)
