"""The clerk's connection to the books."""

from contextlib import suppress

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

ROLE = "fairclaim_clerk"
APPLICATION = "fairclaim-clerk"


def clerk_conninfo(url: str, *, connect_ms_max: int, statement_ms_max: int, role: str = ROLE) -> str:
    """
    How the clerk connects to the books at *url*: in its own role, every wait bounded.

    Units: milliseconds; *statement_ms_max* 0 lets a statement take as long as it takes.
    """
    told = f"-c role={role} -c statement_timeout={statement_ms_max}"
    options = f"{conninfo_to_dict(url).get('options') or ''} {told}".strip()
    seconds = max(2, -(-connect_ms_max // 1000))
    return make_conninfo(url, options=options, application_name=APPLICATION, connect_timeout=seconds)


class Desk:
    """One connection of the clerk, opened when it is first needed, and anew after an error."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: AsyncConnection | None = None

    async def connection(self) -> AsyncConnection:
        """The connection, in autocommit. Errors: psycopg.OperationalError when there is none."""
        if self._connection is None or self._connection.closed:
            self._connection = await AsyncConnection.connect(self._conninfo, autocommit=True)
        return self._connection

    async def close(self) -> None:
        """Drop the connection; what it had open is rolled back by the server."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                await connection.close()
