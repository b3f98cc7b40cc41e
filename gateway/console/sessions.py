"""
Who is signed in to the console, and until when, in one signed cookie (gateway/cookies.py).

A session holds a name and a stamp. Whatever ends somebody's sessions gives him a new stamp, so a cookie that was copied
is worth nothing from then on.
"""

import msgspec

from gateway.cookies import Seal, new_form

COOKIE = "fairclaim_console"
_VERSION = "fcc_1"
_PURPOSE = "fairclaim console session 1"


class Session(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """
    One browser's session; one without a *name* is not signed in.

    *language* is what was chosen before signing in, *zone* the browser's. Units: times are seconds since the epoch.
    """

    form: str
    expires_s: int
    signed_in_s: int = 0
    name: str = ""
    stamp: str = ""
    language: str = ""
    zone: str = ""


class Sessions:
    """Makes and reads sessions; they end *idle_s_max* after their last use, and *signed_in_s_max* after their start."""

    def __init__(self, keys: dict[str, bytes], idle_s_max: int, signed_in_s_max: int) -> None:
        self._idle_s_max, self._signed_in_s_max = idle_s_max, signed_in_s_max
        self._seal = Seal(_VERSION, _PURPOSE, Session, keys)

    def use_keys(self, keys: dict[str, bytes]) -> None:
        """From now on *keys* and no others."""
        self._seal.use_keys(keys)

    def visit(self, now_s: float, language: str = "") -> Session:
        """The session of a browser that is not signed in."""
        return Session(form=new_form(), expires_s=int(now_s) + self._idle_s_max, language=language)

    def sign_in(self, name: str, stamp: str, now_s: float, *, language: str = "", zone: str = "") -> Session:
        """A new session of the user *name*, with a form of its own."""
        expires_s = int(now_s) + self._idle_s_max
        return Session(
            form=new_form(),
            expires_s=expires_s,
            signed_in_s=int(now_s),
            name=name,
            stamp=stamp,
            language=language,
            zone=zone,
        )

    def seal(self, session: Session, now_s: float) -> str:
        """The cookie of *session*, good for idle_s_max from now, but not beyond what a sign-in is good for."""
        expires_s = int(now_s) + self._idle_s_max
        if session.name:
            expires_s = min(expires_s, session.signed_in_s + self._signed_in_s_max)
        return self._seal.seal(msgspec.structs.replace(session, expires_s=expires_s))

    def open(self, text: str, now_s: float) -> Session | None:
        """The session in a cookie; None where there is none that is good now."""
        return self._seal.open(text, now_s)
