"""
The sale for Locust: `locust -f loadtest/locustfile.py` from the project's folder, with a `fairclaim up` that runs.

docs/loadtest.md says what it does and what it may be told.
"""

from loadtest.run import arguments, starting
from loadtest.users.claimer import Claimer

__all__ = ["Claimer", "arguments", "starting"]
