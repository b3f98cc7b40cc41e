"""What a coupon that is out costs in Redis memory, so that nobody makes it dearer without noticing."""

from lua.door import Door
from tests.builders import an_ask, open_shard

COUPONS = 25_600
BYTES_MAX = {"valkey": 160, "redis": 200}
"""Valkey 9 embeds field and value in one allocation, Redis 7.0 does not."""


async def test_a_coupon_that_is_out_costs_no_more_than_its_bound(door: Door) -> None:
    """Two hash fields a coupon: 25,600 coupons of 12-character holders, the stream trimmed, divide used_memory."""
    shard = await open_shard(door, stock=COUPONS)
    server = "valkey" if "valkey_version" in await door.redis.info("server") else "redis"
    before = (await door.redis.info("memory"))["used_memory"]
    for number in range(0, COUPONS, 128):
        await shard.claim(*(an_ask(f"holder-{number + n:05}") for n in range(128)))
    await door.redis.xtrim(shard.shard.key("entries"), maxlen=0, approximate=False)
    bytes_each = ((await door.redis.info("memory"))["used_memory"] - before) / COUPONS
    print(f"{server}: {bytes_each:.0f} bytes a coupon")

    assert 80 < bytes_each <= BYTES_MAX[server]
