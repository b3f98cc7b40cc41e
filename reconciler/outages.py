"""What is away at the moment: one log line when it goes, one when it is back, and how long to wait before a try."""

import logging
import random
from dataclasses import dataclass, field
from time import monotonic

log = logging.getLogger("fairclaim.reconciler")

RETRY_MS_MIN = 50


@dataclass
class Outage:
    """One thing that may be away. *name* is what the log calls it."""

    name: str
    retry_ms_max: int
    since: float | None = field(default=None, init=False)
    tries: int = field(default=0, init=False)

    def failed(self, why: str) -> float:
        """Note a failed try and return the seconds to wait before the next: doubling, capped, with jitter."""
        if self.since is None:
            self.since = monotonic()
            log.error("%s is away: %s", self.name, why, extra={"away": self.name})
        # The exponent is bounded because it grows for as long as the outage lasts.
        pause_ms = min(self.retry_ms_max, RETRY_MS_MIN * (1 << min(self.tries, 20)))
        self.tries += 1
        return random.uniform(0.5, 1.0) * pause_ms / 1000  # noqa: S311 - jitter, not a secret

    def answered(self) -> None:
        """Note a success."""
        if self.since is not None:
            away_s = round(monotonic() - self.since, 1)
            log.info("%s is back after %s s", self.name, away_s, extra={"away_s": away_s, "tries": self.tries})
        self.since, self.tries = None, 0
