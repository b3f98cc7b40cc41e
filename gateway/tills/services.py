"""What a worker does with coupons after their claim, put together."""

from typing import Any

from psycopg_pool import AsyncConnectionPool

from gateway.catalog import Catalog
from gateway.guessing import Guessing
from gateway.issuing.resolve import Resolver
from gateway.tills.calls import Calls
from gateway.tills.coupons import Coupons
from gateway.tills.quotes import Quotes
from gateway.tills.redemptions import Redemptions
from gateway.tills.reservations import Reservations
from gateway.tills.rollbacks import Rollbacks
from gateway.tills.stacks import Stacks


class Tills:
    """One worker's services."""

    def __init__(
        self, calls: Calls, resolver: Resolver, guessing: Guessing, catalog: Catalog, pool: AsyncConnectionPool[Any]
    ) -> None:
        self.coupons = Coupons(calls, resolver, guessing)
        self.quotes = Quotes(self.coupons)
        self.reservations = Reservations(self.coupons)
        self.redemptions = Redemptions(self.coupons, catalog)
        self.rollbacks = Rollbacks(self.redemptions, pool)
        self.stacks = Stacks(pool, self.redemptions, self.rollbacks)
