"""What all users of a sale have in common: they wait until it is known what it is, and ask over one connection."""

import random
from typing import Any

from locust.contrib.fasthttp import FastHttpUser

from loadtest.run.asking import Asker
from loadtest.run.faults import Weather
from loadtest.run.plan import part_of, plan_of


class Person(FastHttpUser):
    """Somebody with a part, a plan, dice of his own and an asker. Not a user by itself."""

    abstract = True

    def on_start(self) -> None:
        """Wait for the plan."""
        environment: Any = self.environment
        self.part, self.plan = part_of(environment), plan_of(environment)
        self.options = self.part.options
        seed = f"{self.plan.seed} {self.part.number} {next(self.part.turns)}"
        self.dice = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self.asker = Asker(environment, self.part, Weather(self.options, self.plan), self.dice)

    def on_stop(self) -> None:
        """Hang up."""
        if hasattr(self, "asker"):
            self.asker.close()

    @property
    def campaign(self) -> str:
        """The campaign he is after this time."""
        campaigns = self.plan.campaigns
        return campaigns[0] if len(campaigns) == 1 else self.dice.choice(campaigns)
