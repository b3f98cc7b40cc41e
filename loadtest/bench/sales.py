"""A campaign to claim from, opened where each contender looks for it."""

import time
from typing import Any, Protocol

import redis

from loadtest.rush import create_campaign
from loadtest.target import Target


class Sales(Protocol):
    """Where a contender keeps its campaigns."""

    def open(self, campaign: str, stock: int) -> None:
        """Open *campaign* with *stock* and one coupon a holder."""

    def left(self, campaign: str) -> int:
        """How much stock is left, by Redis."""

    def entries(self, campaign: str) -> int:
        """How many entries are on its stream."""

    def close(self, campaign: str) -> None:
        """Forget what can be forgotten of *campaign*."""


class OurSales:
    """Campaigns of the gateway: created by HTTP, looked at in Redis; the books need them, so they stay."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._redis: Any = redis.Redis.from_url(target.redis_url)

    def open(self, campaign: str, stock: int) -> None:
        """Create and publish it."""
        create_campaign(self._target, campaign, stock, per_holder=1, shards=1)

    def left(self, campaign: str) -> int:
        """Its stock key."""
        return int(self._redis.get(f"fc:{{{campaign}/0}}:stock"))

    def entries(self, campaign: str) -> int:
        """The length of its stream."""
        return int(self._redis.xlen(f"fc:{{{campaign}/0}}:entries"))

    def close(self, campaign: str) -> None:
        """Nothing."""


class RivalSales:
    """Campaigns of the contenders that are not ours: the keys of contenders/claim.lua."""

    def __init__(self, target: Target) -> None:
        self._redis: Any = redis.Redis.from_url(target.redis_url)

    def open(self, campaign: str, stock: int) -> None:
        """Write its rules and its stock."""
        now_ms = round(time.time() * 1000)
        rules = {
            "state": "active",
            "starts_ms": now_ms - 60_000,
            "ends_ms": now_ms + 3_600_000,
            "per_holder": 1,
            "validity_ms": 7 * 86_400_000,
        }
        self._redis.hset(f"bench:{{{campaign}}}:rules", mapping=rules)
        self._redis.set(f"bench:{{{campaign}}}:stock", stock)

    def left(self, campaign: str) -> int:
        """Its stock key."""
        return int(self._redis.get(f"bench:{{{campaign}}}:stock"))

    def entries(self, campaign: str) -> int:
        """The length of its stream."""
        return int(self._redis.xlen(f"bench:{{{campaign}}}:entries"))

    def close(self, campaign: str) -> None:
        """Free its keys."""
        self._redis.unlink(
            *(f"bench:{{{campaign}}}:{part}" for part in ("rules", "stock", "holders", "coupons", "entries"))
        )
