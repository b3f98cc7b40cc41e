"""
One claim: what is asked, and what is answered to it.

This is the whole of the claim but for HTTP, so that any front (the Starlette route, the lane) answers
alike, byte for byte.
"""

import asyncio
from abc import abstractmethod
from typing import Annotated, NamedTuple

import msgspec

from gateway.answers import Answer, CallAnswers, undecided_answer
from gateway.asks import Ask, Rush, ScriptReply
from gateway.batcher import Batcher
from gateway.catalog import Published
from gateway.pressure import Pressure
from gateway.queue import Undecided
from gateway.settings import Settings
from gateway.telemetry import Telemetry
from gateway.wire import read_json
from lua.keys import HolderId, payload_hash

_NOBODY = HolderId("")
BODIES_KEPT_MAX = 1024
BODY_KEPT_BYTES_MAX = 128


class ClaimBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body of a claim. *channel* is where the holder is; a claim that names none passes the channel rule."""

    channel: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_-]{1,32}\Z")] | None = None


class Asked(NamedTuple):
    """A body as the script needs it: the channel, '' for none, and the hash that tells another payload."""

    channel: str
    payload_hash: str


class Bodies:
    """Reads bodies of claims. A rush sends the same few over and over, so what was read is *known*, up to a bound."""

    def __init__(self) -> None:
        self.known: dict[bytes, Asked] = {}

    def read(self, data: bytes) -> Asked:
        """*data* as a ClaimBody. Errors: Refusal("bad_request") naming the field."""
        found = self.known.get(data)
        if found is not None:
            return found
        body = read_json(data, ClaimBody)
        asked = Asked(body.channel or "", payload_hash(msgspec.json.encode(body)))
        if len(self.known) < BODIES_KEPT_MAX and len(data) <= BODY_KEPT_BYTES_MAX:
            self.known[data] = asked
        return asked


class Claim(Ask):
    """
    One claim of *campaign*; a front extends it with what to do with the answer.

    The front sets *holder* and *idem* (key_hash of the key), and ask() adds what the body says.
    """

    __slots__ = ("_claims", "began", "campaign", "request_id")

    def __init__(self, claims: "Claims", campaign: Published, request_id: str) -> None:
        self.holder, self.idem, self.channel = _NOBODY, "", ""  # as Ask.__init__, without the call
        self.deadline, self.code_tries = 0.0, 0
        self._claims, self.campaign, self.request_id, self.began = claims, campaign, request_id, 0.0

    def ask(self, asked: Asked) -> None:
        """Have it decided; every expected outcome is an Answer, given to answered()."""
        self.channel, payload = asked
        self.idem += payload
        self._claims.submit(self)

    def decided(self, rush: Rush, reply: ScriptReply, code: str) -> None:
        """Render the script's reply and hand it over."""
        claims = self._claims
        answers = claims.answers if rush is claims.rush else claims.render(self.campaign, rush)
        answer = answers.of(reply, code, self.request_id)
        claims.telemetry.claim(answer.outcome, claims.loop_time() - self.began)
        self.answered(answer)

    def undecided(self, why: Undecided) -> None:
        """Render why there is no answer and hand it over."""
        claims = self._claims
        answer = undecided_answer(why, self.request_id, claims.retry_after_s_max)
        claims.telemetry.claim(answer.outcome, claims.loop_time() - self.began)
        self.answered(answer)

    @abstractmethod
    def answered(self, answer: Answer) -> None:
        """The answer, once; perhaps before submit() returns."""


class Claims:
    """Claims of one worker. *answers* renders *rush*, the script call that was answered last."""

    def __init__(self, batcher: Batcher, pressure: Pressure, settings: Settings, telemetry: Telemetry) -> None:
        self._batcher, self._pressure, self.telemetry = batcher, pressure, telemetry
        self.retry_after_s_max = settings.retry_after_s_max
        self.bodies = Bodies()
        self.loop_time = asyncio.get_running_loop().time  # uvloop reads the clock once a turn of the loop
        self.rush: Rush | None = None
        self.answers: CallAnswers

    def submit(self, claim: Claim) -> None:
        """Send *claim* on its way."""
        claim.began = self.loop_time()
        if self._pressure.closed_because is not None:
            claim.undecided(Undecided("overloaded", self._pressure.closed_because))
            return
        self._batcher.submit(claim.campaign.shard(claim.holder), claim.campaign.number, claim)

    def render(self, campaign: Published, rush: Rush) -> CallAnswers:
        """The renderer of a call: the claims of a call are answered one after the other, so the last one is kept."""
        self.rush, self.answers = rush, CallAnswers(campaign, rush, self.retry_after_s_max)
        return self.answers
