"""
Pure: entries → journals of the unit book and the money book, and the hash chain over them.

Units are a commodity like money, named coupon:<campaign>. A posting moves a positive amount of one commodity from a
source account to a destination account, so a journal can't be unbalanced. What money goes with them says money.py.

    state change          verb      posting
    adjusted, delta > 0   restock   supply → stock
    adjusted, delta < 0   withdraw  stock → supply
    claimed               claim     stock → outstanding
    issued                issue     stock → outstanding, the units of each code
    changed               reserve, release, redeem, rollback, expire, revoke: from where to where the step says
    published, attached   none: they move nothing
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from lua.entries import Adjusted, Attached, Changed, Claimed, Entry, Issued, Published, Step
from lua.keys import Shard
from reconciler.accounts import OUTSTANDING, STOCK, SUPPLY
from reconciler.dating import NOTHING_CLOSED, BookedOn, ClosedThrough, booked_on
from reconciler.money import (
    MAIN_ENTITY,
    Flow,
    Settlement,
    Terms,
    money_of_step,
    money_of_stock,
    money_of_units,
    settlement_of,
)

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
    """
    What one verb did to one shard in one drained batch on one date of the campaign's zone, or what a person booked.

    *original_date* is the date of what came when the books of it were closed; *effective_date* is the one it is booked
    on. What follows it is of manual journals only: *about* is the shard whose units are moved, *ref* the id of the
    request, *reverses* the journal it makes good.
    """

    shard: str
    verb: str
    first_seq: int
    last_seq: int
    occurred_ms: int
    effective_date: date
    postings: tuple[Posting, ...]
    entity: str = MAIN_ENTITY
    original_date: date | None = None
    about: str | None = None
    ref: str | None = None
    reason: str | None = None
    reverses: int | None = None


@dataclass(frozen=True)
class SealedJournal:
    """A journal and its place in the shard's chain."""

    journal: Journal
    previous_hash: bytes
    hash: bytes


class Move(NamedTuple):
    """What changes *first_seq* … *last_seq* move: units first, then the money."""

    verb: str
    first_seq: int
    last_seq: int
    flows: list[Flow]


def moves_of(campaign: str, entry: Entry, terms: Terms) -> list[Move]:
    """
    What the changes of *entry* move, in seq order; nothing may be.

    Shape: *terms* are those of the entry's version. Errors: ValueError for steps that step_rows() refuses.
    """
    match entry:
        case Claimed():
            return _moves_of_all(campaign, entry, terms, "claim", entry.count)
        case Issued():
            return _moves_of_all(campaign, entry, terms, "issue", entry.count * entry.units)
        case Adjusted():
            return _moves_of_all(campaign, entry, terms, "restock" if entry.delta > 0 else "withdraw", abs(entry.delta))
        case Changed():
            told = [(seq, step, settlement_of(step)) for seq, step in enumerate(entry.each, entry.first_seq)]
            return [step_move(campaign, terms, *each) for each in told]
        case Published() | Attached():
            return []


def _moves_of_all(campaign: str, entry: Entry, terms: Terms, verb: str, units: int) -> list[Move]:
    if not units:
        return []
    source, destination = VERBS[verb]
    if isinstance(entry, Adjusted):
        flows = money_of_stock(terms, entry.delta)
    else:
        flows = money_of_units(campaign, terms, source, destination, units)
    moved = Flow(source, destination, f"coupon:{campaign}", units)
    return [Move(verb, entry.first_seq, entry.first_seq + entry.count - 1, [moved, *flows])]


def step_move(campaign: str, terms: Terms, seq: int, step: Step, told: Settlement | None) -> Move:
    """What *step*, numbered *seq*, moves; settlement_of() has *told* what it tells."""
    flows = money_of_step(campaign, terms, step, told)
    if step.source:
        flows.insert(0, Flow(step.source, step.destination, f"coupon:{campaign}", int(step.units)))
    return Move(STEP_VERBS[step.verb], seq, seq, flows)


class Moved(NamedTuple):
    """What one entry, done at *at_ms*, moves in the books of a legal entity, and on which date."""

    at_ms: int
    entity: str
    on: BookedOn
    moves: Sequence[Move]


@dataclass
class _Sum:
    """What is to be one journal: *lines* maps source, destination and commodity to the amount."""

    moved: Moved
    verb: str
    first_seq: int
    last_seq: int = 0
    occurred_ms: int = 0
    lines: dict[tuple[str, str, str], int] = field(default_factory=dict)


def journals_for(
    shard: Shard,
    entries: Iterable[Entry],
    terms_of: Callable[[int], Terms],
    closed_through: ClosedThrough = NOTHING_CLOSED,
) -> list[Journal]:
    """
    The journals of *entries*, in seq order, each on a date that is open by *closed_through*.

    Shape: *terms_of* maps a version of the rules to its terms.
    """
    told = ((entry, terms_of(entry.version)) for entry in entries)
    return journals_of(
        shard,
        (
            Moved(entry.at_ms, terms.entity, booked_on(entry, terms, closed_through), moves)
            for entry, terms in told
            if (moves := moves_of(shard.campaign, entry, terms))
        ),
    )


def journals_of(shard: Shard, batch: Iterable[Moved]) -> list[Journal]:
    """
    Sum a batch into one journal a verb, legal entity and date, with one posting a source, destination and commodity.

    Both are in the order of their first seq. Late ones of several dates are several journals. Shape: *batch* in seq
    order.
    """
    sums: list[_Sum] = []
    books: dict[tuple[str, BookedOn], dict[str, _Sum]] = {}
    for moved in batch:
        book = books.setdefault((moved.entity, moved.on), {})
        for verb, first_seq, last_seq, flows in moved.moves:
            if not flows:
                continue
            total = book.get(verb)
            if total is None:
                total = book[verb] = _Sum(moved, verb, first_seq)
                sums.append(total)
            total.last_seq, total.occurred_ms = max(total.last_seq, last_seq), max(total.occurred_ms, moved.at_ms)
            lines = total.lines
            for source, destination, commodity, amount in flows:
                line = source, destination, commodity
                lines[line] = lines.get(line, 0) + amount
    return [
        Journal(
            str(shard), total.verb, total.first_seq, total.last_seq, total.occurred_ms, total.moved.on.effective_date,
            tuple(Posting(*line, amount) for line, amount in total.lines.items()),
            total.moved.entity, total.moved.on.original_date,
        )
        for total in sums
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
    then an array of [source, destination, commodity, amount] a posting. Where the journal has any of what _further()
    gives, an object of it comes last. Anybody can compute it from the tables.
    """
    encoded: list[Any] = [
        journal.shard,
        journal.verb,
        journal.first_seq,
        journal.last_seq,
        journal.occurred_ms,
        journal.effective_date.isoformat(),
        [[line.source, line.destination, line.commodity, line.amount] for line in journal.postings],
    ]
    further = _further(journal)
    if further:
        encoded.append(further)
    return sha256(previous + msgspec.json.encode(encoded)).digest()


def _further(journal: Journal) -> dict[str, Any]:
    """
    Entity, unless it is main, original_date, about, ref, reason and reverses: in this order, without what is null.

    A journal that was sealed before there were any of them is encoded as it was then.
    """
    told = {
        "entity": journal.entity if journal.entity != MAIN_ENTITY else None,
        "original_date": journal.original_date,
        "about": journal.about,
        "ref": journal.ref,
        "reason": journal.reason,
        "reverses": journal.reverses,
    }
    return {name: value for name, value in told.items() if value is not None}


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
