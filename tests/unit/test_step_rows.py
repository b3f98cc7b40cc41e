"""Steps after the claim → rows: what they come to, and what is refused before PostgreSQL has to."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lua.entries import Changed, Claimed, Entry, Issued, Step, UnreadableEntry
from reconciler.copying import BIGINT_MAX, TEXT_CHARS_MAX, TIME_MS_MAX
from reconciler.shard import Position, read_batch
from reconciler.tables import COPIES, CouponChange, Rows
from tests.entries import ENTRIES, a_step, booked, changed, issued, record_of, rows_for

COLUMNS = {
    "copy_coupons": 11,
    "copy_issued_coupons": 13,
    "copy_coupon_entries": 16,
    "copy_issued_entries": 14,
    "copy_step_entries": 19,
    "copy_redemptions": 20,
    "copy_rollbacks": 11,
}
NO_UNIT = {"source": "", "destination": "", "units": "0"}
UNTIL, LATER = "4102444800000", "4102444900000"


def columns(rows: Rows, query: str) -> list[list[str]]:
    """The lines of a statement, taken apart."""
    return [line.removesuffix("\n").split("\t") for line in rows.lines[query]]


@given(ENTRIES)
def test_every_entry_becomes_rows_or_is_refused(entry: Entry) -> None:
    """One line a state change in one statement for the sub-ledger, each of as many columns as the statement takes."""
    try:
        rows = rows_for(entry)
    except UnreadableEntry as unreadable:
        assert (unreadable.first_seq, unreadable.count) == (entry.first_seq, entry.count)
        return
    assert COLUMNS.keys() == set(COPIES)
    for query in COPIES:
        assert all(len(line) == COLUMNS[query] for line in columns(rows, query)), query
    assert sum(len(rows.lines[f"copy_{kind}_entries"]) for kind in ("coupon", "issued", "step")) == entry.count
    coupons = len(rows.lines["copy_coupons"]) + len(rows.lines["copy_issued_coupons"])
    assert coupons == (entry.count if isinstance(entry, Claimed | Issued) else 0)


STEPS = st.builds(
    a_step,
    st.sampled_from(["reserved", "released", "redeemed", "rolled_back", "expired", "revoked"]),
    st.sampled_from(["A", "B", "C"]),
    detail=st.sampled_from([{}, {"actor": "till 7"}]),
)


@given(st.lists(STEPS, min_size=1, max_size=8), st.integers(0, 7))
def test_a_batch_comes_to_the_same_however_it_is_cut(steps: list[Step], cut: int) -> None:
    """The state of every coupon after two entries is that after one with the steps of both."""
    whole = booked(Position(1, 0, "0-0", b""), [record_of(changed(1, *steps))])
    parts = [part for part in (steps[:cut], steps[cut:]) if part]
    records, seq = [], 1
    for part in parts:
        records.append(record_of(changed(seq, *part)))
        seq += len(part)
    split = booked(Position(1, 0, "0-0", b""), records)

    assert split.rows.changes == whole.rows.changes
    assert split.rows.rolled_back == whole.rows.rolled_back
    assert (whole.quarantined, split.quarantined) == ([], [])


@pytest.mark.parametrize(
    ("steps", "comes_to"),
    [
        ([a_step("reserved")], CouponChange(1, "reserved", 1, "2100-01-01 00:00:00.000+00", "o-1", None)),
        ([a_step("reserved"), a_step("released")], CouponChange(2, "claimed", 1, None, None, None)),
        ([a_step("reserved"), a_step("redeemed", source="reserved")], CouponChange(2, "redeemed", 0, None, None, None)),
        (
            [a_step("rolled_back", until_ms=UNTIL), a_step("reserved", until_ms=LATER)],
            CouponChange(2, "reserved", 1, "2100-01-01 00:01:40.000+00", "o-1", "2100-01-01 00:00:00.000+00"),
        ),
        (
            [
                a_step("reserved"),
                a_step("rolled_back", state="reserved", source="", destination="", units="0", left="9"),
            ],
            CouponChange(2, "reserved", 9, "2100-01-01 00:00:00.000+00", "o-1", None),
        ),
    ],
    ids=["held", "let go", "held and spent", "extended and held", "held while another part comes back"],
)
def test_what_a_coupon_comes_to(steps: list[Step], comes_to: CouponChange) -> None:
    """The last step decides; a hold outlives what leaves the coupon reserved, a new deadline outlives every step."""
    assert rows_for(changed(1, *steps)).changes == {"C": comes_to}


def test_a_redemption_is_taken_apart() -> None:
    """Order, amounts, lines, funders, place and people of a redemption are columns; what is absent is null."""
    detail = {
        "order": {"id": "o-9", "currency": "CNY", "total_minor": 5000, "shipping_minor": 100},
        "lines": [{"sku": "A\tB", "quantity": 2, "discount_minor": 450}], "shipping_discount_minor": 50,
        "currency": "CNY", "merchant": "m-1", "store": None, "staff": "e-7", "channel": "pos", "stack": None,
        "funders": [{"account": "platform", "minor": 500}], "actor": "store s-1", "unknown": {"kept": True},
    }  # fmt: skip
    rows = rows_for(changed(7, a_step("redeemed", detail=detail)))

    [line] = columns(rows, "copy_redemptions")
    null = "\\N"
    assert line[:15] == [
        "R-C", "C", "c", "c/0", "7", "ann", "o-9", "500", "CNY", "5000", "m-1", null, "e-7", "pos", null
    ]  # fmt: skip
    assert line[15:19] == [
        '[{"sku":"A\\\\tB","quantity":2,"discount_minor":450}]', "50", '[{"account":"platform","minor":500}]',
        "store s-1",
    ]  # fmt: skip
    [entry] = columns(rows, "copy_step_entries")
    assert '"unknown":{"kept":true}' in entry[-2]
    assert entry[-1] == "2026-11-22"


def test_a_redemption_without_detail_is_one_all_the_same() -> None:
    """A script that was called without detail leaves rows with nulls and empty lists."""
    rows = rows_for(changed(7, a_step("redeemed", detail=""), a_step("rolled_back", detail="")))

    assert columns(rows, "copy_redemptions")[0][6:19] == ["\\N", "500", *["\\N"] * 7, "[]", "0", "[]", "\\N"]
    assert columns(rows, "copy_rollbacks")[0][:10] == [
        "R-C", "8", "c/0", "500", "\\N", "[]", "0", "[]", "claimed", "\\N"
    ]  # fmt: skip
    assert [line[-2] for line in columns(rows, "copy_step_entries")] == ["\\N", "\\N"]


BAD_STEPS: list[dict[str, Any]] = [
    {"verb": "borrowed"},
    {"state": "lost"},
    {"code": ""},
    {"code": "C\0"},
    {"holder": "\0"},
    {"holder": "h" * TEXT_CHARS_MAX},
    {"ref": ""},
    {"ref": "R" * (TEXT_CHARS_MAX + 1)},
    {"minor": ""},
    {"minor": "-1"},
    {"minor": "1.5"},
    {"minor": "٣"},
    {"minor": str(BIGINT_MAX + 1)},
    {"left": "many"},
    {"units": ""},
    {"units": "0"},
    {"units": "-1"},
    {"units": str(2**31)},
    {"source": "supply"},
    {"source": "stock"},
    {"source": "pocket"},
    {"source": ""},
    {"destination": ""},
    {"destination": "supply"},
    {"destination": "reserved"},
    {"until_ms": str(TIME_MS_MAX + 1)},
    {"until_ms": "soon"},
    {"detail": "no JSON"},
    {"detail": "[]"},
    {"detail": "null"},
    {"detail": "[" * 5000},
    {"detail": '{"order":"o-1"}'},
    {"detail": '{"order":{"id":7}}'},
    {"detail": '{"order":{"total_minor":1e3}}'},
    {"detail": '{"order":{"total_minor":9223372036854775808}}'},
    {"detail": '{"lines":{}}'},
    {"detail": '{"lines":[7]}'},
    {"detail": '{"actor":"\\u0000"}'},
    {"detail": '{"x":{"deep":["\\\\\\u0000"]}}'},
    {"detail": '{"x":"' + "x" * 1_000_001 + '"}'},
]


@pytest.mark.parametrize("wrong", BAD_STEPS, ids=lambda wrong: repr(wrong)[:40])
def test_a_step_that_is_none_makes_its_entry_unreadable(wrong: dict[str, Any]) -> None:
    """One bad step costs its whole entry, by the numbers it covers, and the records around it are read."""
    bad = changed(12, a_step("reserved"), a_step("redeemed", source="reserved")._replace(**wrong))
    around = changed(11, a_step("reserved", "A")), changed(14, a_step("expired"))
    records = [record_of(entry) for entry in (around[0], bad, around[1])]
    at = Position(1, 10, "5-0", b"")
    batch, booking = read_batch(at, records, unranged=False), booked(at, records)

    assert [(each.first_seq, each.count) for each in booking.quarantined] == [(12, 2)]
    assert (batch.seq, batch.break_, set(booking.rows.changes)) == (14, None, {"A", "C"})


def test_a_hold_without_a_deadline_is_none() -> None:
    """The sweeper could never end it."""
    with pytest.raises(UnreadableEntry, match="deadline"):
        rows_for(changed(1, a_step("reserved", until_ms="")))


def test_members_that_are_no_whole_number_of_steps_are_unreadable() -> None:
    """A list of members that ends in the middle of a step is refused with what the record says it covers."""
    entry_id, fields = record_of(changed(11, a_step("expired"), a_step("revoked")))
    body = msgspec.msgpack.decode(fields[-1])
    body[-1] = body[-1][:-1]
    batch = read_batch(
        Position(1, 10, "5-0", b""), [(entry_id, [*fields[:-1], msgspec.msgpack.encode(body)])], unranged=False
    )

    assert [(each.first_seq, each.count) for each in batch.quarantined] == [(11, 2)]


@pytest.mark.parametrize("text", ["\\u0000", "\\\\u0000", "ends in \\"])
def test_a_backslash_is_no_nul(text: str) -> None:
    r"""The characters \u0000, written out by somebody, are text like any other."""
    rows = rows_for(changed(1, a_step("redeemed", detail={"actor": text})))

    assert columns(rows, "copy_redemptions")[0][18] == text.replace("\\", "\\\\")


@pytest.mark.parametrize(
    "wrong",
    [{"units": 0}, {"units": 2**31}, {"batch": ""}, {"batch": "\0"}, {"codes": ["A\0"]}, {"codes": ["A" * 512]}],
    ids=str,
)
def test_issued_codes_that_postgres_cannot_hold_are_unreadable(wrong: dict[str, Any]) -> None:
    """A chunk of codes is whole in the books or in quarantine."""
    assert len(rows_for(issued(1, "A", "B")).lines["copy_issued_coupons"]) == 2
    with pytest.raises(UnreadableEntry):
        rows_for(msgspec.structs.replace(issued(1, "A"), **wrong))


def test_members_of_a_changed_entry_are_steps() -> None:
    """What the builder writes is what the type reads."""
    step = a_step("redeemed")
    assert Changed(1, 1, 1, 1, 1, list(step)).each == [step]
