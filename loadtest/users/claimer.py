"""The crowd: one claim each, impatient, asking again with the same key on a bad network, sometimes for no reason."""

import gevent  # type: ignore[import-untyped]
from locust import constant, tag, task

from loadtest.users.person import Claiming

WAITS = ("campaign_paused", "not_started")
"""What the next one who looks over his shoulder takes a moment to believe."""


class Claimer(Claiming):
    """Each claim is another person's, who is done with it: as many people a second as there are answers."""

    weight = 30
    wait_time = constant(0)

    @tag("claim")
    @task
    def claim(self) -> None:
        """One person's claim."""
        assert self.part.identities is not None
        outcome = self.claim_for(self.part.identities.next(), self.campaign)
        if outcome.name in WAITS:
            gevent.sleep(self.dice.uniform(0.2, 1.0))
