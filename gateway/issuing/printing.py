"""
A batch's codes from the books, in the order of the codes, a page at a time: never all of them in memory.

No connection is held between two pages, so that a slow reader costs a statement a page and nothing else.
Codes only come in, so what is shown when all are there is all.
"""

from collections.abc import AsyncIterator
from typing import Any

from psycopg_pool import AsyncConnectionPool

from gateway.codes import show_code
from gateway.errors import Refusal
from gateway.issuing.batch import Batch, Kind
from gateway.issuing.csv_lines import PROBLEMS
from gateway.issuing.csv_lines import row as csv_row
from gateway.issuing.store import QUERIES
from gateway.sql import postgres, row, rows
from gateway.wire import rfc3339, time_ms

PAGE = 5_000


class Printing:
    """What can be had of a batch on paper."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    async def in_books(self, batch: Batch, *, partial: bool) -> int:
        """
        How many of the batch's codes the books have.

        Errors: Refusal("not_ready") when some are missing and *partial* does not say that this is all right.
        """
        async with postgres(self._pool) as connection:
            found = await row(connection, QUERIES["count_codes"], batch=batch.id)
        assert found is not None
        count = int(found["count"])
        if not partial and (batch.is_open or count < batch.done):
            more = " and more are being made" if batch.is_open else ""
            detail = f"The books have {count} of {batch.done} codes that were issued{more}; partial=true takes these."
            raise Refusal("not_ready", detail)
        return count

    async def page(self, batch: Batch, after: str, limit: int) -> list[dict[str, Any]]:
        """At most *limit* codes after *after*: code, shown, state, expires_at, units. Errors: Refusal not_ready."""
        async with postgres(self._pool) as connection:
            found = await rows(connection, QUERIES["codes_page"], batch=batch.id, after=after, limit=limit)
            shown: dict[str, str] = {}
            if batch.kind is not Kind.SINGLE:
                codes = [each["code"] for each in found]
                written = await rows(connection, QUERIES["named_shown"], batch=batch.id, codes=codes)
                shown = {each["code"]: each["shown"] for each in written}
        return [{**each, "shown": shown.get(each["code"]) or show_code(each["code"])} for each in found]

    async def codes_csv(self, batch: Batch) -> AsyncIterator[str]:
        """The codes as CSV, some thousand lines at a time."""
        yield csv_row("campaign", "code", "display_code", "state", "uses", "expires_at")
        after = ""
        while True:
            page = await self.page(batch, after, PAGE)
            if not page:
                return
            after = page[-1]["code"]
            yield "".join(
                csv_row(
                    batch.campaign,
                    each["code"],
                    each["shown"],
                    each["state"],
                    str(each["units"]),
                    rfc3339(time_ms(each["expires_at"])),
                )
                for each in page
            )

    async def lines_csv(self, batch: Batch) -> AsyncIterator[str]:
        """Every line of an import with what became of it, as CSV."""
        yield csv_row("line", "code", "result", "why")
        after = -1
        while True:
            async with postgres(self._pool) as connection:
                page = await rows(connection, QUERIES["list_lines"], batch=batch.id, after=after, limit=PAGE)
            if not page:
                return
            after = page[-1]["line"]
            yield "".join(
                csv_row(str(each["line"]), each["code"], each["result"], PROBLEMS.get(each["result"], ""))
                for each in page
            )
