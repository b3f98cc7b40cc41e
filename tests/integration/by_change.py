"""
Books that hold several state changes in each journal, and what each change moved, written down by hand.

Nothing of the program works out the latter: `moved` has a line a move, as docs/accounting.md would have it.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from lua.entries import LAYOUT, Adjusted, Claimed, Entry, Issued
from lua.keys import Shard
from reconciler.booking import book
from reconciler.dating import ClosedThrough
from reconciler.ledger import Ledger
from reconciler.postings import Journal, Posting
from reconciler.quarantine import replay
from reconciler.shard import Position, Record, read_batch
from tests.entries import a_step, changed, record_of
from tests.integration import booked
from tests.integration.bookkeeping import close_through
from tests.integration.draining import Books
from tests.integration.test_quarantine_life import mend

START = datetime(2026, 11, 22, 15, 59, 50, tzinfo=UTC)
"""Ten seconds before midnight in Shanghai, where the campaign `c` is."""

LAST_CLOSED = date(2026, 11, 25)
"""What the second half comes too late for."""


Move = tuple[str, str, str, int]
"""Source, destination, commodity, amount."""


class Done(NamedTuple):
    """A state change *at* an instant, booked on a *day*; *posted* is in the order of posting."""

    at: datetime
    shard: str
    entity: str
    day: date
    posted: float
    moved: list[Move]

    @property
    def campaign(self) -> str:
        """Of which campaign it is; empty for nobody's."""
        return "" if self.shard.startswith("manual:") else self.shard.partition("/")[0]


def after(seconds: float) -> datetime:
    """That long after START."""
    return START + timedelta(seconds=seconds)


def ms(at: datetime) -> int:
    """An instant in milliseconds."""
    return round(at.timestamp() * 1000)


def _moves(campaign: str, text: str) -> list[Move]:
    """The moves of lines of `source > destination amount [currency]`, where @ is the campaign."""
    found = []
    for line in text.split(";"):
        source, _, destination, amount, *currency = line.replace("@", campaign).split()
        [commodity] = currency or [f"coupon:{campaign}"]
        found.append((source, destination, commodity, int(amount)))
    return found


def _shares(platform: int, brand: int, currency: str = "CNY", **more: Any) -> dict[str, Any]:
    funders = [{"account": "platform", "minor": platform}, {"account": "brand", "minor": brand}]
    return {"merchant": "m-1", "currency": currency, "funders": [each for each in funders if each["minor"]], **more}


Told = tuple[float, str, dict[str, Any], str]
"""Seconds after START, a kind, what it is made of, and what it moves."""

OUT = "commitment:@ > budget:available 500 CNY"
IN = "budget:available > commitment:@ 500 CNY"

