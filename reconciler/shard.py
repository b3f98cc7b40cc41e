"""
Pure: what the books know of a shard, and what its next records do to that.

read_batch() is where a stream is believed or not: every record is checked against the position, and
the first one that does not follow ends the batch with a break. What goes into the books says booking.py.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lua.entries import Entry, UnreadableEntry, decode_entry


@dataclass(frozen=True)
class Position:
    """Where the books stand with a shard: the whole of what a commit compares before it moves on."""

    epoch: int
    seq: int
    entry_id: str
    head: bytes


@dataclass(frozen=True)
class Break:
    """The shard is not as the books expect; nothing more of it is drained until it is."""

    kind: str
    expected: dict[str, Any]
    found: dict[str, Any]


BREAKS = {
    "seq_gap": "the next record on the stream does not follow the last seq in the books",
    "epoch_changed": "the shard in Redis belongs to another epoch than the books",
    "behind": "the shard in Redis is older than the books",
    "rules_missing": "the shard is not in Redis, and the books have rows of it",
    "shard_unreadable": "a key of the shard is of a wrong type",
    "rows_refused": "a constraint of the books refused the rows of a batch",
}
"""Every kind of break; docs/recovery.md says what to do about each."""


@dataclass
class QuarantinedRecord:
    """A record that could not be read, whole. *first_seq* and *count* are None as long as they are unknown."""

    entry_id: str
    fields: dict[str, str]
    reason: str
    first_seq: int | None
    count: int | None


Record = tuple[str, Sequence[bytes]]
"""A stream record: its id, and its fields and values in turn."""


class ReadRecord(NamedTuple):
    """A record that could be decoded, and follows."""

    entry_id: str
    flat: Sequence[bytes]
    entry: Entry


@dataclass
class Batch:
    """
    What was read of a shard for one transaction.

    *seq* and *entry_id* are the position after it. *earlier_range* is the range (first_seq, count) now known
    of records that an earlier batch quarantined without one.
    """

    seq: int
    entry_id: str
    records: list[ReadRecord] = field(default_factory=list)
    quarantined: list[QuarantinedRecord] = field(default_factory=list)
    earlier_range: tuple[int, int] | None = None
    break_: Break | None = None

    @property
    def entries(self) -> list[Entry]:
        """Those of the records."""
        return [record.entry for record in self.records]

    def still_unranged(self, before: bool) -> bool:
        """Whether the last records up to this position don't tell what they cover. *before*: the same before it."""
        if any(bad.first_seq is None for bad in self.quarantined):
            return True
        return before and self.earlier_range is None


@dataclass
class _Read:
    """One record, read or not: *first_seq* and *count* are None where it does not tell."""

    first_seq: int | None
    count: int | None
    entry: Entry | None
    reason: str


def read_batch(position: Position, records: Iterable[Record], *, unranged: bool) -> Batch:
    """
    Read records up to the first that does not follow.

    A record that can't be decoded is quarantined. Where it does not even tell what it covers, the next one that does
    settles the range, and the gap before it is no break: *unranged* says that the last records of an earlier batch
    are of that kind.
    """
    batch = Batch(position.seq, position.entry_id)
    waiting: list[QuarantinedRecord] = []
    for entry_id, flat in records:
        read = _read(flat)
        if read.first_seq is None or read.count is None:
            waiting.append(QuarantinedRecord(entry_id, shown_fields(flat), read.reason, None, None))
            batch.quarantined.append(waiting[-1])
            batch.entry_id = entry_id
            continue
        batch.break_ = _break(position.epoch, batch, entry_id, read, gap_explained=unranged or bool(waiting))
        if batch.break_ is not None:
            return batch
        expected, missing = batch.seq + 1, read.first_seq - batch.seq - 1
        for record in waiting:
            record.first_seq, record.count = expected, missing
        waiting.clear()
        if unranged:
            batch.earlier_range, unranged = (expected, missing), False
        if read.entry is None:
            bad = QuarantinedRecord(entry_id, shown_fields(flat), read.reason, read.first_seq, read.count)
            batch.quarantined.append(bad)
        else:
            batch.records.append(ReadRecord(entry_id, flat, read.entry))
        batch.seq, batch.entry_id = read.first_seq + read.count - 1, entry_id
    return batch


def _read(flat: Sequence[bytes]) -> _Read:
    try:
        entry = decode_entry(dict(zip(flat[::2], flat[1::2], strict=True)))
        return _Read(entry.first_seq, entry.count, entry, "")
    except UnreadableEntry as error:
        return _Read(error.first_seq, error.count, None, str(error))


def _break(epoch: int, batch: Batch, entry_id: str, read: _Read, *, gap_explained: bool) -> Break | None:
    """What keeps *read* from following the batch so far; None when it follows."""
    expected = batch.seq + 1
    wanted = {"epoch": epoch, "seq": expected, "after": batch.entry_id}
    if read.entry is not None and read.entry.epoch != epoch:
        found = {"epoch": read.entry.epoch, "seq": read.first_seq, "entry_id": entry_id}
        return Break("epoch_changed", wanted, found)
    assert read.first_seq is not None
    if read.first_seq == expected or (gap_explained and read.first_seq > expected):
        return None
    return Break("seq_gap", wanted, {"seq": read.first_seq, "count": read.count, "entry_id": entry_id})


def shown_fields(flat: Sequence[bytes]) -> dict[str, str]:
    """A record's fields as the quarantine keeps them: name → value in hex; a name seen twice gets a number."""
    shown: dict[str, str] = {}
    for name, value in zip(flat[::2], flat[1::2], strict=True):
        text = name.decode() if name.isascii() and name.decode().isprintable() else f"0x{name.hex()}"
        unique, times = text, 1
        while unique in shown:
            times += 1
            unique = f"{text}#{times}"
        shown[unique] = value.hex()
    return shown
