"""The crowd: one claim each, impatient, asking again with the same key on a bad network, sometimes for no reason."""

from locust import constant, tag, task

from loadtest.run.asking import Ask
from loadtest.run.identities import Holder
from loadtest.run.outcomes import CLAIMED, OVERLOAD, REPLAYED, UNANSWERED, WRONG, Outcome
from loadtest.users.person import Person


class Claiming(Person):
    """How somebody claims and what he makes of the answers. Not a user by itself."""

    abstract = True

    def claim_for(self, holder: Holder, campaign: str, due_s: float | None = None) -> Outcome:
        """
        *holder* claims, until he knows. *due_s*: when he should have begun, by time.perf_counter().

        Asked again with the same key, he has to be told of the same coupon; who has none can't have reached the limit.
        """
        ask = self.asker.claim(campaign, holder.name, holder.authorization, self.part.key())
        outcome = self.asker.until_answered(ask, due_s)
        self._heard(ask, holder, outcome)
        if outcome.name not in OVERLOAD and outcome.name != UNANSWERED and self.dice.random() < self.options.retry_rate:
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
        elif outcome.name == UNANSWERED or outcome.name in OVERLOAD:
            holder.uncertain = True
        elif outcome.name == "limit_reached" and self.plan.created and not holder.uncertain:
            below = len(holder.told.get(ask.campaign, ())) < self.plan.limit
            if below:
                self.asker.accuse(ask, "limit_reached for somebody below it")


class Claimer(Claiming):
    """Each claim is another person's, who is done with it: as many people a second as there are answers."""

    weight = 30
    wait_time = constant(0)

    @tag("claim")
    @task
    def claim(self) -> None:
        """One person's claim."""
        assert self.part.identities is not None
        self.claim_for(self.part.identities.next(), self.campaign)
