"""
A till that is signed in: who, where, and until when, in one signed cookie. No server remembers it.

    fcs_1.<kid>.<session>.<mac>

The session is base64url of msgpack; it names an API key by its id and never holds the key. The MAC is over all
that stands before it, under a key derived from the JWT secret of that kid, as with tickets. *form* is a secret of the
session that every form of it carries: a page of somebody else can neither read nor guess it.
"""

import hmac
from secrets import token_urlsafe

import msgspec

from gateway.signing import Mac, bytes_of, keyed, segment_of

COOKIE = "fairclaim_till"
SIGNED_IN_S_MAX = 12 * 3600
"""However busy a till is, somebody shows the key again in every shift."""
SESSION_CHARS_MAX = 2048
_VERSION = b"fcs_1"
_PURPOSE = b"fairclaim till session 1"
_FORM_BYTES = 18


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


def new_form() -> str:
    """A secret for the forms of a new session."""
    return token_urlsafe(_FORM_BYTES)


class Sessions:
    """Makes and reads sessions with *keys* (kid → JWT secret), the first of which signs."""

    def __init__(self, keys: dict[str, bytes], idle_s_max: int) -> None:
        self._idle_s_max = idle_s_max
        self.use_keys(keys)

    def use_keys(self, keys: dict[str, bytes]) -> None:
        """From now on *keys* and no others."""
        self._macs: dict[bytes, Mac] = {
            segment_of(kid.encode()): keyed(hmac.digest(secret, _PURPOSE, "sha256")) for kid, secret in keys.items()
        }

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
        kid, mac = next(iter(self._macs.items()))
        packed = msgspec.msgpack.encode(msgspec.structs.replace(session, expires_s=expires_s))
        signed = b".".join((_VERSION, kid, segment_of(packed)))
        return (signed + b"." + mac(signed)).decode()

    def open(self, text: str, now_s: float) -> Session | None:
        """The session in a cookie; None where there is none that is good now."""
        if len(text) > SESSION_CHARS_MAX or not text.isascii():
            return None
        signed, _, given = text.encode().rpartition(b".")
        fields = signed.split(b".")
        mac = self._macs.get(fields[1]) if len(fields) == 3 and fields[0] == _VERSION else None
        if mac is None or not hmac.compare_digest(mac(signed), given):
            return None
        session = msgspec.msgpack.decode(bytes_of(fields[2]), type=Session)  # as seal() wrote it
        return session if now_s < session.expires_s else None
