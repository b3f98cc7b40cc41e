"""
Stream entries: what a script leaves behind, as types.

A stream record has three fields: ``seq`` (first number covered), ``count`` (numbers covered) and
``entry`` (a msgpack array: kind, layout, epoch, version, at_ms, first_seq, then what the kind adds).
The numbers stand outside the body so that a body that can't be read still tells what it covers.

Evolution: new members are appended and have defaults; a member never changes its type; kinds and
their names never change; anything else is a new layout number.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

LAYOUT = 1


class Grant(NamedTuple):
    """One coupon given: *idem* is keys.key_hash and keys.payload_hash, *channel* is empty where none was named."""

    holder: str
    idem: str
    code: str
    channel: str


class _Entry(msgspec.Struct, array_like=True, frozen=True, tag_field="kind"):
    layout: int
    epoch: int
    version: int
    at_ms: int
    first_seq: int

    @property
    def count(self) -> int:
        """State changes the entry covers: first_seq … first_seq + count - 1."""
        return 1


class Claimed(_Entry, frozen=True, tag="claimed"):
    """
    claim.lua: one call's grants, in seq order. *unit_minor* is the worst-case value of one coupon.

    *asks* are the members of each grant, one grant after the other, because that is how the script got them.
    """

    expires_ms: int
    unit_minor: str
    asks: list[str]

    def __post_init__(self) -> None:
        if len(self.asks) % len(Grant._fields):
            raise ValueError(f"{len(self.asks)} members are no whole number of grants")

    @property
    def grants(self) -> list[Grant]:
        """The grants, each as one."""
        members = iter(self.asks)
        return list(map(Grant._make, zip(members, members, members, members, strict=True)))

    @property
    def count(self) -> int:
        """One a grant."""
        return len(self.asks) // len(Grant._fields)


class Issued(_Entry, frozen=True, tag="issued"):
    """
    issue.lua: codes that nobody holds yet, in seq order, one chunk of the code batch *batch*.

    *units* of each: 1, or the uses of a code that many may use.
    """

    expires_ms: int
    unit_minor: str
    batch: str
    units: int
    codes: list[str]

    @property
    def count(self) -> int:
        """One a code."""
        return len(self.codes)


class Step(NamedTuple):
    """
    One step of a coupon's life after it was claimed. All members are text, as the scripts write them.

    *ref* is the redemption's id (redeemed, rolled_back) or the order's (reserved, released). *minor* is the discount
    of a redemption or what a rollback gives back. *state* is the coupon's after the step, *left* what is left of it:
    uses, or minor units of a balance. *units* move from *source* to *destination*, accounts of the unit book; both are
    empty where none move. *until_ms* is a hold's deadline, or when a coupon expires now that a rollback extended it.
    *detail* is a JSON object made by whoever asked, or empty.
    """

    verb: str
    code: str
    holder: str
    ref: str
    minor: str
    state: str
    source: str
    destination: str
    units: str
    left: str
    until_ms: str
    detail: str


class Changed(_Entry, frozen=True, tag="changed"):
    """reserve, release, lapse, redeem, rollback, expire, revoke: one call's *steps*, flat, in seq order."""

    steps: list[str]

    def __post_init__(self) -> None:
        if len(self.steps) % len(Step._fields):
            raise ValueError(f"{len(self.steps)} members are no whole number of steps")

    @property
    def each(self) -> list[Step]:
        """The steps, each as one."""
        members = iter(self.steps)
        return list(map(Step._make, zip(*[members] * len(Step._fields), strict=True)))

    @property
    def count(self) -> int:
        """One a step."""
        return len(self.steps) // len(Step._fields)


class Adjusted(_Entry, frozen=True, tag="adjusted"):
    """adjust.lua: stock in (*delta* > 0) or out (< 0)."""

    delta: int
    reason: str
    actor: str
    key: str


class Published(_Entry, frozen=True, tag="published"):
    """publish.lua: the shard now runs *version* of the rules, in *state*."""

    state: str


class Attached(_Entry, frozen=True, tag="attached"):
    """attach.lua: the shard serves on the Redis with run id *server*."""

    server: str


Entry = Claimed | Issued | Changed | Adjusted | Published | Attached


def codes_in(entry: Entry) -> list[str]:
    """The coupons that *entry* is about, in order."""
    match entry:
        case Claimed():
            return [grant.code for grant in entry.grants]
        case Issued():
            return entry.codes
        case Changed():
            return [step.code for step in entry.each]
    return []


_decoder = msgspec.msgpack.Decoder(Entry)


class UnreadableEntry(ValueError):
    """A stream record that can't be decoded. *first_seq* and *count* are None where even they are unknown."""

    def __init__(self, reason: str, first_seq: int | None, count: int | None) -> None:
        super().__init__(reason)
        self.first_seq, self.count = first_seq, count


def decode_entry(fields: Mapping[bytes, bytes]) -> Entry:
    """
    Read one stream record.

    Shape: the record's fields as Redis gives them.
    Errors: UnreadableEntry, with the numbers the record covers where they can be told.
    """
    seq, count = _number(fields.get(b"seq")), _number(fields.get(b"count"))
    if seq is None or count is None or seq < 1 or count < 1:
        raise UnreadableEntry("seq and count are missing or not positive numbers", None, None)
    try:
        entry: Entry = _decoder.decode(fields.get(b"entry", b""))
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableEntry(f"body: {error}", seq, count) from None
    if entry.layout != LAYOUT:
        raise UnreadableEntry(f"layout {entry.layout}, this version reads {LAYOUT}", seq, count)
    if (entry.first_seq, entry.count) != (seq, count):
        covered = f"{entry.first_seq}+{entry.count}"
        raise UnreadableEntry(f"body covers {covered}, the record says {seq}+{count}", seq, count)
    return entry


def _number(text: bytes | None) -> int | None:
    """A decimal of at most 16 digits, as the scripts write it; None for anything else."""
    return int(text) if text is not None and text.isdigit() and len(text) <= 16 else None
