"""
Who a holder's credential names: a token, or for a claim a ticket too; and the sessions of pages, under the same keys.

Synchronous and without HTTP, so that any front asks the same question and gets the same answer. API keys
are looked up elsewhere (keys.py): they name staff.
"""

from gateway.console.sessions import Sessions as ConsoleSessions
from gateway.errors import Refusal
from gateway.settings import Settings
from gateway.tickets import TICKET_PREFIX, Tickets
from gateway.till.sessions import Sessions
from gateway.tokens import TokenVerifier
from lua.keys import HolderId


class Credentials:
    """The tokens, tickets and sessions of one worker, under the same keys (kid → JWT secret)."""

    def __init__(self, keys: dict[str, bytes], settings: Settings) -> None:
        leeway_s = settings.jwt_leeway_s
        self.tickets = Tickets(keys, leeway_s)
        self.sessions = Sessions(keys, settings.till_idle_s_max)
        self.console = ConsoleSessions(keys, settings.console_idle_s_max, settings.console_signed_in_s_max)
        self.tokens = TokenVerifier(
            keys, settings.jwt_audience, settings.jwt_issuer, leeway_s, cache_max=settings.token_cache_max
        )

    def use_keys(self, keys: dict[str, bytes]) -> None:
        """From now on *keys* and no others, for tokens, those already verified too, tickets and sessions."""
        self.tokens.use_keys(keys)
        self.tickets.use_keys(keys)
        self.sessions.use_keys(keys)
        self.console.use_keys(keys)

    def claimant(self, credential: str, campaign: str, now_s: float) -> HolderId:
        """
        The holder *credential* names for a claim on *campaign*, by a token or by a ticket of that campaign.

        Errors: Refusal("unauthenticated") saying what is wrong, never what is in it.
        """
        if credential.startswith(TICKET_PREFIX):
            return self.tickets.verify(credential, campaign, now_s)
        return self.tokens.verify(credential, now_s)

    def holder(self, credential: str, now_s: float) -> HolderId:
        """The holder a token names, for anything but a claim. Errors: as claimant(), and for any ticket."""
        if credential.startswith(TICKET_PREFIX):
            raise Refusal("unauthenticated", "A claim ticket is good for a claim only: send a holder's token.")
        return self.tokens.verify(credential, now_s)
