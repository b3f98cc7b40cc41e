"""The audit log: who did what to what. A line of it is written in the transaction of what was done."""

from collections.abc import Mapping
from typing import Any

import msgspec
from psycopg import AsyncConnection

from reconciler.queries import QUERIES


async def audit(
    connection: AsyncConnection[Any], actor: str, action: str, subject: str, detail: Mapping[str, Any]
) -> None:
    """Write a line of it. Errors: psycopg.Error."""
    told = msgspec.json.encode(detail).decode()
    values = {"actor": actor, "action": action, "subject": subject, "detail": told}
    await connection.execute(QUERIES["audit"], values)
