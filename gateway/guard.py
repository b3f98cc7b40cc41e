"""
The HTTP guard: what holds for every request before any route sees it.

uvicorn with httptools refuses what is not HTTP (two lengths, bare line ends, folded headers), but it takes a head of
any size, no Host or two of them, and waits for the rest of a request for ever. This protocol class bounds the head,
the whole message and the time both may take, wants exactly one Host, and leaves out header names with an underscore,
which some servers behind a proxy read as the hyphenated name. Everything else is uvicorn's own.
"""

import logging
import re
from time import time
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gateway.answers import Answer, problem_answer
from gateway.edge import request_id_for
from gateway.errors import Refusal
from gateway.services import Services
from gateway.shape import Shape, shape_of
from gateway.turns import Turns

log = logging.getLogger("fairclaim.guard")

LINGER_S = 1.0
"""How long a refused client may go on sending: a close with unread data would take the answer away from it."""

_IMPORT = re.compile(rb"/v1/(?:campaigns/[^/?]+/code-imports|outside-files)(?:\?|\Z)")
_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?\Z")
_CLOSE = b"connection: close\r\n"


class _Refused(Exception):
    """Ends the parsing of a connection; why is in _fault."""


class Guard(Turns):
    """One connection, and what is let in on it."""

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.services: Services = app_state["services"]
        settings = self.services.settings
        self._head_bytes_max, self._receipt_s_max = settings.head_bytes_max, settings.receipt_s_max
        self._connections_max = settings.connections_max
        # On the wire a body may come in chunks with as many bytes of framing; one route takes more than body_bytes_max.
        self._message_bytes_max = settings.head_bytes_max + 2 * settings.body_bytes_max
        self._import_bytes_max = settings.head_bytes_max + 2 * settings.import_bytes_max
        self._surplus = self._deaf = False
        self._read_bytes = self._message_bytes = self._shared_bytes = 0  # of this read; of all reads of the message
        self._begun = 0  # messages begun in this read
        self._host = b""
        self._fault: Refusal | None = None

    # The connection

    def connection_made(self, transport: Any) -> None:
        """See whether there is room for one more."""
        super().connection_made(transport)
        self._surplus = len(self.connections) > self._connections_max

    def shutdown(self) -> None:
        """The server stops: no stream of the console's keeps it waiting, and what else is asked is answered."""
        self.services.live.end()
        super().shutdown()

    def data_received(self, data: bytes) -> None:
        """Parse, and refuse what is not as it has to be."""
        if self._deaf:
            return
        between, self._begun, self._read_bytes = not self._receiving, 0, len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._not_upgraded(data, upgrade.args[0])
        except httptools.HttpParserError as error:
            self._not_parsed(error)
            return
        if self._receiving:
            self._count_partial(between)

    def _not_upgraded(self, data: bytes, offset: int) -> None:
        """An upgrade was asked for and is answered as plain HTTP; nothing is read of the new protocol behind it."""
        if len(data) > offset:
            self.cycle.keep_alive = False
            self._deaf = True

    def _not_parsed(self, error: httptools.HttpParserError) -> None:
        """The parser stopped: a check of ours stopped it, or this is not HTTP, or something of ours failed."""
        failed = error.__context__
        if self._fault is not None:
            refusal = self._fault
        elif failed is None or isinstance(failed, httptools.HttpParserError):  # the latter: a URL that is none
            refusal = Refusal("bad_request", f"This is not HTTP as it has to be: {failed or error}.")
        else:
            log.error("a request could not be taken", exc_info=failed)
            refusal = Refusal("internal")
        self._refuse(refusal)

    def _count_partial(self, between: bool) -> None:
        """The read ended within a request: bound what has come of it, and when the rest has to be here."""
        if self._begun:
            self.receiving_from_now()
            # Of a read that ends one request and begins the next it can't be told which bytes are whose.
            self._shared_bytes = 0 if self._begun == 1 and between else self._read_bytes
        self._message_bytes += self._read_bytes
        size = self._message_bytes - self._shared_bytes
        bound = self._head_bytes_max if self._in_head else self._message_bytes_max
        if size > bound and not (self._is_import() and size <= self._import_bytes_max):
            self._refuse(self._too_large())

    def _is_import(self) -> bool:
        return not self._in_head and _IMPORT.match(self.url) is not None

    def _too_large(self) -> Refusal:
        if self._in_head:
            return Refusal("headers_too_large", f"Request line and headers may have {self._head_bytes_max} bytes.")
        settings = self.services.settings
        bytes_max = settings.import_bytes_max if self._is_import() else settings.body_bytes_max
        return Refusal("too_large", f"The body may have at most {bytes_max} bytes.")

    # The parser's callbacks

    def on_message_begin(self) -> None:
        """A request begins; uvicorn's scope is made only for those that Starlette answers."""
        self.url, self.headers = b"", []
        self._receiving = self._in_head = True
        self._message_bytes = 0
        self._begun += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, as it is spelt."""
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is there: check it, and let it be answered."""
        headers = self.headers
        if self._message_bytes + self._read_bytes > self._head_bytes_max:
            self._check_head_bytes()
        values = dict(headers)
        shape = shape_of(tuple(values)) if len(values) == len(headers) else shape_of(tuple(name for name, _ in headers))
        if shape.hosts > 1:
            self._stop(Refusal("bad_request", "Exactly one Host header is required.", field="Host"))
        host = values.get(shape.host)
        if host != self._host or not host:
            self._check_host(host)
        if self._surplus:
            self._stop(Refusal("overloaded", "There are too many connections."))
        self.begin(shape, values)
        self._in_head = False

    def _check_head_bytes(self) -> None:
        """The exact count, where the reads alone do not say that the head is small enough."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self._head_bytes_max:
            self._stop(self._too_large())

    def _check_host(self, host: bytes | None) -> None:
        if host is None:
            if self.parser.get_http_version() != "1.0":
                self._stop(Refusal("bad_request", "Exactly one Host header is required.", field="Host"))
            return
        if not _HOST.match(host.strip(b" \t")):
            self._stop(Refusal("bad_request", "Host has to be a name or an address, and a port.", field="Host"))
        self._host = host

    def _stop(self, refusal: Refusal) -> None:
        self._fault = refusal
        raise _Refused

    def begin(self, shape: Shape, values: dict[bytes, bytes]) -> None:
        """Answer the request whose head is complete; *values* by the names of *shape*, good where it is plain."""
        self.to_starlette()

    def to_starlette(self) -> None:
        """Let uvicorn run the application for it, as if it had never been touched."""
        url, headers = self.url, self.headers
        if self.parser.get_method() == b"CONNECT":
            self._stop(Refusal("bad_request", "CONNECT is for proxies, and this is none."))
        if not url.startswith(b"/") or not url.isascii():
            self._check_url(url)
        super().on_message_begin()
        self.url = url
        for name, value in headers:
            if b"_" not in name:
                super().on_header(name, value)
        super().on_headers_complete()
        self.headers = []  # trailers come here, where nobody reads them

    def _check_url(self, url: bytes) -> None:
        """What uvicorn would fail on: a URL without a path, or with bytes that it should have escaped."""
        if not url.isascii() or httptools.parse_url(url).path is None:
            self._stop(Refusal("bad_request", "The URL has to have a path, and only ASCII characters."))

    # Refusing

    def _refuse(self, refusal: Refusal) -> None:
        """Answer with *refusal* and close, once what was asked before on this connection is answered."""
        self._fault, self._deaf = refusal, True
        own: Any = self.cycle if self._receiving and not self._in_head else None  # whose head is there already
        self._receiving = False  # nothing more will be
        earlier = self.cycle is not None and self.cycle is not own and not self.cycle.response_complete
        if own is not None and self.pipeline and self.pipeline[0][0] is own:
            self.pipeline.popleft()
            earlier = True
        elif own is not None:
            if own.response_started or own.response_complete:
                self.transport.close()
                return
            own.disconnected = True
            own.message_event.set()
        if not earlier and not self.pipeline:
            self._answer_fault()

    def on_all_answered(self) -> None:
        """What was asked before the request that is refused is answered: now the refusal."""
        if self._fault is not None:
            self._answer_fault()

    def on_receipt_overdue(self) -> None:
        """A request did not come in its time."""
        self._refuse(Refusal("request_timeout", f"A request has to come within {self._receipt_s_max} s."))

    def _answer_fault(self) -> None:
        assert self._fault is not None
        retry_after_s_max = self.services.settings.retry_after_s_max
        request_id = request_id_for(None)
        answer = problem_answer(self._fault, request_id, round(time() * 1000), retry_after_s_max)
        self.transport.write(self.on_wire(answer, request_id, False))
        self.services.telemetry.response(answer.status)
        self.linger(LINGER_S)

    def on_wire(self, answer: Answer, request_id: str, keep_alive: bool) -> bytes:
        """The bytes of *answer*, in the order in which uvicorn writes the same answer of Starlette's."""
        status, head, body, _ = answer
        default = b"".join(b"%b: %b\r\n" % header for header in self.server_state.default_headers)
        return b"%b%b%bcontent-length: %d\r\nx-request-id: %b\r\n%b\r\n%b" % (
            STATUS_LINE[status], default, head, len(body), request_id.encode(), b"" if keep_alive else _CLOSE, body,
        )  # fmt: skip