DISCOUNTS: list[list[Told]] = [
    [
        (0, "stock", {"delta": 10}, "supply > stock 10; budget:authorised > budget:available 5000 CNY"),
        (1.7, "claim", {"codes": ["C1"]}, f"stock > outstanding 1; {IN}"),
        (3.1, "claim", {"codes": ["C2", "C3"]}, f"stock > outstanding 2; {IN}; {IN}"),
        (4, "issue", {"codes": ["K"], "units": 3},
         "stock > outstanding 3; budget:available > commitment:@ 1500 CNY"),
        (5.5, "redeemed", {"code": "C1", "minor": "450", "detail": _shares(315, 135)},
         f"outstanding > redeemed 1; {OUT}; payable:m-1 > expense:promotion:platform 315 CNY;"
         "payable:m-1 > expense:promotion:brand 135 CNY"),
        # The clock was set back: what follows was before it.
        (5.1, "reserved", {"code": "C2"}, "outstanding > reserved 1"),
        (5.2, "redeemed",
         {"code": "C2", "source": "reserved", "detail": {"funders": [{"account": "platform", "minor": 300}]}},
         f"reserved > redeemed 1; {OUT}; payable > expense:promotion:platform 300 CNY;"
         "payable > suspense:promotion:@ 200 CNY"),
        (7, "claim", {"codes": ["C4"]}, f"stock > outstanding 1; {IN}"),
        # From here on it is another day in Shanghai.
        (10.5, "rolled_back", {"code": "C1", "minor": "100", "units": "0", "source": "", "destination": "",
                               "state": "redeemed", "detail": _shares(70, 30)},
         "expense:promotion:platform > payable:m-1 70 CNY; expense:promotion:brand > payable:m-1 30 CNY"),
        (12, "claim", {"codes": ["C5"]}, f"stock > outstanding 1; {IN}"),
        (13, "redeemed", {"code": "C3", "minor": "77", "detail": _shares(0, 77, "EUR")},
         f"outstanding > redeemed 1; {OUT}; payable:m-1 > expense:promotion:brand 77 EUR"),
        (14, "claim", {"codes": ["C6"]}, f"stock > outstanding 1; {IN}"),
        (15, "rolled_back", {"code": "C1", "minor": "350", "detail": _shares(245, 105)},
         f"redeemed > outstanding 1; {IN}; expense:promotion:platform > payable:m-1 245 CNY;"
         "expense:promotion:brand > payable:m-1 105 CNY"),
    ],
    [
        # A batch of its own: quarantined is what lies at 18, and comes out of it at last.
        (16, "expired", {"code": "C1"}, f"outstanding > expired 1; {OUT}"),
        (18, "expired", {"code": "C4"}, f"outstanding > expired 1; {OUT}"),
        (19, "expired", {"code": "C5", "destination": "stock"}, f"outstanding > stock 1; {OUT}"),
        (21, "revoked", {"code": "K", "units": "3"},
         "outstanding > revoked 3; commitment:@ > budget:available 1500 CNY"),
        (23, "stock", {"delta": -2}, "stock > supply 2; budget:available > budget:authorised 1000 CNY"),
        (24, "expired", {"code": "C6"}, f"outstanding > expired 1; {OUT}"),
    ],
]  # fmt: skip

LATE: list[Told] = [
    # Of two days of Shanghai, both of them closed: two journals a verb, on one date.
    (86_380, "claim", {"codes": ["L1"]}, f"stock > outstanding 1; {IN}"),
    (86_395, "claim", {"codes": ["L2"]}, f"stock > outstanding 1; {IN}"),
    (86_425, "claim", {"codes": ["L3"]}, f"stock > outstanding 1; {IN}"),
    (86_440, "claim", {"codes": ["L4"]}, f"stock > outstanding 1; {IN}"),
]

GIFT = {"merchant": "m-2", "currency": "CNY"}
STILL = {"units": "0", "source": "", "destination": ""}

GIFTS: list[Told] = [
    (0.3, "stock", {"delta": 5}, "supply > stock 5"),
    (2, "claim", {"codes": ["G1"]}, "stock > outstanding 1; liability:gift:@ > clearing:gift:@ 1000 CNY"),
    (3.5, "redeemed", {"code": "G1", "minor": "300", "left": "700", "state": "claimed", "detail": GIFT, **STILL},
     "payable:m-2 > liability:gift:@ 300 CNY"),
    (6, "claim", {"codes": ["G2"]}, "stock > outstanding 1; liability:gift:@ > clearing:gift:@ 1000 CNY"),
    (9, "rolled_back", {"code": "G1", "minor": "100", "left": "800", "state": "claimed", "detail": GIFT, **STILL},
     "liability:gift:@ > payable:m-2 100 CNY"),
    (11, "redeemed", {"code": "G1", "minor": "50", "left": "750", "state": "claimed", "detail": GIFT, **STILL,
                      "ref": "R-G1b"}, "payable:m-2 > liability:gift:@ 50 CNY"),
    (12.5, "expired", {"code": "G1", "left": "750"},
     "outstanding > expired 1; income:breakage:@ > liability:gift:@ 750 CNY"),
    (14.5, "rolled_back", {"code": "G1", "minor": "50", "left": "0", "state": "expired", "detail": GIFT, **STILL,
                           "ref": "R-G1b"},
     "liability:gift:@ > payable:m-2 50 CNY; income:breakage:@ > liability:gift:@ 50 CNY"),
    (17, "rolled_back", {"code": "G1", "minor": "200", "left": "1000", "state": "claimed", "source": "expired",
                         "destination": "outstanding", "detail": GIFT},
     "expired > outstanding 1; liability:gift:@ > payable:m-2 200 CNY; liability:gift:@ > income:breakage:@ 800 CNY"),
    (20, "expired", {"code": "G2", "left": "1000", "destination": "stock"},
     "outstanding > stock 1; clearing:gift:@ > liability:gift:@ 1000 CNY"),
    (22, "revoked", {"code": "G1", "left": "1000"},
     "outstanding > revoked 1; income:breakage:@ > liability:gift:@ 1000 CNY"),
]  # fmt: skip


