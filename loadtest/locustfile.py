"""
The sale for Locust: `locust -f loadtest/locustfile.py` from the project's folder, with a `fairclaim up` that runs.

docs/loadtest.md says what it does and what it may be told.
"""

from loadtest.run import arguments, starting
from loadtest.shapes.sale import Sale
from loadtest.users.arrivals import Arrivals
from loadtest.users.claimer import Claimer

__all__ = ["Arrivals", "Claimer", "Sale", "arguments", "starting"]
