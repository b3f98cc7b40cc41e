"""Redis and the books at one seq."""

import pytest

from lua.door import Door
from tests.conftest import redis_binaries
from tests.integration.draining import Books
from tests.integration.stocktaking import drain_all, live, open_stocked, stocktake

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)


async def test_smoke(door: Door, redis_url: str, postgres_url: str) -> None:
    """Clean."""
    with Books(postgres_url) as books:
        sale = await open_stocked(door, books)
        taken = await stocktake(sale)
        print(taken)
        await live(sale)
        taken = await stocktake(sale)
        print(taken)
        assert taken.is_clean
        await drain_all(sale, redis_url)
        taken = await stocktake(sale)
        print(taken)
        assert taken.is_clean
        assert 0
