"""
The fast lane: claims answered by the protocol class itself.

A claim is one small POST, so it needs no task, no scope and no middleware. Its path is looked up when its head is
complete; credentials, key and body are checked by what the Starlette route uses; the batcher calls back; one write
answers. What is unusual (a path that is not known yet, an API key, chunks, Expect, HTTP/1.0, a header twice) goes to
the Starlette route, which answers alike.
"""

import logging
from time import time
from typing import Any

from gateway.answers import Answer, problem_answer
from gateway.asks import Rush, ScriptReply
from gateway.catalog import Published
from gateway.claims import Asked, Claim
from gateway.edge import request_id_for
from gateway.errors import Refusal
from gateway.guard import Guard
from gateway.routes.access import API_KEY_PREFIX, bearer
from gateway.shape import Shape
from gateway.wire import IDEMPOTENCY_KEY_CHARS_MAX, check_idempotency_key, check_media_type
from lua.keys import key_hash

log = logging.getLogger("fairclaim.lane")

_JSON = b"application/json"


class _Nobody:
    """Takes the place of uvicorn's event of a request: no task waits for a claim."""

    def set(self) -> None:
        """Wake nobody."""


class LaneClaim(Claim):
    """
    A claim, its connection's turn for it, and what uvicorn wants to know of a request, in one object.

    Its turn comes when the requests before it on the connection are answered; it is decided when its turn has come
    and its body is there.
    """

    __slots__ = (
        "body", "disconnected", "keep_alive", "lane", "media_type", "more_body", "refusal", "response_complete", "turn",
    )  # fmt: skip
    message_event = _Nobody()
    response_started = False

    @property
    def path(self) -> str:
        """What was asked for."""
        return f"/v1/campaigns/{self.campaign.id}/claims"

    def __init__(self, lane: "Lane", campaign: Published, request_id: str, keep_alive: bool) -> None:
        # As Claim.__init__, without the call; holder, idem, channel, began and deadline are set before anybody looks.
        self._claims, self.campaign, self.request_id, self.code_tries = lane.claims, campaign, request_id, 0
        self.lane, self.keep_alive = lane, keep_alive
        self.disconnected = self.response_complete = self.turn = False
        self.more_body = True
        self.body = b""
        self.media_type: bytes | None = None
        self.refusal: Refusal | None = None

    def go_on(self) -> None:
        """Decide it if its turn has come and it is all there; what can't be a claim needs no body for its refusal."""
        if not self.turn or self.response_complete:
            return
        if self.refusal is not None:
            self.lane.refuse(self, self.refusal)
        elif not self.more_body:
            try:
                asked = self._claims.bodies.known.get(self.body) if self.media_type is None else None
                self.ask(asked or self._read())
            except Refusal as refusal:
                self.lane.refuse(self, refusal)
            except Exception:
                log.exception("claim failed", extra={"request_id": self.request_id})
                self.lane.refuse(self, Refusal("internal"))

    def _read(self) -> Asked:
        if self.media_type is not None:
            check_media_type(self.media_type.decode("latin-1"), self.body)
        return self._claims.bodies.read(self.body)

    def decided(self, rush: Rush, reply: ScriptReply, code: str) -> None:
        """A coupon on a connection that stays open, what most of a rush is, in one step; the rest as on any front."""
        lane = self.lane
        if (
            not isinstance(reply, int)
            or reply < 1
            or not self.keep_alive
            or self.disconnected
            or self.response_complete
            or lane.flow.write_paused
            or lane.tells_each
        ):
            super().decided(rush, reply, code)
            return
        claims = self._claims
        answers = claims.answers if rush is claims.rush else claims.render(self.campaign, rush)
        lane.transport.write(answers.on_wire(lane.server_state.default_headers, reply, code, self.request_id))
        self.response_complete = True
        claims.telemetry.granted(claims.loop_time() - self.began)
        lane.on_response_complete()

    def answered(self, answer: Answer) -> None:
        """Write the answer, unless nobody is there any more; to a slow reader once he has read what came before."""
        lane = self.lane
        if self.disconnected or self.response_complete:
            return
        if lane.flow.write_paused:
            lane.hold(self, answer)
            return
        lane.transport.write(lane.on_wire(answer, self.request_id, self.keep_alive))
        self.response_complete = True
        lane.telemetry.response(answer.status)
        if lane.tells_each:
            about = {"request_id": self.request_id, "method": "POST", "path": self.path}
            log.debug("answered", extra={**about, "status": answer.status})
        if not self.keep_alive:
            lane.transport.close()
        lane.on_response_complete()


