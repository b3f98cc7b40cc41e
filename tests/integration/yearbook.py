"""
Three months of three campaigns in the books, put there as the drain does and without Redis, and what happened in them.

The life is drawn from a seed. Every act is kept beside, so that a test can reckon reports without asking the books.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from lua.entries import LAYOUT, Adjusted, Claimed, Entry, Issued, Step
from lua.keys import Shard
from reconciler.booking import book
from reconciler.dating import NOTHING_CLOSED, ClosedThrough
from reconciler.ledger import Ledger
from reconciler.shard import read_batch
from tests.builders import a_code
from tests.entries import changed, record_of
from tests.integration.draining import Books

FIRST, DAYS = datetime(2026, 9, 1, 9, tzinfo=UTC), 91
QUIET = (date(2026, 10, 1), date(2026, 10, 31))
"""A month in which nothing happens."""

CAMPAIGNS: dict[str, dict[str, Any]] = {
    "tea": {"zone": "Asia/Shanghai", "currency": "CNY", "value": {"type": "amount_off", "minor": 500}, "shards": 2},
    "cup": {"zone": "UTC", "currency": "JPY", "value": {"type": "percent", "basis_points": 1000, "cap_minor": 90}},
    "card": {"zone": "UTC", "currency": "CNY", "value": {"type": "balance", "minor": 1000}},
}
WORTH = {"tea": 500, "cup": 90, "card": 1000}


@dataclass
class Act:
    """One state change: *day* in the campaign's zone; what moved, of what, where."""

    campaign: str
    day: date
    verb: str
    source: str = ""
    destination: str = ""
    units: int = 0
    channel: str = ""
    store: str = ""
    staff: str = ""
    merchant: str = ""
    minor: int = 0
    order_minor: int = 0
    funders: dict[str, int] = field(default_factory=dict)
    ended_minor: int = 0  # what was left on a balance when it ended


@dataclass
class Coupon:
    """A coupon of the life, and its redemption."""

    code: str
    channel: str
    left: int
    state: str = "claimed"
    redeemed: Act | None = None
    back: int = 0
    number: int = 0


