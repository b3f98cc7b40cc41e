"""
Put quarantined records right: decode them again and write what was left out.

A record is quarantined when this software can't read it, which a newer version may. The rows go in under
the numbers the record covers, and its journals onto the end of the shard's chain. What is newer stays: a
coupon gets the state that all of its steps in the sub-ledger come to. A drain may be running. What is dated
in a closed period is booked as the drain books it, on the first date that is open.
"""

from dataclasses import dataclass

import psycopg

from lua.entries import Changed, Entry, UnreadableEntry, codes_in, decode_entry
from lua.keys import Shard
from reconciler.dating import ClosedThrough, booked_on
from reconciler.ledger import CONNECT_MS_MAX, ROWS_REFUSED, connect_options, journal_values
from reconciler.money import Terms, terms_of
from reconciler.movements import Figures, Movements, Place, movement_values
from reconciler.postings import journals_for, seal
from reconciler.queries import QUERIES
from reconciler.rows import rows_of
from reconciler.tables import COPIES, Rows

REPLAYED, EMPTY, UNREADABLE, REFUSED = "replayed", "empty", "unreadable", "refused"
COVERS_NOTHING = "it covers nothing: the numbers before and after it follow each other"
STATEMENT_MS_MAX = 30_000


@dataclass(frozen=True)
class ReplayedRecord:
    """
    What became of one record: *outcome* is replayed, empty (the books are complete without it), unreadable (as before)
    or refused (by a constraint of the books). What is replayed or empty is out of quarantine.

    *first_seq* and *count* tell what it covers, None where that is not known; *reason* is empty when replayed.
    """

    shard: str
    entry_id: str
    outcome: str
    first_seq: int | None
    count: int | None
    reason: str


@dataclass(frozen=True)
class ReplayReport:
    """Every record that was in quarantine, by shard and seq."""

    records: tuple[ReplayedRecord, ...]

    @property
    def replayed(self) -> int:
        """Records that are in the books now."""
        return sum(record.outcome == REPLAYED for record in self.records)

    @property
    def remaining(self) -> int:
        """Records that are still in quarantine."""
        return sum(record.outcome in (UNREADABLE, REFUSED) for record in self.records)


def replay(postgres_url: str, shard: str | None = None) -> ReplayReport:
    """
    Replay what is in quarantine, of *shard* (written <campaign>/<n>) or of all; idempotent.

    Each record is one transaction. Errors: ValueError for a shard that is not of that shape; psycopg.Error when the
    database can't be reached or used.
    """
    if shard is not None:
        Shard.parse(shard)
    conninfo = connect_options(
        postgres_url, postgres_ms_max=STATEMENT_MS_MAX, connect_ms_max=CONNECT_MS_MAX, session={}
    )
    with psycopg.connect(conninfo, autocommit=True) as connection:
        waiting = connection.execute(QUERIES["list_quarantine"], {"shard": shard}).fetchall()
        done = (_replay_one(connection, Shard.parse(name), entry_id) for name, entry_id in waiting)
        return ReplayReport(tuple(record for record in done if record is not None))


def _replay_one(connection: psycopg.Connection, shard: Shard, entry_id: str) -> ReplayedRecord | None:
    """One record; None when another replay got there first."""
    at = {"shard": str(shard), "entry_id": entry_id}
    first_seq: int | None = None
    count: int | None = None
    try:
        with connection.transaction():
            # The checkpoint first, in the order the drain takes them: a batch in flight is waited for, and the next
            # one sees another head and begins again.
            checkpoint = connection.execute(QUERIES["lock_checkpoint"], at).fetchone()
            row = connection.execute(QUERIES["lock_quarantine"], at).fetchone()
            if row is None or checkpoint is None:
                return None
            fields, first_seq, count = row
            if count == 0:
                connection.execute(QUERIES["mark_replayed"], at)
                return ReplayedRecord(str(shard), entry_id, EMPTY, first_seq, count, COVERS_NOTHING)
            entry = _decode(fields, first_seq, count)
            terms = _terms_of(connection, shard, entry)
            closed_through = _keep_closed(connection, terms.entity)
            rows = rows_of(shard, entry_id, entry, terms, booked_on(entry, terms, closed_through).effective_date)
            epoch, seq, position, head = checkpoint
            sealed = seal(head, journals_for(shard, [entry], lambda _: terms, closed_through))
            before = _movements(connection, shard, entry)
            _insert(connection, rows)
            _catch_up(connection, entry)
            _add_movements(connection, shard, before, _movements(connection, shard, entry))
            if sealed:
                connection.execute(QUERIES["insert_journals"], journal_values(str(shard), sealed))
                moved = {"new_seq": seq, "new_entry_id": position, "new_head": sealed[-1].hash}
                stood = {"shard": str(shard), "epoch": epoch, "seq": seq, "entry_id": position, "head": head}
                connection.execute(QUERIES["advance"], {**stood, **moved})
            connection.execute(QUERIES["mark_replayed"], at)
    except UnreadableEntry as error:
        return ReplayedRecord(str(shard), entry_id, UNREADABLE, first_seq, count, str(error))
    except ROWS_REFUSED as error:
        reason = error.diag.message_primary or str(error)
        return ReplayedRecord(str(shard), entry_id, REFUSED, first_seq, count, reason)
    return ReplayedRecord(str(shard), entry_id, REPLAYED, first_seq, count, "")