def _entry(told: Told, seq: int) -> Entry:
    seconds, kind, made, _ = told
    at_ms = ms(after(seconds))
    match kind:
        case "stock":
            return Adjusted(LAYOUT, 1, 1, at_ms, seq, made["delta"], "r", "a", str(seq))
        case "claim":
            asks = [part for code in made["codes"] for part in (f"h-{code}", f"I-{code}", code, "app")]
            return Claimed(LAYOUT, 1, 1, at_ms, seq, at_ms + 86_400_000, "500", asks)
        case "issue":
            return Issued(LAYOUT, 1, 1, at_ms, seq, at_ms + 86_400_000, "500", "b-1", made["units"], made["codes"])
    step = dict(made)
    return changed(seq, a_step(kind, step.pop("code"), **step), at_ms=at_ms)


class Scribe:
    """Writes batches of one shard into the books as the drain does, and keeps what each change of them did."""

    def __init__(self, books: Books, shard: str, entity: str, hours_ahead: int) -> None:
        self.books, self.shard, self.entity, self.hours_ahead = books, Shard.parse(shard), entity, hours_ahead
        self.at = Position(1, 0, "0-0", b"")
        self.ledger = Ledger(books.url, postgres_ms_max=30_000, connect_ms_max=30_000)
        self.done: list[Done] = []

    async def put(
        self, batch: Iterable[Told], number: int, closed: ClosedThrough | None = None, lost: float | None = None
    ) -> None:
        """A batch, the *number*th of all; what lies *lost* seconds after START can't be read, and is replayed."""
        records: list[Record] = []
        bodies: dict[int, bytes] = {}
        seq = self.at.seq
        for told in batch:
            entry = _entry(told, seq + 1)
            entry_id, flat = record_of(entry)
            if told[0] == lost:
                bodies[seq + 1] = flat[-1]
                flat = [*flat[:-1], b"\xc1"]
            records.append((entry_id, flat))
            self._remember(told, number + 0.5 if told[0] == lost else number, closed or {})
            seq += entry.count
        read = read_batch(self.at, records, unranged=False)
        terms = await self.ledger.terms(self.shard.campaign, [1])
        booking = book(self.shard, read, terms.__getitem__, closed or {})
        self.at = await self.ledger.commit(self.shard, self.at, read, booking)
        for first_seq, body in bodies.items():
            mend(self.books, first_seq, body)
            assert replay(self.books.url).remaining == 0
            name = str(self.shard)
            self.at = (await self.ledger.checkpoints([name]))[name].position

    def _remember(self, told: Told, number: float, closed: ClosedThrough) -> None:
        at = after(told[0])
        day, last = (at + timedelta(hours=self.hours_ahead)).date(), closed.get(self.entity)
        day = day if last is None or day > last else last + timedelta(days=1)
        self.done.append(Done(at, str(self.shard), self.entity, day, number, _moves(self.shard.campaign, told[3])))


