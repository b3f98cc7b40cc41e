"""The campaigns of what is made: definitions, versions, stock adjustments, code batches; written once, at the start."""

import json
from datetime import timedelta
from hashlib import sha256
from typing import Any

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from loadtest.bulk.plan import ACTOR, VALIDITY_DAYS, WINDOW_DAYS, Campaign, Size, campaigns_of, definition_of

Books = psycopg.Connection[tuple[Any, ...]]


class Refused(Exception):
    """The books are not those that can be made, or gone on with; the text says why."""


def begin(books: Books, size: Size) -> None:
    """
    Write down what is made, and its campaigns; nothing where it was begun before.

    Errors: Refused where the books are others; psycopg.Error.
    """
    asked = msgspec.to_builtins(size)
    strangers = books.execute("SELECT count(*) FROM campaigns WHERE id !~ '^bulk-[0-9]{4,}$'").fetchone()
    if strangers != (0,):
        raise Refused("this database has campaigns of its own; give it an empty one")
    earlier = books.execute("SELECT detail FROM audit_log WHERE action = 'bulk.make'").fetchall()
    if earlier:
        if earlier[0][0] != asked:
            raise Refused(f"this database was begun as {json.dumps(earlier[0][0])}; go on with that")
        return
    books.execute(
        "INSERT INTO audit_log (actor, action, subject, detail) VALUES (%s, 'bulk.make', 'bulk', %s)",
        [ACTOR, Jsonb(asked)],
    )
    for campaign in campaigns_of(size):
        _add_campaign(books, campaign, size)


def _add_campaign(books: Books, campaign: Campaign, size: Size) -> None:
    told = Jsonb(definition_of(campaign, size))
    books.execute("INSERT INTO legal_entities (id, zone) VALUES (%s, 'UTC') ON CONFLICT DO NOTHING", [campaign.entity])
    books.execute(
        "INSERT INTO campaigns (id, version, state, definition, created_at, updated_at)"
        " VALUES (%s, 2, 'scheduled', %s, %s, %s)",
        [campaign.id, told, campaign.starts - timedelta(days=2), campaign.starts - timedelta(days=1)],
    )
    for version, state in ((1, "draft"), (2, "scheduled")):
        books.execute(
            "INSERT INTO campaign_versions (campaign, version, state, definition, changed_by, changed_at)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [campaign.id, version, state, told, ACTOR, campaign.starts - timedelta(days=3 - version)],
        )
    _add_stock(books, campaign, size)
    if campaign.issued:
        parts = [{"next": coupons, "issued": coupons} for coupons in campaign.per_shard(size.shards)]
        ends = campaign.starts + timedelta(days=VALIDITY_DAYS + WINDOW_DAYS)
        books.execute(
            "INSERT INTO code_batches (id, campaign, key, asked, kind, count, units, expires_at, actor, state, parts,"
            " done, requested_at, started_at, finished_at)"
            " VALUES (%s, %s, 'bulk', %s, 'single', %s, 1, %s, %s, 'done', %s, %s, %s, %s, %s)",
            [campaign.batch, campaign.id, sha256(campaign.id.encode()).digest(), campaign.coupons, ends, ACTOR,
             Jsonb(parts), campaign.coupons, *[campaign.starts] * 3],
        )  # fmt: skip


def _add_stock(books: Books, campaign: Campaign, size: Size) -> None:
    """Its stock adjustments, as sql/entries.sql has them shard by shard."""
    shards = campaign.per_shard(size.shards)
    for key, days, deltas in (
        ("initial", -1, shards),
        ("more", 1, [coupons // 5 + 1 for coupons in shards]),
        ("less", 5, [-(coupons // 10 + 1) for coupons in shards]),
    ):
        steps = [{"shard": number, "delta": delta, "state": "done"} for number, delta in enumerate(deltas)]
        books.execute(
            "INSERT INTO stock_adjustments (campaign, key, delta, reason, actor, steps, state, requested_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, 'done', %s)",
            [campaign.id, key, sum(deltas), key, ACTOR, Jsonb(steps), campaign.starts + timedelta(days=days)],
        )
