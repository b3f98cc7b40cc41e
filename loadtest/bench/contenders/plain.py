"""
The contender that a good engineer would write first: Starlette, PyJWT, redis.asyncio, one script call a claim.

    REDIS_URL=… REDIS_CONNECTIONS=… JWT_SECRET=… JWT_AUDIENCE=… JWT_ISSUER=… PORT=… \\
      python -m loadtest.bench.contenders.plain

It answers as the gateway does, as far as the benchmark asks: token, key, limit, window, stock, replay, stream entry.
"""

import os
from base64 import b32encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_bytes
from typing import Any

import jwt
import uvicorn
from redis.asyncio import BlockingConnectionPool, Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

SCRIPT = Path(__file__).with_name("claim.lua")
KEYS = ("rules", "stock", "holders", "coupons", "entries")
STATUSES = {
    "limit_reached": 409,
    "sold_out": 409,
    "campaign_paused": 409,
    "campaign_not_found": 404,
    "campaign_ended": 410,
    "not_started": 425,
    "bad_request": 400,
    "unauthenticated": 401,
}


def problem(code: str, **context: Any) -> JSONResponse:
    """A refusal (RFC 9457)."""
    status = STATUSES[code]
    body = {"type": "about:blank", "title": code.replace("_", " ").capitalize(), "status": status, "code": code}
    return JSONResponse({**body, **context}, status, media_type="application/problem+json")


def timestamp(ms: int) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


def holder_of(request: Request) -> str:
    """The holder the token names. Errors: jwt.InvalidTokenError."""
    settings = request.app.state.jwt
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise jwt.InvalidTokenError("no bearer token")
    claims: dict[str, Any] = jwt.decode(
        token,
        settings["secret"],
        algorithms=["HS256"],
        audience=settings["audience"],
        issuer=settings["issuer"],
        options={"require": ["sub", "exp", "aud", "iss"]},
    )
    return str(claims["sub"])


async def claim(request: Request) -> JSONResponse:
    """POST /v1/campaigns/{campaign}/claims."""
    try:
        holder = holder_of(request)
    except jwt.InvalidTokenError:
        return problem("unauthenticated")
    key = request.headers.get("idempotency-key", "")
    try:
        asked = await request.json()
    except ValueError:
        return problem("bad_request")
    if not 1 <= len(key) <= 255 or not isinstance(asked, dict):
        return problem("bad_request")
    campaign = request.path_params["campaign"]
    code = b32encode(token_bytes(10)).decode()
    outcome, *rest = await request.app.state.claim(
        keys=[f"bench:{{{campaign}}}:{part}" for part in KEYS], args=[holder, key, code]
    )
    if outcome == "limit_reached":
        return problem(outcome, codes=rest)
    if outcome not in ("claimed", "replayed"):
        return problem(outcome)
    code, seq, claimed_ms, expires_ms = rest
    body = {
        "code": code,
        "campaign": campaign,
        "seq": seq,
        "state": "claimed",
        "expires_at": timestamp(expires_ms),
        "server_time": timestamp(claimed_ms),
    }
    if outcome == "replayed":
        return JSONResponse(body, 200, {"Idempotency-Replayed": "true"})
    return JSONResponse(body, 201)


async def healthz(request: Request) -> JSONResponse:
    """GET /healthz."""
    return JSONResponse({"status": "ok"})


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """One pool of connections as long as the process lives."""
    pool = BlockingConnectionPool.from_url(
        os.environ["REDIS_URL"],
        max_connections=int(os.environ["REDIS_CONNECTIONS"]),
        timeout=None,
        decode_responses=True,
    )
    async with Redis.from_pool(pool) as redis:
        app.state.claim = redis.register_script(SCRIPT.read_text(encoding="utf-8"))
        app.state.jwt = {name: os.environ[f"JWT_{name.upper()}"] for name in ("secret", "audience", "issuer")}
        yield


app = Starlette(
    routes=[Route("/v1/campaigns/{campaign}/claims", claim, methods=["POST"]), Route("/healthz", healthz)],
    lifespan=lifespan,
)

if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
