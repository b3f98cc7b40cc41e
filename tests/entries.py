"""Stream entries for tests: steps that are valid by default, and strategies for every kind of entry there is."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from hypothesis import strategies as st

from lua.entries import LAYOUT, Adjusted, Attached, Changed, Claimed, Entry, Issued, Published, Step
from lua.keys import CampaignId, Shard
from reconciler.booking import Booking, book
from reconciler.dating import NOTHING_CLOSED, ClosedThrough
from reconciler.money import Terms
from reconciler.rows import rows_of
from reconciler.shard import Position, Record, read_batch
from reconciler.tables import Rows

SHARD = Shard(CampaignId("c"), 0)
DAY = date(2026, 11, 22)

NUMBERS = st.integers(-(2**63), 2**64 - 1)
SEQS = st.integers(1, 10**9)
HEAD = st.just(LAYOUT), NUMBERS, NUMBERS, NUMBERS, SEQS
TEXTS = st.text() | st.sampled_from(["redeemed", "rolled_back", "claimed", "outstanding", "1", "0", "", "{}"])
ENTRIES: st.SearchStrategy[Entry] = st.one_of(
    st.builds(
        Claimed, *HEAD, NUMBERS, st.text(max_size=20),
        st.lists(st.tuples(*[st.text()] * 4), min_size=1, max_size=3).map(
            lambda grants: [part for grant in grants for part in grant]
        ),
    ),
    st.builds(Issued, *HEAD, NUMBERS, st.text(max_size=20), st.text(), NUMBERS, st.lists(st.text(), min_size=1)),
    st.builds(
        Changed, *HEAD,
        st.lists(st.tuples(*[TEXTS] * len(Step._fields)), min_size=1, max_size=3).map(
            lambda steps: [part for step in steps for part in step]
        ),
    ),
    st.builds(Adjusted, *HEAD, NUMBERS, *[st.text()] * 3),
    st.builds(Published, *HEAD, st.text()),
    st.builds(Attached, *HEAD, st.text()),
)  # fmt: skip
"""Entries of every kind that can be written, sensible or not."""


def rows_for(entry: Entry, terms: Terms = Terms()) -> Rows:  # noqa: B008 - it is frozen
    """The rows of *entry*, booked on DAY. Errors: UnreadableEntry."""
    return rows_of(SHARD, "1-0", entry, terms, DAY)


def booked(
    position: Position,
    records: Sequence[Record],
    *,
    terms: Terms = Terms(),  # noqa: B008 - it is frozen
    closed_through: ClosedThrough = NOTHING_CLOSED,
) -> Booking:
    """What records that follow *position* put into the books, whatever their version."""
    return book(SHARD, read_batch(position, records, unranged=False), lambda _: terms, closed_through)


def a_step(verb: str, code: str = "C", **changes: Any) -> Step:
    """
    A step of *verb* as the scripts write it for a coupon that is used once; *changes* override.

    A detail that is no text is written as JSON.
    """
    state, source, destination, left = {
        "reserved": ("reserved", "outstanding", "reserved", "1"),
        "released": ("claimed", "reserved", "outstanding", "1"),
        "redeemed": ("redeemed", "outstanding", "redeemed", "0"),
        "rolled_back": ("claimed", "redeemed", "outstanding", "1"),
        "expired": ("expired", "outstanding", "expired", "1"),
        "revoked": ("revoked", "outstanding", "revoked", "1"),
    }[verb]
    ref = {"reserved": "o-1", "released": "o-1", "redeemed": f"R-{code}", "rolled_back": f"R-{code}"}.get(verb, "")
    step = Step(
        verb, code, "ann", ref, "500" if ref.startswith("R") else "", state, source, destination, "1", left,
        "4102444800000" if verb == "reserved" else "", "{}",
    )  # fmt: skip
    detail = changes.get("detail", "")
    if not isinstance(detail, str):
        changes["detail"] = msgspec.json.encode(detail).decode()
    return step._replace(**changes)


def flat(*steps: Step) -> list[str]:
    """Steps as an entry holds them."""
    return [member for step in steps for member in step]


def changed(first_seq: int, *steps: Step, at_ms: int = 1_795_348_800_000, version: int = 1, epoch: int = 1) -> Changed:
    """One entry of *steps*; the default time is 2026-11-22T12:00:00Z."""
    return Changed(LAYOUT, epoch, version, at_ms, first_seq, flat(*steps))


def record_of(entry: Entry) -> Record:
    """The stream record of *entry*."""
    fields = {"seq": str(entry.first_seq), "count": str(entry.count)}
    named = [part.encode() for pair in fields.items() for part in pair]
    return f"{entry.first_seq}-1", [*named, b"entry", msgspec.msgpack.encode(entry)]


def issued(first_seq: int, *codes: str, units: int = 1, batch: str = "b1", at_ms: int = 1_795_348_800_000) -> Issued:
    """One chunk of a code batch."""
    return Issued(LAYOUT, 1, 1, at_ms, first_seq, at_ms + 86_400_000, "500", batch, units, list(codes))