class ShardLife:
    """What happens to one shard, as entries and as acts."""

    def __init__(self, name: str, random: Random) -> None:
        self.shard = Shard.parse(name)
        self.campaign, self.random = str(self.shard.campaign), random
        self.zone = ZoneInfo(CAMPAIGNS[self.campaign]["zone"])
        self.worth, self.stored = WORTH[self.campaign], self.campaign == "card"
        self.entries: list[Entry] = []
        self.acts: list[Act] = []
        self.coupons: list[Coupon] = []
        self.seq, self.now = 0, FIRST

    def act(self, verb: str, **told: Any) -> Act:
        """Keep what happens now."""
        act = Act(self.campaign, self.now.astimezone(self.zone).date(), verb, **told)
        self.acts.append(act)
        return act

    def head(self) -> tuple[int, int, int, int, int]:
        """The members that every entry begins with."""
        self.seq += 1
        return LAYOUT, 1, 1, round(self.now.timestamp() * 1000), self.seq

    def adjust(self, delta: int) -> None:
        """Stock in or out."""
        self.entries.append(Adjusted(*self.head(), delta, "plan", "ann", f"k{self.seq}"))
        way = ("supply", "stock") if delta > 0 else ("stock", "supply")
        self.act("restock" if delta > 0 else "withdraw", source=way[0], destination=way[1], units=abs(delta))

    def claim(self) -> None:
        """One claim; of cup sometimes a code on paper."""
        head, channel = self.head(), self.random.choice(["app", "web", ""])
        code, until = a_code(f"{self.shard} {self.seq}"), head[3] + 30 * 86_400_000
        if self.campaign == "cup" and self.random.random() < 0.3:
            channel = ""
            self.entries.append(Issued(*head, until, str(self.worth), "cb_1", 1, [code]))
            self.act("issue", source="stock", destination="outstanding", units=1)
        else:
            grant = [f"holder-{self.seq}", f"idem-{self.seq}", code, channel]
            self.entries.append(Claimed(*head, until, str(self.worth), grant))
            self.act("claim", source="stock", destination="outstanding", units=1, channel=channel)
        self.coupons.append(Coupon(code, channel, self.worth if self.stored else 1))

    def step(self, coupon: Coupon, kind: str, way: tuple[str, str], detail: dict[str, Any], **told: Any) -> Act:
        """One step of *coupon*, which has its new state already."""
        units, ref = (1 if way[0] else 0), told.pop("ref", "")
        act = self.act(told.pop("verb"), source=way[0], destination=way[1], units=units, channel=coupon.channel, **told)
        wait_ms = {"reserved": 600_000, "rolled_back": 30 * 86_400_000 if self.campaign == "cup" else 0}.get(kind, 0)
        until = str(round(self.now.timestamp() * 1000) + wait_ms) if wait_ms else ""
        step = Step(
            kind, coupon.code, "ann", ref, str(act.minor) if act.minor else "", coupon.state, *way, str(units),
            str(coupon.left), until, msgspec.json.encode(detail).decode(),
        )  # fmt: skip
        self.entries.append(changed(self.head()[4], step, at_ms=round(self.now.timestamp() * 1000)))
        return act

    def reserve(self, coupon: Coupon) -> None:
        """A hold."""
        coupon.state = "reserved"
        self.step(coupon, "reserved", ("outstanding", "reserved"), {}, verb="reserve", ref="o-1")

    def redeem(self, coupon: Coupon) -> None:
        """All of a discount, or a part of a balance."""
        live = "reserved" if coupon.state == "reserved" else "outstanding"
        minor = self.random.randint(1, coupon.left if self.stored else self.worth)
        coupon.left -= minor if self.stored else 1
        part = ("reserved", "outstanding") if live == "reserved" else ("", "")
        coupon.state, way = ("redeemed", (live, "redeemed")) if coupon.left == 0 else ("claimed", part)
        coupon.number += 1
        merchant, store = self.random.choice([("m-1", "s-1"), ("m-1", "s-2"), ("m-2", "s-3")])
        platform = 0 if self.stored else (minor * 7 + 9) // 10
        funders = {name: part for name, part in (("platform", platform), ("brand", minor - platform)) if part}
        order, staff = self.random.randint(1000, 9000), self.random.choice(["e-1", "e-2"])
        detail = {
            "order": {"id": f"o-{coupon.code}-{coupon.number}", "total_minor": order}, "merchant": merchant,
            "currency": CAMPAIGNS[self.campaign]["currency"], "store": store, "staff": staff, "channel": "pos",
            "funders": [] if self.stored else [{"account": name, "minor": part} for name, part in funders.items()],
        }  # fmt: skip
        coupon.redeemed = self.step(
            coupon, "redeemed", way, detail, verb="redeem", ref=f"R-{coupon.code}-{coupon.number}", minor=minor,
            order_minor=order, merchant=merchant, store=store, staff=staff, funders={} if self.stored else funders,
        )  # fmt: skip
        coupon.back = 0

    def roll_back(self, coupon: Coupon) -> None:
        """The rest of the last redemption, or one unit of it where it was of a discount of some size."""
        was = coupon.redeemed
        assert was is not None
        rest = was.minor - coupon.back
        minor = rest if self.random.random() < 0.5 or rest < 10 else rest // 2
        coupon.back += minor
        whole, way = coupon.back == was.minor, ("", "")
        if self.stored:
            if coupon.left == 0:
                way = ("redeemed", "outstanding")
            coupon.left, coupon.state = coupon.left + minor, "claimed"
        elif whole:
            coupon.left, coupon.state, way = 1, "claimed", ("redeemed", "outstanding")
        platform = min(minor, was.funders.get("platform", 0))
        funders = {} if self.stored else {"platform": platform, "brand": minor - platform}
        told = [{"account": name, "minor": part} for name, part in funders.items() if part]
        detail = {
            "merchant": was.merchant, "currency": CAMPAIGNS[self.campaign]["currency"], "funders": told,
            "reason": "back",
        }  # fmt: skip
        self.step(
            coupon, "rolled_back", way, detail, verb="rollback", ref=f"R-{coupon.code}-{coupon.number}", minor=minor,
            merchant=was.merchant, store=was.store, staff=was.staff, funders=funders,
        )  # fmt: skip
        if whole:
            coupon.redeemed = None

    def end(self, coupon: Coupon, kind: str) -> None:
        """An expiry, which puts a unit of tea back in stock; or a revocation."""
        live = "reserved" if coupon.state == "reserved" else "outstanding"
        coupon.state = kind
        to = "stock" if (kind, self.campaign) == ("expired", "tea") else kind
        verb = "expire" if kind == "expired" else "revoke"
        self.step(coupon, kind, (live, to), {}, verb=verb, ended_minor=coupon.left if self.stored else 0)

    def live(self) -> None:
        """All of it."""
        self.adjust(200)
        for number in range(DAYS * 4):
            self.now = FIRST + timedelta(hours=6 * number, minutes=self.random.randint(0, 300))
            if QUIET[0] - timedelta(days=2) <= self.now.date() <= QUIET[1] + timedelta(days=1):
                continue
            if number % 100 == 50:
                self.adjust(-self.random.randint(1, 9))
            self.one()

    def one(self) -> None:
        """One thing that may happen now."""
        redeemed = [
            each for each in self.coupons if each.redeemed is not None and each.state in ("redeemed", "claimed")
        ]
        out = [each for each in self.coupons if each.state in ("claimed", "reserved")]
        fresh = [each for each in out if each.state == "claimed" and (self.stored or each.redeemed is None)]
        draw = self.random.random()
        if draw < 0.4 or not out:
            self.claim()
        elif draw < 0.5 and fresh:
            self.reserve(self.random.choice(fresh))
        elif draw < 0.75:
            self.redeem(self.random.choice(out))
        elif draw < 0.85 and redeemed:
            self.roll_back(self.random.choice(redeemed))
        else:
            self.end(self.random.choice(out), self.random.choice(["expired", "revoked"]))


