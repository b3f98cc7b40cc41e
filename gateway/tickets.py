"""
Claim tickets: the right of a holder to claim from one campaign, got before the sale, proven by one HMAC.

    fct_1.<kid>.<campaign>.<not before>.<expires>.<nonce>.<holder>.<mac>

Times are milliseconds since the epoch; kid, nonce, holder and mac are base64url. The MAC is over all that
stands before it, under a key derived from the JWT secret of that kid. So no new secret is needed, a
ticket goes when its kid goes, and neither a token nor a ticket can pass for the other.
"""

import hmac
from secrets import token_bytes

from gateway.errors import Refusal
from gateway.signing import Mac, bytes_of, keyed, segment_of
from lua.keys import CampaignId, HolderId

TICKET_PREFIX = "fct_"
"""What tells a ticket from a token, which begins with the base64url of a brace, and from an API key."""
TICKET_CHARS_MAX = 1024
"""More than the longest kid, campaign and holder make."""
_VERSION = b"fct_1"
_PURPOSE = b"fairclaim claim ticket 1"
_NONCE_BYTES = 9
_FIELDS = 7


def ticket_key(secret: bytes) -> bytes:
    """The key of tickets that belongs to a JWT secret. No token is signed over its purpose, which has no dot."""
    return hmac.digest(secret, _PURPOSE, "sha256")


class Tickets:
    """
    Makes and checks tickets with *keys* (kid → JWT secret), the first of which mints.

    Units: *leeway_s* seconds are forgiven at both ends, as they are with tokens.
    """

    def __init__(self, keys: dict[str, bytes], leeway_s: int) -> None:
        self._leeway_ms = leeway_s * 1000
        self.use_keys(keys)

    def use_keys(self, keys: dict[str, bytes]) -> None:
        """From now on *keys* and no others."""
        self._macs: dict[bytes, Mac] = {
            segment_of(kid.encode()): keyed(ticket_key(secret)) for kid, secret in keys.items()
        }

    def mint(self, holder: HolderId, campaign: CampaignId, now_s: float, expires_s: float) -> str:
        """A ticket for *holder*, to claim from *campaign* from *now_s* until *expires_s*, seconds since the epoch."""
        kid, mac = next(iter(self._macs.items()))
        fields = (
            _VERSION,
            kid,
            campaign.encode(),
            b"%d" % round(now_s * 1000),
            b"%d" % round(expires_s * 1000),
            segment_of(token_bytes(_NONCE_BYTES)),
            segment_of(holder.encode()),
        )
        signed = b".".join(fields)
        return (signed + b"." + mac(signed)).decode()

    def verify(self, text: str, campaign: str, now_s: float) -> HolderId:
        """
        The holder of a ticket that is good for a claim on *campaign* at *now_s*.

        Errors: Refusal("unauthenticated") saying what is wrong with the ticket, never what is in it.
        """
        if len(text) > TICKET_CHARS_MAX or not text.isascii():
            raise Refusal("unauthenticated", "This is not a claim ticket.")
        signed, _, given = text.encode().rpartition(b".")
        fields = signed.split(b".")
        if len(fields) != _FIELDS or fields[0] != _VERSION:
            raise Refusal("unauthenticated", "This is not a claim ticket.")
        _, kid, of_campaign, not_before, expires, _, holder = fields
        mac = self._macs.get(kid)
        if mac is None:
            raise Refusal("unauthenticated", "The ticket was made with a key that is not known here.")
        if not hmac.compare_digest(mac(signed), given):
            raise Refusal("unauthenticated", "The ticket was not made here, or has been changed.")
        # From here on the fields are as mint() wrote them.
        if of_campaign.decode() != campaign:
            raise Refusal("unauthenticated", "The ticket is for another campaign.")
        now_ms = now_s * 1000
        if now_ms < int(not_before) - self._leeway_ms:
            raise Refusal("unauthenticated", "The ticket is not valid yet.")
        if now_ms >= int(expires) + self._leeway_ms:
            raise Refusal("unauthenticated", "The ticket has expired.")
        return HolderId(bytes_of(holder).decode())
