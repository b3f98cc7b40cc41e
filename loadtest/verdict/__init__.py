"""
The verdict after a run: what a crowd was told, the books and the gateway held against each other.

Over HTTP and SQL only, and with nothing of the product: a bug there can't hide itself here. ``crowd.py`` and
``spent.py`` keep what was told; ``waiting.py`` waits for the books; ``walk.py`` reads every state change once, in its
order; ``claims.py``, ``stock.py``, ``tills.py``, ``rows.py`` and ``live.py`` check; ``judging.py`` has it all done.
"""

from loadtest.verdict.found import Check, Verdict
from loadtest.verdict.judging import Expected, judge

__all__ = ["Check", "Expected", "Verdict", "judge"]
