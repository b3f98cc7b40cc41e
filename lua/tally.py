"""
What stocktake.lua answers, as values: a shard at one instant, and the packed records of a sample of it.

Nothing is believed here: a record that somebody changed by hand so that it can't be read is a Garbled, not an error.
"""

import re
import struct
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from lua.keys import CouponCode, HolderId, Shard
from lua.scripts import load_script

if TYPE_CHECKING:
    from lua.door import Door

SAMPLES_MAX = 1000
"""Codes, and holders, that one call may name or draw."""

STATES = {"c": "claimed", "r": "reserved", "u": "redeemed", "x": "expired", "v": "revoked"}
"""The character of a state in a record → its word."""

COUNTED = ("claimed", "reserved", "redeemed", "expired", "revoked", "returned")
"""Counters of units; what is outstanding is the first less all others."""

_COUPON_BYTES = 18
_HELD_BYTES, _IDEM_BYTES, _FREED = 30, 12, 0x80
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")
_NUMBER = re.compile(rb"-?\d{1,16}")


class Garbled(NamedTuple):
    """A record that can't be read, as hex."""

    hex: str


class Coupon(NamedTuple):
    """
    A coupon's record, what *uses* has of it, and the deadline *hold_ms* of its hold in the sorted set.

    *left*, *order*, *until_ms* and *held* are None where there is nothing in uses: then all of it is left, and nobody
    holds it. *held* counts the holds on a code that many may use.
    """

    state: str
    seq: int
    claimed_ms: int
    expires_ms: int
    holder: str
    left: int | None
    order: str | None
    until_ms: int | None
    held: int | None
    hold_ms: int | None


class Claim(NamedTuple):
    """What a holder's record keeps of one claim; *freed*: it counts for no limit any more."""

    code: str
    idem: str
    freed: bool


class Tally(NamedTuple):
    """
    A shard at one instant. *stock* is None where there is no key; *rules* has what the books know too.

    *coupons* and *holders* are the sample: None for one that is not there. *day_starts_ms* is 0 where days are not
    counted. Counters that are no number are left out of *counters* and are in *garbled*, by name.
    """

    now_ms: int
    ready: bool
    stock: int | None
    rules: dict[str, str]
    counters: dict[str, int]
    garbled: dict[str, str]
    coupons_length: int
    redemptions_length: int
    holds_length: int
    last_id: str
    day_starts_ms: int
    coupons: dict[CouponCode, Coupon | Garbled | None]
    holders: dict[HolderId, list[Claim] | Garbled | None]

    @property
    def seq(self) -> int:
        """State changes of this shard, ever."""
        return self.counters.get("seq", 0)


async def take_tally(
    door: "Door", shard: Shard, *, draws: int = 0, codes: Sequence[CouponCode] = (), holders: Sequence[HolderId] = ()
) -> Tally:
    """
    Read *shard*, with *draws* coupons and holders drawn by chance and those named besides.

    Errors: DoorError; ResponseError where a key has a wrong type; ValueError for more than SAMPLES_MAX of anything.
    """
    if max(draws, len(codes), len(holders)) > SAMPLES_MAX:
        raise ValueError(f"at most {SAMPLES_MAX} codes, and holders")
    reply = await door.call(load_script("stocktake"), shard, draws, _packed(codes), _packed(holders))
    return read_tally(reply)


def read_tally(reply: Sequence[Any]) -> Tally:
    """The reply of stocktake.lua, from a connection that decodes nothing."""
    now_ms, ready, stock, rules, counters, coupons, redemptions, holds, last_id, day, sample, holders = reply
    numbers, garbled = {}, {}
    for name, value in _rows([*counters, *([] if stock is None else [b"stock", stock])], 2):
        if _NUMBER.fullmatch(value):
            numbers[_text(name)] = int(value)
        else:
            garbled[_text(name)] = bytes(value).hex()
    in_stock = numbers.pop("stock", None)
    return Tally(
        now_ms,
        bool(ready),
        in_stock,
        {_text(name): _text(value) for name, value in _rows(rules, 2) if value is not None},
        numbers,
        garbled,
        coupons,
        redemptions,
        holds,
        _text(last_id),
        day,
        {CouponCode(_text(code)): _coupon(*rest) for code, *rest in _rows(sample, 4)},
        {HolderId(_text(holder)): _claims(held) for holder, held in _rows(holders, 2)},
    )


def _packed(names: Sequence[str]) -> bytes:
    """
    Names as MessagePack, each as the bytes that Redis has: what _text() wrote as an escape is a byte again.

    So whoever looks again at what was found looks at the same field.
    """
    raw = [_ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()), name.encode()) for name in names]
    return b"".join((struct.pack(">BI", 0xDD, len(raw)), *(struct.pack(">BI", 0xDB, len(one)) + one for one in raw)))


def _rows(flat: Sequence[Any], width: int) -> Iterable[tuple[Any, ...]]:
    members = iter(flat)
    return zip(*[members] * width, strict=True)


def _text(value: bytes) -> str:
    """As text that PostgreSQL keeps too: what is no UTF-8, and a zero byte, as an escape."""
    return value.decode(errors="backslashreplace").replace("\0", "\\x00")


def _plain(value: bytes) -> str:
    """A text of a record. Errors: ValueError for what is no UTF-8, or has a zero byte, which nobody writes."""
    if b"\0" in value:
        raise ValueError("a zero byte")
    return value.decode()


def _coupon(record: bytes | None, uses: bytes | None, hold: bytes | None) -> Coupon | Garbled | None:
    if record is None:
        return None
    try:
        state, seq, claimed, expires = struct.unpack(">c5s6s6s", record[:_COUPON_BYTES])
        number, claimed_ms, expires_ms = (int.from_bytes(part, "big") for part in (seq, claimed, expires))
        use = _Use(None, None, None, None) if uses is None else _use(uses)
        hold_ms = None if hold is None else int(float(hold))
        holder = _plain(record[_COUPON_BYTES:])
        return Coupon(STATES[state.decode()], number, claimed_ms, expires_ms, holder, *use, hold_ms)
    except (struct.error, KeyError, ValueError, OverflowError, msgspec.DecodeError):
        return Garbled(b"|".join(part or b"" for part in (record, uses)).hex())


class _Use(NamedTuple):
    left: int | None
    order: str | None
    until_ms: int | None
    held: int | None


def _use(packed: bytes) -> _Use:
    left, _of, order, _by, until_ms, *held = msgspec.msgpack.decode(packed, type=list[str | int | float | None])
    return _Use(
        int(left or 0),
        _plain(str(order).encode()),
        int(until_ms or 0),
        int(held[0] or 0) if held and held[0] is not None else None,
    )


def _claims(held: bytes | None) -> list[Claim] | Garbled | None:
    if held is None:
        return None
    if not held or len(held) % _HELD_BYTES:
        return Garbled(held.hex())
    found = []
    try:
        for at in range(0, len(held), _HELD_BYTES):
            idem, code = held[at : at + _IDEM_BYTES], bytearray(held[at + _IDEM_BYTES : at + _HELD_BYTES])
            freed = code[0] >= _FREED
            code[0] &= ~_FREED & 0xFF
            found.append(Claim(_plain(bytes(code)), _plain(idem), freed))
    except ValueError:
        return Garbled(held.hex())
    return found
