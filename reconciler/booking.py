"""
Pure: what was read of a shard → what one transaction puts into the books.

That depends on the terms of the versions it was done under and on what is closed, so it comes after the reading.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from lua.entries import UnreadableEntry
from lua.keys import Shard
from reconciler.dating import ClosedThrough, booked_on
from reconciler.money import Terms
from reconciler.postings import Journal, Moved, journals_of
from reconciler.rows import rows_of
from reconciler.shard import Batch, QuarantinedRecord, shown_fields
from reconciler.tables import Rows


@dataclass
class Booking:
    """
    What a batch puts into the books.

    *closed_through* is what of each legal entity in it was taken to be closed. *quarantined* are the records whose
    rows the books can't take, after those that could not be read.
    """

    closed_through: ClosedThrough
    rows: Rows = field(default_factory=Rows)
    journals: list[Journal] = field(default_factory=list)
    quarantined: list[QuarantinedRecord] = field(default_factory=list)


def book(shard: Shard, batch: Batch, terms_of: Callable[[int], Terms], closed_through: ClosedThrough) -> Booking:
    """
    The rows and journals of *batch*, each on a date that is open by *closed_through*.

    Shape: *terms_of* maps a version of the rules to its terms.
    """
    entities = {terms_of(record.entry.version).entity for record in batch.records}
    booking = Booking({entity: closed_through.get(entity) for entity in entities})
    booking.quarantined += batch.quarantined
    moved = []
    for entry_id, flat, entry in batch.records:
        terms = terms_of(entry.version)
        try:
            on = booked_on(entry, terms, closed_through)
            rows = rows_of(shard, entry_id, entry, terms, on.effective_date)
        except UnreadableEntry as error:
            bad = QuarantinedRecord(entry_id, shown_fields(flat), str(error), entry.first_seq, entry.count)
            booking.quarantined.append(bad)
        else:
            booking.rows.add(rows)
            moved.append(Moved(entry.at_ms, terms.entity, on, rows.moves))
    booking.journals = journals_of(shard, moved)
    return booking
