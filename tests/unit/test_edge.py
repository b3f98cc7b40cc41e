"""The outermost layer: one answer a request, whatever is raised when."""

from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from gateway.edge import Edge
from gateway.errors import Refusal


@pytest.mark.parametrize("raised", [Refusal("not_ready", "PostgreSQL is away."), ValueError("of ours")])
@pytest.mark.parametrize("started", [True, False])
async def test_an_answer_is_begun_once(raised: Exception, started: bool) -> None:
    """A refusal in the middle of an export ends it, and the connection; before its head it is a problem."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if started:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"code\r\n", "more_body": True})
        raise raised

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    if started:
        with pytest.raises(type(raised)):
            await Edge(app, 10)(scope, receive, send)
    else:
        await Edge(app, 10)(scope, receive, send)

    statuses = [message["status"] for message in sent if message["type"] == "http.response.start"]
    assert statuses == ([200] if started else [503 if isinstance(raised, Refusal) else 500])
