"""
Pure: entries → journals of the unit book, and the hash chain over them.

Units are a commodity like money, named coupon:<campaign>. A posting moves a positive amount from a
source account to a destination account, so a journal can't be unbalanced.

    state change          verb      posting
    adjusted, delta > 0   restock   supply → stock
    adjusted, delta < 0   withdraw  stock → supply
    claimed               claim     stock → outstanding
    issued                issue     stock → outstanding, the units of each code
    changed               reserve, release, redeem, rollback, expire, revoke: from where to where the step says
    published, attached   none: they move nothing
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from hashlib import sha256
from typing import NamedTuple

import msgspec

from lua.entries import Adjusted, Attached, Changed, Claimed, Entry, Issued, Published, Step
from lua.keys import Shard

SUPPLY, STOCK, OUTSTANDING = "supply", "stock", "outstanding"
RESERVED, REDEEMED, EXPIRED, REVOKED = "reserved", "redeemed", "expired", "revoked"

ACCOUNTS = {
    SUPPLY: "where coupons come from and go back to; its balance is minus all that are in the book",
    STOCK: "coupons that can be claimed",
    OUTSTANDING: "coupons that are out and not used: a holder owns them, or they are codes on paper",
    RESERVED: "coupons held for an order",
    REDEEMED: "coupons used up",
    EXPIRED: "coupons that ended unused, or were given back after their end",
    REVOKED: "coupons that were taken away",
}
"""Every account of the unit book."""

VERBS = {
    "restock": (SUPPLY, STOCK),
    "withdraw": (STOCK, SUPPLY),
    "claim": (STOCK, OUTSTANDING),
    "issue": (STOCK, OUTSTANDING),
}
"""Verb of a journal → source and destination of its posting, where the verb says it all."""

STEP_VERBS = {
    "reserved": "reserve",
    "released": "release",
    "redeemed": "redeem",
    "rolled_back": "rollback",
    "expired": "expire",
    "revoked": "revoke",
}
"""What a step says happened → verb of its journal; from where to where is the step's to say."""

DESTINATIONS = frozenset(ACCOUNTS) - {SUPPLY}
SOURCES = DESTINATIONS - {STOCK}
"""The accounts units may leave, and may go to, by a step."""


@dataclass(frozen=True)
class Posting:
    """*amount* > 0 of *commodity* from *source* to *destination*."""

    source: str
    destination: str
    commodity: str
    amount: int

    def __post_init__(self) -> None:
        assert self.amount > 0, "direction replaces sign"
        assert self.source != self.destination, "a posting moves something"


@dataclass(frozen=True)
class Journal:
    """What one verb did to one shard in one drained batch on one date of the campaign's zone."""

    shard: str
    verb: str
    first_seq: int
    last_seq: int
    occurred_ms: int
    effective_date: date
    postings: tuple[Posting, ...]


@dataclass(frozen=True)
class SealedJournal:
    """A journal and its place in the shard's chain."""

    journal: Journal
    previous_hash: bytes
    hash: bytes


class Move(NamedTuple):
    """*units* > 0 that change *first_seq* … *last_seq* move from a source account to a destination account."""

    verb: str
    source: str
    destination: str
    units: int
    first_seq: int
    last_seq: int


def unit_moves(entry: Entry) -> list[Move]:
    """The units *entry* moves, in seq order. Errors: ValueError for steps that step_rows() refuses."""
    last_seq = entry.first_seq + entry.count - 1

    def of_all(verb: str, units: int) -> list[Move]:
        return [Move(verb, *VERBS[verb], units, entry.first_seq, last_seq)] if units else []

    match entry:
        case Claimed():
            return of_all("claim", entry.count)
        case Issued():
            return of_all("issue", entry.count * entry.units)
        case Adjusted():
            return of_all("restock" if entry.delta > 0 else "withdraw", abs(entry.delta))
        case Changed():
            return _step_moves(entry)
        case Published() | Attached():
            return []


MOVED = ("verb", "source", "destination", "units")
"""The members of a step that say what it moves."""


def _step_moves(entry: Changed) -> list[Move]:
    members, width = entry.steps, len(Step._fields)
    told = zip(*(members[Step._fields.index(name) :: width] for name in MOVED), strict=True)
    return [
        Move(STEP_VERBS[verb], source, destination, int(units), seq, seq)
        for seq, (verb, source, destination, units) in enumerate(told, entry.first_seq)
        if source
    ]


def journals_for(shard: Shard, entries: Iterable[Entry], zone_of: Callable[[int], tzinfo]) -> list[Journal]:
    """
    Sum a batch into one journal a verb and effective date, with one posting a source and destination.

    Both are in the order of their first seq. Shape: *entries* in seq order; *zone_of* maps a version of the rules to
    the campaign's zone.
    """
    commodity = f"coupon:{shard.campaign}"
    spans: dict[tuple[str, date], tuple[int, int, int]] = {}
    sums: dict[tuple[str, date], dict[tuple[str, str], int]] = {}
    for entry in entries:
        moves = unit_moves(entry)
        if not moves:
            continue
        day = datetime.fromtimestamp(entry.at_ms / 1000, UTC).astimezone(zone_of(entry.version)).date()
        for move in moves:
            key, way = (move.verb, day), (move.source, move.destination)
            first, last, occurred_ms = spans.get(key, (move.first_seq, 0, 0))
            spans[key] = (first, max(last, move.last_seq), max(occurred_ms, entry.at_ms))
            ways = sums.setdefault(key, {})
            ways[way] = ways.get(way, 0) + move.units
    return [
        Journal(
            str(shard), verb, first, last, occurred_ms, day,
            tuple(Posting(*way, commodity, units) for way, units in sums[verb, day].items()),
        )
        for (verb, day), (first, last, occurred_ms) in spans.items()
    ]  # fmt: skip


def seal(head: bytes, journals: Sequence[Journal]) -> list[SealedJournal]:
    """Chain *journals* onto *head*, the hash of the shard's last journal (empty: the first one)."""
    sealed = []
    for journal in journals:
        link = SealedJournal(journal, head, chain_hash(head, journal))
        sealed.append(link)
        head = link.hash
    return sealed


def chain_hash(previous: bytes, journal: Journal) -> bytes:
    """
    SHA-256 over the previous hash and the journal's canonical encoding.

    The encoding is a JSON array without spaces: shard, verb, first_seq, last_seq, occurred_ms, effective_date,
    then an array of [source, destination, commodity, amount] a posting. Anybody can compute it from the tables.
    """
    encoded = msgspec.json.encode(
        [
            journal.shard,
            journal.verb,
            journal.first_seq,
            journal.last_seq,
            journal.occurred_ms,
            journal.effective_date.isoformat(),
            [[line.source, line.destination, line.commodity, line.amount] for line in journal.postings],
        ]
    )
    return sha256(previous + encoded).digest()


def broken_link(head: bytes, sealed: Sequence[SealedJournal]) -> int | None:
    """
    The index of the first journal of a shard that the chain does not bear out; None when all of it holds.

    *head* is the hash the checkpoint keeps; a chain that was cut short answers its length.
    """
    previous = b""
    for index, link in enumerate(sealed):
        if link.previous_hash != previous or link.hash != chain_hash(previous, link.journal):
            return index
        previous = link.hash
    return None if previous == head else len(sealed)
