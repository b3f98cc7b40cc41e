"""
The poster: puts journals that were made by hand and approved into the books, beside the drain.

One transaction each. The row of the legal entity has the head of its chain: whoever has it is the only one to post,
and nothing is closed meanwhile. Drains have it too, in a mode that is in nobody's way but a close's.
"""

import asyncio
import logging
from datetime import date

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import class_row

from reconciler.ledger import ROWS_REFUSED, connect_options, journal_values
from reconciler.manual import ManualJournal, NotPosted, chain_of, journal_of
from reconciler.outages import Outage
from reconciler.postings import SealedJournal, seal
from reconciler.queries import QUERIES

log = logging.getLogger("fairclaim.reconciler")

PAUSE_S = 1.0


class Poster:
    """One reconciler's poster, with a connection of its own."""

    def __init__(self, url: str, *, postgres_ms_max: int, connect_ms_max: int, retry_ms_max: int) -> None:
        self._conninfo = connect_options(
            url,
            postgres_ms_max=postgres_ms_max,
            connect_ms_max=connect_ms_max,
            # One that is stopped inside a transaction must not keep an entity for longer than this.
            session={"idle_in_transaction_session_timeout": str(postgres_ms_max)},
        )
        self._answer_s_max = (postgres_ms_max * 2 + connect_ms_max) / 1000
        self._outage = Outage("PostgreSQL (manual journals)", retry_ms_max)

    async def run(self) -> None:
        """Post what is approved, once a PAUSE_S, until cancelled. Errors: none; an outage is waited out."""
        while True:
            try:
                async with await AsyncConnection.connect(self._conninfo, autocommit=True) as connection:
                    while True:
                        async with asyncio.timeout(self._answer_s_max):
                            await post_approved(connection)
                        self._outage.answered()
                        await asyncio.sleep(PAUSE_S)
            except (psycopg.Error, OSError, TimeoutError) as error:
                await asyncio.sleep(self._outage.failed(" ".join(str(error).split()) or type(error).__name__))


async def post_approved(connection: AsyncConnection) -> int:
    """Post or refuse every approved journal of entities that nobody else has; how many. Errors: psycopg.Error."""
    cursor = await connection.execute(QUERIES["entities_to_post"])
    done = 0
    for (entity,) in await cursor.fetchall():
        while await _post_next(connection, entity):
            done += 1
    return done


async def _post_next(connection: AsyncConnection, entity: str) -> bool:
    """The oldest approved journal of *entity*; False where there is none, or somebody else is at it."""
    async with connection.transaction():
        cursor = await connection.execute(QUERIES["hold_chain"], {"entity": entity})
        chain = await cursor.fetchone()
        if chain is None:
            return False
        async with connection.cursor(row_factory=class_row(ManualJournal)) as found:
            await found.execute(QUERIES["next_manual"], {"entity": entity})
            manual = await found.fetchone()
        if manual is None:
            return False
        try:
            async with connection.transaction():
                number = await _post(connection, manual, *chain)
        except (NotPosted, *ROWS_REFUSED) as error:
            refused = (error.diag.message_primary if isinstance(error, psycopg.Error) else None) or str(error)
            await connection.execute(QUERIES["refuse_manual"], {"id": manual.id, "refused": refused})
            log.error("the manual journal %s is not posted: %s", manual.id, refused, extra={"entity": entity})
        else:
            log.info("the manual journal %s is journal %d", manual.id, number, extra={"entity": entity})
    return True


async def _post(
    connection: AsyncConnection, manual: ManualJournal, closed_through: date | None, head: bytes, journals: int
) -> int:
    """Post *manual* after the *journals* of its entity; its number in the books. Errors: NotPosted, psycopg.Error."""
    [sealed] = seal(head, [journal_of(manual, journals + 1, closed_through)])
    number = await _insert(connection, manual.entity, sealed)
    moved = {"entity": manual.entity, "head": sealed.hash, "journals": journals + 1}
    await connection.execute(QUERIES["move_chain"], moved)
    await connection.execute(QUERIES["mark_posted"], {"id": manual.id, "journal": number})
    return number


async def _insert(connection: AsyncConnection, entity: str, sealed: SealedJournal) -> int:
    cursor = await connection.execute(QUERIES["insert_journals"], journal_values(chain_of(entity), [sealed]))
    [(number,)] = await cursor.fetchall()
    return int(number)
