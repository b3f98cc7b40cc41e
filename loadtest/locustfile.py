"""
The sale for Locust: `locust -f loadtest/locustfile.py` from the project's folder, with a `fairclaim up` that runs.

docs/loadtest.md says what it does and what it may be told.
"""

from locust import events

from loadtest.run import arguments, starting
from loadtest.run.ending import install
from loadtest.users.bot import Bot
from loadtest.users.claimer import Claimer
from loadtest.users.finance import Finance
from loadtest.users.marketer import Marketer
from loadtest.users.till import Till
from loadtest.users.wallet import Wallet

__all__ = ["Bot", "Claimer", "Finance", "Marketer", "Till", "Wallet", "arguments", "starting"]

install(events)
