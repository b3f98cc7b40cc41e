"""How much of a run is asked for."""

from collections.abc import Callable
from typing import NamedTuple


class Plan(NamedTuple):
    """Sizes of a run; *judged* is whether its figures are good enough to hold them against the targets."""

    claims: int = 30_000
    rounds: int = 7
    connections: int = 128
    open_loop_s: int = 8
    overload_step_s: int = 3
    judged: bool = True
    quick: bool = False

    @property
    def warm_claims(self) -> int:
        """Claims before the first round, which nobody counts."""
        return min(self.claims, 2000)


FULL = Plan()
QUICK = Plan(claims=10_000, rounds=3, open_loop_s=4, overload_step_s=2, quick=True)


Say = Callable[[str], None]
"""Takes a line about how far a run is."""
