"""
Pure: one entry → lines of COPY text for the tables of the books.

Lines are made as text because that is the cheapest thing Python can make: what all grants of an
entry share is formatted once, and one grant costs two f-strings. What a coupon does after its claim
is in step_rows.py.
"""

from collections import Counter
from datetime import date

from lua.entries import Adjusted, Attached, Changed, Claimed, Entry, Issued, Published, UnreadableEntry
from lua.keys import Shard
from reconciler.accounts import LIVE
from reconciler.copying import (
    INTEGER_MAX,
    NULL,
    PLACE_CHARS_MAX,
    TEXT_CHARS_MAX,
    bigint,
    escape,
    is_plain,
    json_text,
    timestamp,
)
from reconciler.money import Terms
from reconciler.movements import Figures, Movements, Place, worth_minor
from reconciler.postings import VERBS, moves_of
from reconciler.step_rows import add_steps
from reconciler.tables import Rows


def rows_of(shard: Shard, entry_id: str, entry: Entry, terms: Terms, on: date) -> Rows:
    """
    The rows of *entry*, whose version of the rules has *terms*, booked *on* a date.

    Errors: UnreadableEntry when it holds something PostgreSQL can't (a NUL, a number or a time out of range), or a
    step that is none.
    """
    rows = Rows()
    try:
        if not 0 <= entry.version <= INTEGER_MAX:
            raise ValueError(f"version {entry.version} is out of range")
        match entry:
            case Claimed():
                _add_claimed(rows, shard, entry_id, entry, terms, on)
            case Issued():
                _add_issued(rows, shard, entry_id, entry, terms, on)
            case Changed():
                add_steps(rows, shard, entry_id, entry, terms, on)
            case _:
                rows.lines["copy_coupon_entries"].append(_other_line(shard, entry_id, entry, on))
                if isinstance(entry, Adjusted) and entry.delta:
                    verb = "restock" if entry.delta > 0 else "withdraw"
                    _put(rows.movements, terms, on, verb, Figures(1, abs(entry.delta)))
        if not isinstance(entry, Changed):
            rows.moves = moves_of(shard.campaign, entry, terms)
    except ValueError as error:
        raise UnreadableEntry(f"rows: {error}", entry.first_seq, entry.count) from None
    return rows


def _put(movements: Movements, terms: Terms, on: date, verb: str, figures: Figures, channel: str = "") -> None:
    """Add *figures* of a *verb* that says where the units go, at what they are worth."""
    currency = terms.currency or ""
    source, destination = VERBS[verb]
    place = Place(on, verb, source, destination, channel, "", currency, terms.entity)
    worth = worth_minor(terms, currency, figures.units)
    out = worth if destination in LIVE else 0
    movements.put(place, figures._replace(worth_minor=worth, out_minor=out))


def _add_claimed(rows: Rows, shard: Shard, entry_id: str, entry: Claimed, terms: Terms, on: date) -> None:
    at, expires = timestamp(entry.at_ms), timestamp(entry.expires_ms)
    unit_minor = bigint(int(entry.unit_minor))
    seq, version, name = entry.first_seq, entry.version, str(shard)
    after_seq = f"\tclaimed\t{at}\t{entry.epoch}\t{version}\t{entry_id}\t"
    tail = f"\t{expires}\t{unit_minor}\t{NULL}\t{NULL}\t{on}\n"
    place, times = f"\t{shard.campaign}\t{name}\t", f"\t{at}\t{expires}\t"
    asks = entry.asks
    if not is_plain(asks):
        asks = [escape(text) for text in asks]
    # The members of a lua.entries.Grant, in its order.
    holders, idems, codes, channels = asks[0::4], asks[1::4], asks[2::4], asks[3::4]
    if not asks or max(map(len, holders)) + max(map(len, codes)) > TEXT_CHARS_MAX:
        raise ValueError(f"no grant, or a code and holder longer than {TEXT_CHARS_MAX} characters")
    for channel, count in Counter(entry.asks[3::4]).items():
        if len(channel) > PLACE_CHARS_MAX:
            raise ValueError(f"a channel longer than {PLACE_CHARS_MAX} characters")
        _put(rows.movements, terms, on, "claim", Figures(count, count), channel)
    coupons, entries = [], []
    for number, (holder, idem, code, channel) in enumerate(zip(holders, idems, codes, channels, strict=True), seq):
        coupons.append(f"{code}{place}{holder}\tclaimed\t{number}\t{version}\t{channel}{times}{number}\n")
        entries.append(f"{name}\t{number}{after_seq}{code}\t{holder}\t{idem}\t{channel}{tail}")
    rows.lines["copy_coupons"], rows.lines["copy_coupon_entries"] = coupons, entries


def _add_issued(rows: Rows, shard: Shard, entry_id: str, entry: Issued, terms: Terms, on: date) -> None:
    at, expires = timestamp(entry.at_ms), timestamp(entry.expires_ms)
    unit_minor = bigint(int(entry.unit_minor))
    if not 1 <= entry.units <= INTEGER_MAX:
        raise ValueError(f"{entry.units} units are out of range")
    if not entry.batch or max(map(len, entry.codes)) + len(entry.batch) > TEXT_CHARS_MAX:
        raise ValueError(f"no batch, or a code and batch longer than {TEXT_CHARS_MAX} characters")
    batch, units, version, name = escape(entry.batch), entry.units, entry.version, str(shard)
    place = f"\t{shard.campaign}\t{name}\t\tclaimed\t"
    after_seq = f"\tissued\t{at}\t{entry.epoch}\t{version}\t{entry_id}\t"
    tail = f"\t\t{expires}\t{unit_minor}\t{batch}\t{units}\t{on}\n"
    codes = entry.codes if is_plain(entry.codes) else [escape(code) for code in entry.codes]
    coupons, entries = [], []
    for number, code in enumerate(codes, entry.first_seq):
        coupons.append(f"{code}{place}{number}\t{version}\t\t{at}\t{expires}\t{number}\t{batch}\t{units}\n")
        entries.append(f"{name}\t{number}{after_seq}{code}{tail}")
    rows.lines["copy_issued_coupons"], rows.lines["copy_issued_entries"] = coupons, entries
    _put(rows.movements, terms, on, "issue", Figures(entry.count, entry.count * units))


def _other_line(shard: Shard, entry_id: str, entry: Adjusted | Published | Attached, on: date) -> str:
    delta = NULL
    match entry:
        case Adjusted():
            kind, delta = "adjusted", str(bigint(entry.delta))
            detail = {"reason": entry.reason, "actor": entry.actor, "key": entry.key}
        case Published():
            kind, detail = "published", {"state": entry.state}
        case Attached():
            kind, detail = "attached", {"server": entry.server}
    told = json_text(detail)
    head = f"{shard}\t{entry.first_seq}\t{kind}\t{timestamp(entry.at_ms)}\t{entry.epoch}\t{entry.version}\t{entry_id}"
    return f"{head}\t{NULL}\t{NULL}\t{NULL}\t{NULL}\t{NULL}\t{NULL}\t{delta}\t{told}\t{on}\n"
