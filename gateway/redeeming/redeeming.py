"""What a worker does with coupons after their claim, put together."""

from typing import Any

from psycopg_pool import AsyncConnectionPool

from gateway.catalog import Catalog
from gateway.guessing import Guessing
from gateway.issuing.resolve import Resolver
from gateway.redeeming.calls import Calls
from gateway.redeeming.coupons import Coupons
from gateway.redeeming.quotes import Quotes
from gateway.redeeming.redemptions import Redemptions
from gateway.redeeming.reservations import Reservations
from gateway.redeeming.rollbacks import Rollbacks
from gateway.redeeming.stacks import Stacks


class Redeeming:
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
