"""
Pure: one entry → lines of COPY text for coupons and coupon_entries.

Lines are made as text because that is the cheapest thing Python can make: what all grants of an
entry share is formatted once, and one grant costs two f-strings.
"""

from datetime import UTC, datetime

import msgspec

from lua.entries import Adjusted, Attached, Changed, Claimed, Entry, Issued, Published, UnreadableEntry
from lua.keys import Shard

BIGINT_MAX = 2**63 - 1
INTEGER_MAX = 2**31 - 1
TIME_MS_MAX = 253_370_764_800_000  # the year 9999, from where zones run out of dates
TEXT_CHARS_MAX = 512  # an index of PostgreSQL holds at most 2704 bytes a row
NULL = "\\N"


def entry_lines(shard: Shard, entry_id: str, entry: Entry) -> tuple[str, str]:
    """
    The lines of *entry* for coupons (none unless it is a claim) and for coupon_entries.

    Errors: UnreadableEntry when it holds something PostgreSQL can't (a NUL, a number or a time out of range).
    """
    try:
        if not 0 <= entry.version <= INTEGER_MAX:
            raise ValueError(f"version {entry.version} is out of range")
        if isinstance(entry, Claimed):
            return _claimed_lines(shard, entry_id, entry)
        if isinstance(entry, Issued | Changed):
            raise ValueError(f"{type(entry).__name__} is not booked by this version")
        return "", _other_line(shard, entry_id, entry)
    except ValueError as error:
        raise UnreadableEntry(f"rows: {error}", entry.first_seq, entry.count) from None


def _claimed_lines(shard: Shard, entry_id: str, entry: Claimed) -> tuple[str, str]:
    at, expires = timestamp(entry.at_ms), timestamp(entry.expires_ms)
    unit_minor = _bigint(int(entry.unit_minor))
    seq, version, name = entry.first_seq, entry.version, str(shard)
    after_seq = f"\tclaimed\t{at}\t{entry.epoch}\t{version}\t{entry_id}\t"
    tail = f"\t{expires}\t{unit_minor}\t{NULL}\t{NULL}\n"
    place, times = f"\t{shard.campaign}\t{name}\t", f"\t{at}\t{expires}\n"
    asks = entry.asks
    if not _is_plain(asks):
        asks = [_escape(text) for text in asks]
    # The members of a lua.entries.Grant, in its order.
    holders, idems, codes, channels = asks[0::4], asks[1::4], asks[2::4], asks[3::4]
    if max(map(len, holders)) + max(map(len, codes)) > TEXT_CHARS_MAX:
        raise ValueError(f"a code and holder are longer than {TEXT_CHARS_MAX} characters")
    coupons, entries = [], []
    for number, (holder, idem, code, channel) in enumerate(zip(holders, idems, codes, channels, strict=True), seq):
        coupons.append(f"{code}{place}{holder}\tclaimed\t{number}\t{version}\t{channel}{times}")
        entries.append(f"{name}\t{number}{after_seq}{code}\t{holder}\t{idem}\t{channel}{tail}")
    return "".join(coupons), "".join(entries)


def _other_line(shard: Shard, entry_id: str, entry: Adjusted | Published | Attached) -> str:
    delta = NULL
    match entry:
        case Adjusted():
            kind, delta = "adjusted", str(_bigint(entry.delta))
            detail = {"reason": entry.reason, "actor": entry.actor, "key": entry.key}
        case Published():
            kind, detail = "published", {"state": entry.state}
        case Attached():
            kind, detail = "attached", {"server": entry.server}
    if any("\0" in text for text in detail.values()):
        raise ValueError("a text holds a NUL")
    told = _escape(msgspec.json.encode(detail).decode())
    head = f"{shard}\t{entry.first_seq}\t{kind}\t{timestamp(entry.at_ms)}\t{entry.epoch}\t{entry.version}\t{entry_id}"
    return f"{head}\t{NULL}\t{NULL}\t{NULL}\t{NULL}\t{NULL}\t{NULL}\t{delta}\t{told}\n"


def timestamp(ms: int) -> str:
    """Milliseconds since the epoch as a timestamptz literal. Errors: ValueError."""
    if not 0 <= ms <= TIME_MS_MAX:
        raise ValueError(f"{ms} ms is out of range")
    second, rest = divmod(ms, 1000)
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S}.{rest:03d}+00"


def _bigint(number: int) -> int:
    if not -BIGINT_MAX <= number <= BIGINT_MAX:
        raise ValueError(f"{number} is out of range")
    return number


def _is_plain(texts: list[str]) -> bool:
    """Whether none of *texts* holds a character COPY gives a meaning: one scan of all of them."""
    text = "".join(texts)
    return not any(special in text for special in "\\\t\n\r\0")


def _escape(text: str) -> str:
    if "\0" in text:
        raise ValueError("a text holds a NUL")
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