class Yearbook:
    """The books, and every act that is in them."""

    def __init__(self, books: Books, acts: list[Act]) -> None:
        self.books, self.acts = books, acts


def lives(seed: int = 5) -> list[ShardLife]:
    """Live *seed*: each shard of every campaign."""
    names = [f"{campaign}/{number}" for campaign, told in CAMPAIGNS.items() for number in range(told.get("shards", 1))]
    found = [ShardLife(name, Random(f"{seed} {name}")) for name in names]
    for life in found:
        life.live()
    return found


async def write(books: Books) -> Yearbook:
    """Live, and book it all."""
    open_campaigns(books)
    lived = lives()
    for life in lived:
        await book_entries(books, life.shard, life.entries)
    return Yearbook(books, [act for life in lived for act in life.acts])


def open_campaigns(books: Books) -> None:
    """Every campaign, as the gateway writes it when it is published."""
    for campaign, told in CAMPAIGNS.items():
        definition = {"name": campaign.title(), "timezone": told["zone"], **told}
        open_campaign(books, campaign, definition, told.get("shards", 1))


def open_campaign(books: Books, campaign: str, definition: dict[str, Any], shards: int = 1) -> None:
    """One campaign of *shards* without anything in them."""
    text = msgspec.json.encode(definition).decode()
    books.rows("INSERT INTO campaigns (id, version, state, definition) VALUES (%s, 1, 'scheduled', %s)", campaign, text)
    books.rows(
        "INSERT INTO campaign_versions (campaign, version, state, definition, changed_by) "
        "VALUES (%s, 1, 'scheduled', %s, 'test')", campaign, text
    )  # fmt: skip
    for number in range(shards):
        books.rows("INSERT INTO checkpoints (shard, campaign) VALUES (%s, %s)", f"{campaign}/{number}", campaign)


async def book_entries(
    books: Books, shard: Shard, entries: Sequence[Entry], closed_through: ClosedThrough = NOTHING_CLOSED
) -> None:
    """Book what follows on what is booked of *shard*, as the drain does."""
    ledger = Ledger(books.url, postgres_ms_max=30_000, connect_ms_max=30_000)
    [before] = [each.position for each in (await ledger.checkpoints([str(shard)])).values()]
    terms = await ledger.terms(shard.campaign, [1])
    for first in range(0, len(entries), 40):
        batch = read_batch(before, map(record_of, entries[first : first + 40]), unranged=False)
        assert batch.break_ is None
        booking = book(shard, batch, terms.__getitem__, closed_through)
        assert not booking.quarantined
        before = await ledger.commit(shard, before, batch, booking)
    await ledger.close()
