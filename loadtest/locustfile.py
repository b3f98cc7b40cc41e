"""
The sale for Locust: `locust -f loadtest/locustfile.py` from the project's folder, with a `fairclaim up` that runs.

docs/loadtest.md says what it does and what it may be told.
"""

from locust import events

from loadtest.run import arguments, ending, starting
from loadtest.shapes.sale import Sale
from loadtest.users.arrivals import Arrivals
from loadtest.users.bot import Bot
from loadtest.users.claimer import Claimer
from loadtest.users.finance import Finance
from loadtest.users.marketer import Marketer
from loadtest.users.till import Till
from loadtest.users.wallet import Wallet

ending.install(events)

__all__ = [
    "Arrivals",
    "Bot",
    "Claimer",
    "Finance",
    "Marketer",
    "Sale",
    "Till",
    "Wallet",
    "arguments",
    "ending",
    "starting",
]