async def write(books: Books) -> list[Done]:
    """Two campaigns of two legal entities, batch by batch, and what people booked; every change, in no order."""
    books.rows("INSERT INTO legal_entities (id) VALUES ('other')")
    books.add_campaign("c", timezone="Asia/Shanghai")
    books.add_campaign("g", value={"type": "balance", "minor": 1000})
    books.rows("ALTER TABLE campaign_versions DISABLE TRIGGER USER")
    other = json.dumps({"legal_entity": "other"})
    books.rows("UPDATE campaign_versions SET definition = definition || %s::jsonb WHERE campaign = 'g'", other)
    discounts, gifts = Scribe(books, "c/0", "main", 8), Scribe(books, "g/0", "other", 0)
    await discounts.put(DISCOUNTS[0], 1)
    await gifts.put(GIFTS, 2)
    await discounts.put(DISCOUNTS[1], 3, lost=18)
    close_through(books.url, str(LAST_CLOSED))
    await discounts.put(LATE, 4, {"main": LAST_CLOSED})
    for each in (discounts, gifts):
        await each.ledger.close()
    return [*discounts.done, *gifts.done, *_by_hand(books)]


def _by_hand(books: Books) -> Iterator[Done]:
    """Journals that people made: dated before and after the day on which they were approved."""
    for number, (seconds, day, about, move) in enumerate(
        [
            (5.3, date(2026, 11, 2), None, ("payable:m-1", "clearing:bank", "CNY", 40)),
            (5.4, date(2026, 12, 3), "c/0", ("budget:authorised", "budget:available", "CNY", 60)),
        ],
        start=1,
    ):
        at, chain = after(seconds), f"manual:{'other' if about is None else 'main'}"
        made = Journal(chain, "manual", 1, 1, ms(at), day, (Posting(*move),), chain[7:], about=about, ref="mj_1")
        booked.book(books, [(made, datetime.now(UTC))])
        yield Done(at, about or chain, chain[7:], day, 4 + number, [move])


Balances = dict[tuple[str, str], tuple[int, int]]
"""Account and commodity → debit and credit."""


def reckoned(done: Iterable[Done]) -> Balances:
    """What changes come to, change by change."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for change in done:
        for source, destination, commodity, amount in change.moved:
            for account, debit, credit in ((destination, amount, 0), (source, 0, amount)):
                earlier = found.get((account, commodity), (0, 0))
                found[account, commodity] = earlier[0] + debit, earlier[1] + credit
    return found


def prove_journals(books: Books) -> set[tuple[str, int]]:
    """Each journal of a shard is the sum of the postings of its changes; which of these there are, as shard and seq."""
    right: dict[int, Counter[tuple[str, ...]]] = {}
    ranges: dict[tuple[Any, ...], list[tuple[int, int, int]]] = {}
    keys = "shard, verb, entity, effective_date, original_date"
    for number, first, last, *key in books.rows(
        f"SELECT id, first_seq, last_seq, {keys} FROM journals WHERE shard NOT LIKE 'manual:%'"
    ):
        right[number] = Counter()
        ranges.setdefault(tuple(key), []).append((last - first, first, number))
    for number, amount, *way in books.rows(
        "SELECT journal, amount, source, destination, commodity FROM postings JOIN journals ON id = journal "
        "WHERE shard NOT LIKE 'manual:%'"
    ):
        right[number][tuple(way)] = amount
    found: dict[int, Counter[tuple[str, ...]]] = {number: Counter() for number in right}
    changes = set()
    for seq, amount, source, destination, commodity, *key in books.rows(
        f"SELECT seq, amount, source, destination, commodity, {keys} FROM v_change_postings"
    ):
        # The narrowest is its own: a late record was booked inside the range of another journal.
        _, _, number = min(each for each in ranges[tuple(key)] if 0 <= seq - each[1] <= each[0])
        found[number][source, destination, commodity] += amount
        changes.add((key[0], seq))
    assert right
    assert found == right
    return changes
