"""
A manual journal that settles what differs from a file of another system: what it may name.

Each of its lines with an order changes what a merchant is owed for that order. From then on a run of the file has that
on our side (reconciler/sql/outside.sql), so nothing else has to know that a difference is settled: it is none any more,
until the order differs by something else.
"""

from gateway.errors import Refusal
from gateway.finance.drafts import Draft, DraftLine, is_owed
from gateway.issuing.asked import refuse
from gateway.issuing.store import Connection
from gateway.sql import load_queries, row, rows

QUERIES = load_queries("manual_journals")


async def check_settling(connection: Connection, draft: Draft) -> None:
    """
    May *draft* settle the file that it names, if it names one?

    Errors: Refusal not_found for no such file of its entity; invalid_state for one that another one corrects;
    bad_request for a line whose order does not differ, and for another currency or merchant than the file's.
    """
    if draft.settles is None:
        return
    file = await row(connection, QUERIES["file_to_settle"], file=draft.settles, entity=draft.entity)
    if file is None:
        raise Refusal("not_found", f"{draft.entity} has no such file.", field="settles")
    if file["counts"] != draft.settles:
        raise Refusal("invalid_state", f"It is corrected by {file['counts']}: settle that one.", field="settles")
    if file["measure"] == "order":
        raise refuse("settles", "a file of discounts: what an order was worth is in no account")
    named = {line.order_id for line in draft.lines if line.order_id is not None}
    found = await rows(connection, QUERIES["orders_that_differ"], run=file["run"], orders=list(named))
    differing = {each["order_id"] for each in found}
    for number, line in enumerate(draft.lines):
        if line.order_id is not None:
            _check_line(f"lines[{number}]", line, differing, file["currency"], file["merchant"])


def _check_line(at: str, line: DraftLine, differing: set[str], currency: str, merchant: str | None) -> None:
    if line.order_id not in differing:
        raise refuse(f"{at}.order_id", "an order that differs by the last run of the file")
    if line.commodity != currency:
        raise refuse(f"{at}.commodity", f"{currency}, as the file")
    owed = line.debit if is_owed(line.debit) else line.credit
    if merchant is not None and owed != f"payable:{merchant}":
        raise refuse(f"{at}.debit", f"payable:{merchant} on one side: the file is of that merchant")
