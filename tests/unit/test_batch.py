"""What is believed of a stream: records in order, and nothing else."""

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lua.entries import LAYOUT, Claimed, UnreadableEntry
from reconciler.copying import BIGINT_MAX, TEXT_CHARS_MAX, TIME_MS_MAX
from reconciler.shard import Position, Record, read_batch
from tests.entries import booked, rows_for

START = Position(epoch=1, seq=10, entry_id="5-0", head=b"")


def record(first_seq: int, count: int = 1, epoch: int = 1, body: bytes | None = None, **fields: str) -> Record:
    """A claim's stream record; *body* replaces its entry, *fields* what stands outside of it."""
    asks = [part for n in range(count) for part in (f"h{first_seq + n}", "I" * 12, "C" * 18, "")]
    whole = msgspec.msgpack.encode(["claimed", LAYOUT, epoch, 1, 1000, first_seq, 2000, "500", asks])
    named = {"seq": str(first_seq), "count": str(count), **fields}
    flat = [part.encode() for pair in named.items() for part in pair]
    return f"{first_seq}-1", [*flat, b"entry", whole if body is None else body]


def test_a_batch_ends_before_what_does_not_follow() -> None:
    """Records up to a gap are taken, and the gap is named; what lies behind it is not looked at."""
    batch = read_batch(START, [record(11, 2), record(13), record(15), record(16)], unranged=False)

    assert (batch.seq, batch.entry_id, len(batch.entries)) == (13, "13-1", 2)
    assert batch.break_ is not None
    assert (batch.break_.kind, batch.break_.expected["seq"], batch.break_.found["seq"]) == ("seq_gap", 14, 15)


def test_a_record_seen_before_is_a_break() -> None:
    """A seq at or below the position does not follow, quarantined records before it or not."""
    for unranged in (False, True):
        batch = read_batch(START, [record(10)], unranged=unranged)
        assert batch.break_ is not None
        assert (batch.break_.kind, batch.seq) == ("seq_gap", 10)


def test_an_unreadable_body_with_numbers_is_checked_like_any_other() -> None:
    """A body that can't be read moves the position by what its record covers, and only where it follows."""
    batch = read_batch(START, [record(11, 3, body=b"\xc1"), record(14)], unranged=False)
    assert (batch.seq, batch.break_, batch.quarantined[0].first_seq, batch.quarantined[0].count) == (14, None, 11, 3)

    batch = read_batch(START, [record(12, 3, body=b"\xc1")], unranged=False)
    assert batch.break_ is not None
    assert (batch.seq, batch.quarantined) == (10, [])


def test_records_without_numbers_share_the_gap_they_leave() -> None:
    """Several in a row can't be told apart: each gets the whole range; the next gap is a break again."""
    hidden = record(11, seq="x"), record(12, seq="")
    batch = read_batch(START, [*hidden, record(13), record(15)], unranged=False)

    assert [(bad.first_seq, bad.count) for bad in batch.quarantined] == [(11, 2), (11, 2)]
    assert batch.break_ is not None
    assert (batch.seq, batch.break_.kind) == (13, "seq_gap")


def test_what_an_earlier_batch_left_open_is_settled_once() -> None:
    """The first record that tells its numbers settles the range of those before it in an earlier batch."""
    batch = read_batch(START, [record(14), record(16)], unranged=True)

    assert (batch.earlier_range, batch.seq) == ((11, 3), 14)
    assert not batch.still_unranged(True)
    assert read_batch(START, [], unranged=True).still_unranged(True)


@given(st.lists(st.lists(st.binary(max_size=40), max_size=8).filter(lambda flat: len(flat) % 2 == 0), max_size=6))
def test_no_record_can_stop_the_reader(records: list[list[bytes]]) -> None:
    """Whatever bytes stand on a stream, a batch comes of it: each record read, quarantined, or named in a break."""
    numbered = [(f"{index}-1", flat) for index, flat in enumerate(records, start=6)]
    batch, booking = read_batch(START, numbered, unranged=False), booked(START, numbered)

    taken = len(batch.entries) + len(batch.quarantined)
    assert len(batch.quarantined) <= len(booking.quarantined) <= taken
    assert taken == len(records) or batch.break_ is not None


@given(st.integers(0, 2**32), st.data())
def test_no_damaged_entry_can_stop_the_reader(seed: int, data: st.DataObject) -> None:
    """A real entry with any bytes changed is read as what it says, quarantined, or named in a break."""
    entry_id, flat = record(11, 2)
    body = bytearray(flat[-1])
    for at in data.draw(st.lists(st.integers(0, len(body) - 1), min_size=1, max_size=4)):
        body[at] = random.Random(seed + at).randrange(256)

    damaged = [(entry_id, [*flat[:-1], bytes(body)])]
    batch = read_batch(START, damaged, unranged=False)
    assert len(booked(START, damaged).quarantined) <= 1
    assert len(batch.entries) + len(batch.quarantined) == 1 or batch.break_ is not None


def test_numbers_and_times_postgres_cannot_hold_are_unreadable() -> None:
    """A row that COPY would refuse is found before, with the numbers it covers."""
    good = Claimed(LAYOUT, 1, 1, 1000, 7, 2000, "500", ["h", "i", "c", ""])
    bad = [
        replace(good, expires_ms=TIME_MS_MAX + 1),
        replace(good, at_ms=-1),
        replace(good, unit_minor=str(BIGINT_MAX + 1)),
        replace(good, unit_minor="1.5"),
        replace(good, version=2**31),
        replace(good, asks=["h\0", "i", "c", ""]),
        replace(good, asks=["h" * TEXT_CHARS_MAX, "i", "c", ""]),
    ]
    assert len(rows_for(good).lines["copy_coupons"]) == 1
    for entry in bad:
        with pytest.raises(UnreadableEntry) as caught:
            rows_for(entry)
        assert (caught.value.first_seq, caught.value.count) == (7, 1)
