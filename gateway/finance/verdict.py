"""
GET /v1/reports/verdict, and what a close ends with: every invariant, judged by a process of its own.

A verdict reads whole tables and works on them for seconds or minutes, which is no work for a process that decides
claims. There is one at a time, whichever worker is asked: an advisory lock says so.
"""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any

import msgspec
from psycopg import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.operation import Operation, Parameter
from gateway.campaigns.bounds import ID_PATTERN
from gateway.errors import Refusal
from gateway.finance.beside import run_beside
from gateway.finance.entities import NO_ENTITY
from gateway.finance.snapshot import turn
from gateway.routes.access import staff
from gateway.routes.paging import query_value
from gateway.services import Services, services
from gateway.sql import postgres
from gateway.wire import json_response
from reconciler.periods.entities import ID_PATTERN as ENTITY_PATTERN
from reconciler.verdict.judging import Verdict

READERS = ("finance", "auditor")
VERDICT_S_MAX = 600.0
RETRY_AFTER_S = 10
HOLDS, BROKEN, NOT_THERE = 0, 1, 3
"""Exit codes of `fairclaim verdict`."""
ANSWERS = frozenset({HOLDS, BROKEN, NOT_THERE})

_PROGRESS = re.compile(r"(\d+)/(\d+) (\w+)")
_LOCK = b"SELECT pg_try_advisory_lock(1717659753, 3) AS locked"
_UNLOCK = b"SELECT pg_advisory_unlock(1717659753, 3)"


async def verdict(request: Request) -> Response:
    """
    Judge every invariant, of a campaign, a legal entity, or everything: each with its figures and its first fault.

    The answer is 200 whether they hold or not: `holds` says it. There is one verdict at a time, so 503 may say that
    another one is on its way; 503 too where it takes longer than ten minutes, and then `fairclaim verdict` is the way.
    """
    await staff(request, *READERS)
    campaign, entity = query_value(request, "campaign"), query_value(request, "entity")
    if campaign is not None and entity is not None:
        raise Refusal("bad_request", "entity: not together with a campaign.", field="entity")
    if campaign is not None and not ID_PATTERN.fullmatch(campaign):
        raise Refusal("campaign_not_found")
    if entity is not None and not re.fullmatch(ENTITY_PATTERN, entity):
        raise Refusal("not_found", NO_ENTITY)
    return json_response(await judged(services(request), campaign=campaign, entity=entity))


Beginning = Callable[[str, int, int], None]
"""Called when the judgement of an invariant begins: its name, how many are judged, and how many there are."""


async def judged(
    here: Services, *, campaign: str | None = None, entity: str | None = None, beginning: Beginning | None = None
) -> Verdict:
    """
    What `fairclaim verdict --json` says of *campaign*, *entity*, or everything; *beginning* is told how far it is.

    Errors: Refusal campaign_not_found, not_found (the entity), overloaded, not_ready.
    """
    asked = {"--campaign": campaign, "--entity": entity}
    flags = [part for flag, value in asked.items() if value is not None for part in (flag, value)]
    command = ("gateway.cli", "verdict", "--json", *(["--progress"] if beginning else []), *flags)
    async with turn(here.pool), postgres(here.pool) as connection, _alone(connection):
        heard = None if beginning is None else partial(_told, beginning)
        answer = await run_beside(here, "verdict", command, s_max=VERDICT_S_MAX, good=ANSWERS, heard=heard)
    if answer.code == NOT_THERE:
        raise Refusal("campaign_not_found") if entity is None else Refusal("not_found", NO_ENTITY)
    return msgspec.json.decode(answer.out, type=Verdict)


def _told(beginning: Beginning, line: str) -> None:
    """A line of `fairclaim verdict --progress`, such as 3/13 limits; what else it writes on stderr is none of these."""
    found = _PROGRESS.fullmatch(line)
    if found:
        beginning(found[3], int(found[1]), int(found[2]))


@asynccontextmanager
async def _alone(connection: AsyncConnection[Any]) -> AsyncIterator[None]:
    """No other verdict while this lasts. Errors: Refusal("overloaded") where there is one."""
    cursor = await connection.execute(_LOCK)
    row: Any = await cursor.fetchone()
    if not row["locked"]:
        raise Refusal("overloaded", "Another verdict is on its way.", retry_after_s=RETRY_AFTER_S)
    try:
        yield
    finally:
        await connection.execute(_UNLOCK)


routes = [
    Operation(
        "GET",
        "/v1/reports/verdict",
        verdict,
        under="Finance",
        who=READERS,
        query=(
            Parameter(
                "campaign", Annotated[str, msgspec.Meta(pattern=f"^{ID_PATTERN.pattern}$")], "Judge only this one."
            ),
            Parameter(
                "entity",
                Annotated[str, msgspec.Meta(pattern=f"^{ENTITY_PATTERN}$")],
                "Judge only the books of this legal entity.",
            ),
        ),
        gives={200: Verdict},
        refuses=("campaign_not_found", "not_found"),
    )
]