class Lane(Guard):
    """One connection whose claims are answered here; everything else falls through."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        here = self.services
        self.claims, self.telemetry = here.claims, here.telemetry
        self._paths, self._claimant = here.catalog.claim_paths, here.credentials.claimant
        self._body_bytes_max = here.settings.claim_body_bytes_max
        self.tells_each = log.isEnabledFor(logging.DEBUG)
        self._held: tuple[LaneClaim, Answer] | None = None  # until a slow reader has read what came before

    def begin(self, shape: Shape, values: dict[bytes, bytes]) -> None:
        """Take the request if it is a claim like most."""
        campaign, parser = self._paths.get(self.url), self.parser
        if campaign is None or not shape.plain or parser.get_method() != b"POST":
            self.to_starlette()
            return
        keep_alive = parser.should_keep_alive()
        # HTTP/1.0 keeps a connection only where a Connection header says so; only then the version has to be asked for.
        if not (keep_alive and shape.silent) and parser.get_http_version() != "1.1":
            self.to_starlette()
            return
        credential = values.get(shape.authorization, b"").decode("latin-1")
        if API_KEY_PREFIX in credential:
            self.to_starlette()
            return
        given = values.get(shape.x_request_id)
        request_id = request_id_for(given if given is None else given.decode("latin-1"))
        claim = LaneClaim(self, campaign, request_id, keep_alive)
        try:
            self._check(claim, credential, shape, values)
        except Refusal as refusal:
            claim.refusal = refusal
        except Exception:
            log.exception("claim failed", extra={"request_id": request_id})
            claim.refusal = Refusal("internal")
        earlier, self.cycle = self.cycle, claim
        if earlier is None or earlier.response_complete:
            claim.turn = True
            if claim.refusal is not None:
                claim.go_on()
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((claim, self.app))

    def _check(self, claim: LaneClaim, credential: str, shape: Shape, values: dict[bytes, bytes]) -> None:
        """Who claims, with which key, in how many bytes. Errors: Refusal, in the order of the Starlette route."""
        plain = len(credential) > 7 and credential.startswith("Bearer ")
        text = credential[7:].strip() if plain else bearer([credential])
        claim.holder = self._claimant(text, claim.campaign.id, time())
        key = values.get(shape.idempotency_key, b"").decode("latin-1")
        if not (key.isascii() and key.isprintable() and 0 < len(key) <= IDEMPOTENCY_KEY_CHARS_MAX):
            check_idempotency_key([key] if shape.idempotency_key else [])
        claim.idem = key_hash(key)
        length = values.get(shape.content_length)
        if length is not None and int(length) > self._body_bytes_max:
            raise Refusal("too_large", f"The body may have at most {self._body_bytes_max} bytes.")
        media_type = values.get(shape.content_type)
        if media_type != _JSON:
            claim.media_type = media_type

    def on_body(self, body: bytes) -> None:
        """More of the body of the request last begun."""
        claim: Any = self.cycle
        if claim.__class__ is not LaneClaim:
            super().on_body(body)
        elif not claim.response_complete:
            claim.body = claim.body + body if claim.body else body

    def on_message_complete(self) -> None:
        """All of it is there."""
        claim: Any = self.cycle
        if claim.__class__ is LaneClaim:
            self._receiving = claim.more_body = False
            if claim.response_complete:
                self.idle_from_now()  # it was refused before its body was here
            else:
                claim.go_on()
        else:
            super().on_message_complete()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """The turn of a pipelined request has come."""
        if cycle.__class__ is LaneClaim:
            cycle.turn = True
            cycle.go_on()
        else:
            super()._start_asgi_task(cycle, app)

    def refuse(self, claim: LaneClaim, refusal: Refusal) -> None:
        """Answer *claim*, which was never asked, with *refusal*."""
        now_ms = round(time() * 1000)
        claim.answered(problem_answer(refusal, claim.request_id, now_ms, self.claims.retry_after_s_max))

    def hold(self, claim: LaneClaim, answer: Answer) -> None:
        """Keep *answer* until the transport takes more; the next request waits for it, so there is one at most."""
        self._held = self._held or (claim, answer)

    def resume_writing(self) -> None:
        """A slow reader has caught up."""
        super().resume_writing()
        held, self._held = self._held, None
        if held is not None:
            claim, answer = held
            claim.answered(answer)
