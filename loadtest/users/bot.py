"""Who wants them all: one person, many tries, each with a key of its own."""

from locust import between, tag, task

from loadtest.users.person import Claiming


class Bot(Claiming):
    """Tries on and on, and has to be told limit_reached once he has as many as one person may."""

    weight = 3
    wait_time = between(0.02, 0.2)

    def on_start(self) -> None:
        """Be somebody, for as long as he runs."""
        super().on_start()
        assert self.part.identities is not None
        self.holder = self.part.identities.another("bot")

    @tag("bot")
    @task
    def grab(self) -> None:
        """One more try."""
        self.claim_for(self.holder, self.campaign)
