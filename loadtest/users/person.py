"""What all users of a sale have in common: they wait until it is known what it is, and ask over one connection."""

import random
from typing import Any

from locust.contrib.fasthttp import FastHttpUser

from loadtest.run.asking import Ask, Asker
from loadtest.run.faults import weather_of
from loadtest.run.identities import Holder
from loadtest.run.outcomes import CLAIMED, OVERLOAD, REPLAYED, UNANSWERED, WRONG, Outcome
from loadtest.run.plan import part_of, plan_of

STAFF_PATIENCE_S = 30.0
"""How long people who work here wait for an answer: nobody who works with reports gives up after a phone's patience."""


class Person(FastHttpUser):
    """Somebody with a part, a plan, dice of his own and an asker. Not a user by itself."""

    abstract = True
    patience_s: float | None = None

    def on_start(self) -> None:
        """Wait for the plan."""
        environment: Any = self.environment
        self.part, self.plan = part_of(environment), plan_of(environment)
        self.options = self.part.options
        seed = f"{self.plan.seed} {self.part.number} {next(self.part.turns)}"
        self.dice = random.Random(seed)  # noqa: S311 - reproducible, not secret
        weather = weather_of(self.part, self.plan)
        self.asker = Asker(environment, self.part, weather, self.dice, self.patience_s)

    def on_stop(self) -> None:
        """Hang up."""
        if hasattr(self, "asker"):
            self.asker.close()

    @property
    def campaign(self) -> str:
        """The campaign he is after this time."""
        campaigns = self.plan.campaigns
        return campaigns[0] if len(campaigns) == 1 else self.dice.choice(campaigns)

    @property
    def staff(self) -> str:
        """The header of who works here."""
        assert self.part.target is not None
        return f"Bearer {self.part.target.admin_key}"


class Claiming(Person):
    """Somebody who claims. Not a user by itself, and without tasks, which those below would inherit."""

    abstract = True

    def claim_for(
        self, holder: Holder, campaign: str, due_s: float | None = None, retry_rate: float | None = None
    ) -> Outcome:
        """
        *holder* claims, until he knows. *due_s*: when he should have begun, by time.perf_counter().

        With *retry_rate*, else that of the run, he asks again with the same key though he had an answer, and has to be
        told of the same coupon; who has none can't have reached the limit; nobody has more than that.
        """
        holder.asking += 1
        try:
            return self._claimed(holder, campaign, due_s, self.options.retry_rate if retry_rate is None else retry_rate)
        except BaseException:
            # Stopped while he waits: what he asked for may be done all the same.
            holder.uncertain = True
            raise
        finally:
            holder.asking -= 1

    def _claimed(self, holder: Holder, campaign: str, due_s: float | None, retry_rate: float) -> Outcome:
        ask = self.asker.claim(campaign, holder.name, holder.authorization, self.part.key())
        outcome = self.asker.until_answered(ask, due_s)
        self._heard(ask, holder, outcome)
        if outcome.name not in OVERLOAD and outcome.name != UNANSWERED and self.dice.random() < retry_rate:
            again = self.asker.until_answered(ask)
            if not outcome.code:
                self._heard(ask, holder, again)
            elif again.name in (CLAIMED, REPLAYED):
                if (again.name, again.code) != (REPLAYED, outcome.code):
                    self.asker.accuse(ask, "another coupon for the same key")
            elif again.name not in (*OVERLOAD, UNANSWERED, WRONG):
                self.asker.accuse(ask, f"{again.name} for a key that has a coupon")
        return outcome

    def _heard(self, ask: Ask, holder: Holder, outcome: Outcome) -> None:
        """Keep what he knows now, and hand a new coupon on to the tills."""
        if outcome.name in (CLAIMED, REPLAYED):
            holder.has(ask.campaign, outcome.code)
            self.part.coupons.append((ask.campaign, holder, outcome.code))
            if self.plan.created and len(holder.told[ask.campaign]) > self.plan.limit:
                self.asker.accuse(ask, "more coupons than the limit")
        elif outcome.name == UNANSWERED or outcome.name in OVERLOAD:
            holder.uncertain = True
        elif outcome.name == "limit_reached" and self.plan.created and not holder.uncertain and holder.asking == 1:
            below = len(holder.told.get(ask.campaign, ())) < self.plan.limit
            if below:
                self.asker.accuse(ask, "limit_reached for somebody below it")
