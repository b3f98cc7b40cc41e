"""
Key names of a shard, and how a holder and an idempotency key map onto it.

A shard is one slice of a campaign: one hash tag, so one cluster slot, so one script sees it all.
Nothing outside this package spells a key name.
"""

from binascii import b2a_base64
from hashlib import blake2b
from typing import NamedTuple, NewType
from zlib import crc32

CampaignId = NewType("CampaignId", str)
HolderId = NewType("HolderId", str)
CouponCode = NewType("CouponCode", str)

PARTS: dict[str, str] = {
    "rules": "hash: the campaign's compiled rules, epoch, and the run id of the Redis it may serve on",
    "counters": "hash: seq; units claimed, reserved, redeemed, expired, revoked, returned; budget_used (minor units); "
    "day:<start_ms> (claims of that day)",
    "stock": "string: coupons left, an integer >= 0; absent means not ready",
    "holders": "hash: holder -> packed claims, 30 bytes each (12 idempotency hash, 18 code)",
    "coupons": "hash: code -> packed state, seq, claimed_ms, expires_ms, holder",
    "holds": "zset: reserved code -> deadline, milliseconds",
    "uses": "hash: code -> msgpack of what is left of it and its hold; only where it is more than claimed",
    "redemptions": "hash: redemption id -> msgpack of the redemption and its rollbacks",
    "acts": "hash: 16 bytes of hash of an idempotency scope -> the redemption made under it",
    "batches": "hash: code batch -> msgpack of the next chunk and of how many of its codes are here",
    "adjustments": "hash: idempotency key of a stock adjustment -> delta, seq, stock after",
    "entries": "stream: the shard's log, trimmed only behind what Postgres has committed",
}
"""Every key part, its type and what it holds. All live as long as the campaign is not archived."""

FAILURES_PREFIX = "fc:failures"
"""What begins the keys of the limiter that counts failures on codes (gateway/limiter.py); each lives two windows."""
PROBING_KEY = "fc:probing"
"""string: there while all workers together see too many failures on codes (gateway/probing.py)."""

WORKS_PREFIX = "fc:work:"
"""What begins the keys of what the console does for somebody (gateway/console/books/work.py); each lives an hour."""

SHARDS_MAX = 32
"""Shards a campaign may have: a code names its shard in one base32 character."""

CLAIM_BATCH_MAX = 128
"""Claims one call may carry: more gains little and blocks Redis longer."""

ISSUE_CHUNK_MAX = 1000
"""Codes one call of issue may carry: Lua unpacks a few thousand values at most, two a code."""


class Shard(NamedTuple):
    """One slice of a campaign; written ``<campaign>/<n>`` in Postgres and inside the hash tag."""

    campaign: CampaignId
    number: int

    def __str__(self) -> str:
        return f"{self.campaign}/{self.number}"

    def key(self, part: str) -> str:
        """The full key of *part*. Errors: KeyError for a part that is not in PARTS."""
        assert part in PARTS, f"{part!r} is not a part of a shard"
        return f"fc:{{{self.campaign}/{self.number}}}:{part}"

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read ``<campaign>/<n>``. Errors: ValueError when it is not of that shape."""
        campaign, slash, number = text.rpartition("/")
        if not slash or not campaign or not number.isdigit():
            raise ValueError(f"not a shard: {text!r}; expected <campaign>/<number>")
        return cls(CampaignId(campaign), int(number))


def shard_of(campaign: CampaignId, holder: HolderId, shards: int) -> Shard:
    """The shard that owns *holder*: CRC-32 of the holder, stable over versions and machines."""
    if shards == 1:
        return Shard(campaign, 0)
    return Shard(campaign, crc32(holder.encode()) % shards)


def key_hash(key: str) -> str:
    """
    The 8 characters of an Idempotency-Key that are kept with a claim.

    48 bits are compared only among the claims of one holder of one shard, at most a few hundred, so a chance
    collision is below 1e-9.
    """
    return b2a_base64(blake2b(key.encode(), digest_size=6).digest(), newline=False).decode()


def payload_hash(payload: bytes) -> str:
    """The 4 characters that follow key_hash: 24 bits tell a changed payload from the same one."""
    return b2a_base64(blake2b(payload, digest_size=3).digest(), newline=False).decode()