def _decode(fields: dict[str, str], first_seq: int | None, count: int | None) -> Entry:
    """
    The record as an entry that covers exactly the numbers the books left out for it.

    Errors: UnreadableEntry.
    """
    if first_seq is None or count is None:
        raise UnreadableEntry("what it covers is told by the next record, which has not come yet", None, None)
    # A record that did not tell what it covers is told by the gap it left.
    told = {b"seq": str(first_seq).encode(), b"count": str(count).encode()}
    raw = {name.encode(): bytes.fromhex(value) for name, value in fields.items()}
    return decode_entry({**raw, **told})


def _terms_of(connection: psycopg.Connection, shard: Shard, entry: Entry) -> Terms:
    values = {"campaign": shard.campaign, "versions": [entry.version]}
    found = connection.execute(QUERIES["load_terms"], values).fetchone()
    return terms_of(*found[1:]) if found else Terms()


def _keep_closed(connection: psycopg.Connection, entity: str) -> ClosedThrough:
    """What of *entity* is closed, which nobody changes before this commits."""
    return dict(connection.execute(QUERIES["hold_entities"], {"entities": [entity]}).fetchall())


def _movements(connection: psycopg.Connection, shard: Shard, entry: Entry) -> dict[Place, Figures]:
    """What the books have as moved by the numbers of *entry*, and by the steps of its coupons."""
    last_seq = entry.first_seq + entry.count - 1
    values = {"shard": str(shard), "codes": codes_in(entry), "first_seq": entry.first_seq, "last_seq": last_seq}
    width, rows = len(Place._fields), connection.execute(QUERIES["load_movements"], values).fetchall()
    return {Place(*row[:width]): Figures(*map(int, row[width:])) for row in rows}


def _add_movements(
    connection: psycopg.Connection, shard: Shard, before: dict[Place, Figures], after: dict[Place, Figures]
) -> None:
    """
    Add what is new.

    A step whose coupon or redemption was not in the books had no channel or store: it moves to where it belongs.
    """
    moved = Movements()
    for place, figures in before.items():
        moved.put(place, Figures(*map(int.__neg__, figures)))
    for place, figures in after.items():
        moved.put(place, figures)
    totals = {place: figures for place, figures in moved.sums.items() if any(figures)}
    if totals:
        connection.execute(QUERIES["add_movements"], movement_values(shard, totals))


def _insert(connection: psycopg.Connection, rows: Rows) -> None:
    with connection.cursor() as cursor:
        for query in COPIES:
            text = rows.text(query)
            if text:
                with cursor.copy(QUERIES[query]) as copy:
                    copy.write(text)


def _catch_up(connection: psycopg.Connection, entry: Entry) -> None:
    """Give the coupons and redemptions of *entry* the state that all of their steps in the books come to by now."""
    codes = codes_in(entry)
    if codes:
        connection.execute(QUERIES["refold_coupons"], {"codes": codes})
    if isinstance(entry, Changed):
        redemptions = [step.ref for step in entry.each if step.verb in ("redeemed", "rolled_back")]
        connection.execute(QUERIES["sum_rollbacks"], {"redemptions": redemptions})
