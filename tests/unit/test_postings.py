"""Entries → journals → chain: units are conserved, every journal balances, and the chain notices a change."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lua.entries import LAYOUT, Adjusted, Attached, Changed, Claimed, Entry, Issued, Published
from lua.keys import CampaignId, Shard
from reconciler.accounts import ACCOUNTS, DESTINATIONS, SOURCES
from reconciler.money import Terms
from reconciler.postings import (
    STEP_VERBS,
    Journal,
    Posting,
    SealedJournal,
    broken_link,
    chain_hash,
    journals_for,
    seal,
)
from tests.entries import a_step, changed, issued

SHARD = Shard(CampaignId("c"), 0)
NOON_MS = 1_795_348_800_000  # 2026-11-22T12:00:00Z


def claimed(first_seq: int, count: int, at_ms: int = NOON_MS, version: int = 1) -> Claimed:
    """*count* grants."""
    asks = [part for n in range(count) for part in (f"h{first_seq + n}", "I" * 12, "C" * 18, "app")]
    return Claimed(LAYOUT, 1, version, at_ms, first_seq, at_ms, "500", asks)


def adjusted(first_seq: int, delta: int, at_ms: int = NOON_MS) -> Adjusted:
    """Stock in or out."""
    return Adjusted(LAYOUT, 1, 1, at_ms, first_seq, delta, "why", "who", "key")


def utc(_version: int) -> Terms:
    """Every version is of UTC, and of no currency."""
    return Terms(ZoneInfo("UTC"))


WAYS = [("", ""), *((a, b) for a in sorted(SOURCES) for b in sorted(DESTINATIONS) if a != b)]
STEPS = st.builds(
    lambda verb, way, units: a_step(verb, source=way[0], destination=way[1], units=str(units if way[0] else 0)),
    st.sampled_from(sorted(STEP_VERBS)),
    st.sampled_from(WAYS),
    st.integers(1, 1000),
)


@st.composite
def batches(draw: st.DrawFn) -> list[Entry]:
    """Entries as a shard may write them: in seq order, over a few days."""
    entries: list[Entry] = []
    seq, at_ms = draw(st.integers(1, 10**12)), NOON_MS
    kinds = ["claim", "adjust", "issue", "step", "publish", "attach"]
    for kind in draw(st.lists(st.sampled_from(kinds), max_size=20)):
        at_ms += draw(st.integers(0, 40_000_000))
        match kind:
            case "claim":
                entries.append(claimed(seq, draw(st.integers(1, 128)), at_ms))
            case "adjust":
                delta = draw(st.integers(-(10**9), 10**9).filter(bool))
                entries.append(adjusted(seq, delta, at_ms))
            case "issue":
                codes = [f"P{seq + n}" for n in range(draw(st.integers(1, 5)))]
                entries.append(issued(seq, *codes, units=draw(st.integers(1, 1000)), at_ms=at_ms))
            case "step":
                steps = draw(st.lists(STEPS, min_size=1, max_size=6))
                entries.append(changed(seq, *steps, at_ms=at_ms))
            case "publish":
                entries.append(Published(LAYOUT, 1, 1, at_ms, seq, "open"))
            case _:
                entries.append(Attached(LAYOUT, 1, 1, at_ms, seq, "server"))
        seq += entries[-1].count
    return entries


@given(batches())
def test_units_are_conserved(entries: list[Entry]) -> None:
    """What leaves one account enters another; every account moves by exactly what the entries say."""
    balances: Counter[str] = Counter()
    for journal in journals_for(SHARD, entries, utc):
        for posting in journal.postings:
            assert posting.commodity == "coupon:c"
            balances[posting.source] -= posting.amount
            balances[posting.destination] += posting.amount

    expected: Counter[str] = Counter()
    for entry in entries:
        moves: list[tuple[str, str, int]] = []
        match entry:
            case Claimed():
                moves = [("stock", "outstanding", entry.count)]
            case Issued():
                moves = [("stock", "outstanding", len(entry.codes) * entry.units)]
            case Adjusted():
                moves = [("supply", "stock", entry.delta)]
            case Changed():
                moves = [(step.source, step.destination, int(step.units)) for step in entry.each if step.source]
        for source, destination, units in moves:
            expected[source] -= units
            expected[destination] += units
    assert sum(balances.values()) == 0
    assert {account: units for account, units in balances.items() if units} == {
        account: units for account, units in expected.items() if units
    }
    assert balances.keys() <= ACCOUNTS.keys()


@given(batches())
def test_one_journal_a_verb_and_date(entries: list[Entry]) -> None:
    """A batch gives at most one journal a verb and date, within the seqs of the batch, dated in the zone."""
    zone = ZoneInfo("Asia/Shanghai")
    journals = journals_for(SHARD, entries, lambda _: Terms(zone))

    assert len({(journal.verb, journal.effective_date) for journal in journals}) == len(journals)
    for journal in journals:
        assert entries[0].first_seq <= journal.first_seq <= journal.last_seq
        assert journal.last_seq <= entries[-1].first_seq + entries[-1].count - 1
        assert datetime.fromtimestamp(journal.occurred_ms / 1000, zone).date() == journal.effective_date


@given(batches(), st.binary(max_size=32))
def test_a_chain_holds_until_anything_in_it_changes(entries: list[Entry], head: bytes) -> None:
    """seal() gives a chain from its head; cut at the end, it no longer ends in the head the checkpoint keeps."""
    sealed = seal(b"", journals_for(SHARD, entries, utc))
    last = sealed[-1].hash if sealed else b""

    assert broken_link(last, sealed) is None
    if sealed:
        assert broken_link(last, sealed[:-1]) == len(sealed) - 1
        assert seal(head, [sealed[0].journal])[0].hash == chain_hash(head, sealed[0].journal)


CHAIN = seal(
    b"",
    [
        Journal("c/0", "restock", 2, 2, NOON_MS, date(2026, 11, 22), (Posting("supply", "stock", "coupon:c", 9),)),
        Journal(
            "c/0", "claim", 3, 9, NOON_MS + 1, date(2026, 11, 22), (Posting("stock", "outstanding", "coupon:c", 7),)
        ),
        Journal(
            "c/0", "claim", 10, 10, NOON_MS + 2, date(2026, 11, 22), (Posting("stock", "outstanding", "coupon:c", 1),)
        ),
    ],
)


@pytest.mark.parametrize(
    "change",
    [
        {"shard": "d/0"},
        {"verb": "withdraw"},
        {"first_seq": 4},
        {"last_seq": 8},
        {"occurred_ms": NOON_MS},
        {"effective_date": date(2026, 11, 23)},
        {"postings": (Posting("stock", "outstanding", "coupon:c", 8),)},
        {"postings": (Posting("supply", "outstanding", "coupon:c", 7),)},
        {"postings": ()},
        {"entity": "other"},
        {"original_date": date(2026, 11, 21)},
        {"about": "c/0"},
        {"ref": "mj_1"},
        {"reason": ""},
        {"reverses": 1},
    ],
    ids=str,
)
def test_the_chain_names_the_journal_that_was_changed(change: dict[str, Any]) -> None:
    """Every member of a journal and of its postings is under the hash."""
    link = CHAIN[1]
    forged = [CHAIN[0], SealedJournal(replace(link.journal, **change), link.previous_hash, link.hash), CHAIN[2]]

    assert broken_link(CHAIN[2].hash, CHAIN) is None
    assert broken_link(CHAIN[2].hash, forged) == 1
    assert broken_link(CHAIN[2].hash, [CHAIN[0], CHAIN[2]]) == 1


def test_a_journal_is_encoded_as_the_page_says() -> None:
    """Anybody can compute a hash from the tables; what a journal does not have is no part of it, as it was at first."""
    plain = CHAIN[0].journal
    text = '["c/0","restock",2,2,1795348800000,"2026-11-22",[["supply","stock","coupon:c",9]]]'
    assert chain_hash(b"head", plain) == sha256(b"head" + text.encode()).digest()

    late = replace(plain, entity="other", original_date=date(2026, 11, 21), reason="why", reverses=7)
    told = ',{"entity":"other","original_date":"2026-11-21","reason":"why","reverses":7}]'
    assert chain_hash(b"", late) == sha256((text[:-1] + told).encode()).digest()


def test_the_table_of_postings() -> None:
    """Restock, withdraw and claim are the three moves; publishing and attaching move nothing."""
    entries: list[Entry] = [
        Published(LAYOUT, 1, 1, NOON_MS, 1, "open"),
        adjusted(2, 100),
        claimed(3, 5),
        adjusted(8, -10),
        claimed(9, 2),
        Attached(LAYOUT, 1, 1, NOON_MS, 11, "server"),
    ]

    told = [
        (
            journal.verb,
            journal.first_seq,
            journal.last_seq,
            [(p.source, p.destination, p.amount) for p in journal.postings],
        )
        for journal in journals_for(SHARD, entries, utc)
    ]
    assert told == [
        ("restock", 2, 2, [("supply", "stock", 100)]),
        ("claim", 3, 10, [("stock", "outstanding", 7)]),
        ("withdraw", 8, 8, [("stock", "supply", 10)]),
    ]


def test_steps_are_summed_by_verb_and_way() -> None:
    """A verb whose units go two ways is one journal with a posting a way, over the seqs that moved something."""
    nothing = {"source": "", "destination": "", "units": "0"}
    entries: list[Entry] = [
        issued(1, "P1", "P2", units=50),
        changed(
            3,
            a_step("reserved"),
            a_step("redeemed", source="reserved"),
            a_step("redeemed", "D", **nothing),
            a_step("redeemed", "E"),
            a_step("rolled_back", "D", **nothing),
        ),
        changed(8, a_step("rolled_back"), a_step("rolled_back", "E", destination="stock"), a_step("redeemed", "F")),
        changed(11, a_step("expired", units="49"), a_step("revoked"), a_step("released")),
    ]

    told = [
        (
            journal.verb,
            journal.first_seq,
            journal.last_seq,
            [(p.source, p.destination, p.amount) for p in journal.postings],
        )
        for journal in journals_for(SHARD, entries, utc)
    ]
    assert told == [
        ("issue", 1, 2, [("stock", "outstanding", 100)]),
        ("reserve", 3, 3, [("outstanding", "reserved", 1)]),
        ("redeem", 4, 10, [("reserved", "redeemed", 1), ("outstanding", "redeemed", 2)]),
        ("rollback", 8, 9, [("redeemed", "outstanding", 1), ("redeemed", "stock", 1)]),
        ("expire", 11, 11, [("outstanding", "expired", 49)]),
        ("revoke", 12, 12, [("outstanding", "revoked", 1)]),
        ("release", 13, 13, [("reserved", "outstanding", 1)]),
    ]


def test_each_entry_is_dated_by_the_zone_of_its_version() -> None:
    """Two versions with two zones give two dates for one instant."""
    terms = {1: Terms(ZoneInfo("UTC")), 2: Terms(ZoneInfo("Pacific/Kiritimati"))}
    journals = journals_for(SHARD, [claimed(1, 1), claimed(2, 1, version=2)], terms.__getitem__)

    assert [journal.effective_date for journal in journals] == [date(2026, 11, 22), date(2026, 11, 23)]
    assert datetime.fromtimestamp(NOON_MS / 1000, UTC).hour == 12
