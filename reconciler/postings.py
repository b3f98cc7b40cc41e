"""
Pure: entries → journals of the unit book, and the hash chain over them.

Units are a commodity like money, named coupon:<campaign>. A posting moves a positive amount from a
source account to a destination account, so a journal can't be unbalanced.

    state change          verb      posting
    adjusted, delta > 0   restock   supply → stock
    adjusted, delta < 0   withdraw  stock → supply
    claimed               claim     stock → outstanding
    published, attached   none: they move nothing
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from hashlib import sha256

import msgspec

from lua.entries import Adjusted, Attached, Changed, Claimed, Entry, Issued, Published
from lua.keys import Shard

SUPPLY, STOCK, OUTSTANDING = "supply", "stock", "outstanding"

ACCOUNTS = {
    SUPPLY: "where coupons come from and go back to; its balance is minus all that are in the book",
    STOCK: "coupons that can be claimed",
    OUTSTANDING: "coupons a holder owns and has not used",
}
"""Every account of the unit book."""

VERBS = {"restock": (SUPPLY, STOCK), "withdraw": (STOCK, SUPPLY), "claim": (STOCK, OUTSTANDING)}
"""Verb of a journal → source and destination of its posting."""


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


def unit_moves(entry: Entry) -> tuple[str, int] | None:
    """The verb and the units *entry* moves; None when it moves nothing."""
    match entry:
        case Claimed():
            return ("claim", entry.count) if entry.asks else None
        case Adjusted() if entry.delta:
            return ("restock", entry.delta) if entry.delta > 0 else ("withdraw", -entry.delta)
        case Adjusted() | Published() | Attached() | Issued() | Changed():
            return None


def journals_for(shard: Shard, entries: Iterable[Entry], zone_of: Callable[[int], tzinfo]) -> list[Journal]:
    """
    Sum a batch into one journal a verb and effective date, in the order of their first seq.

    Shape: *entries* in seq order; *zone_of* maps a version of the rules to the campaign's zone.
    """
    commodity = f"coupon:{shard.campaign}"
    sums: dict[tuple[str, date], tuple[int, int, int, int]] = {}
    for entry in entries:
        move = unit_moves(entry)
        if move is None:
            continue
        verb, amount = move
        day = datetime.fromtimestamp(entry.at_ms / 1000, UTC).astimezone(zone_of(entry.version)).date()
        first, last, occurred_ms, total = sums.get((verb, day), (entry.first_seq, 0, 0, 0))
        last = max(last, entry.first_seq + entry.count - 1)
        sums[verb, day] = (first, last, max(occurred_ms, entry.at_ms), total + amount)
    return [
        Journal(str(shard), verb, first, last, occurred_ms, day, (Posting(*VERBS[verb], commodity, total),))
        for (verb, day), (first, last, occurred_ms, total) in sums.items()
    ]


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
