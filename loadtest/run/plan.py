"""
What a run is about, and one process's part in it: its way into the system, its people, the coupons its tills may have.

starting.py makes the plan and brings it here. Nothing here imports Locust until there is one.
"""

from __future__ import annotations

import itertools
import os
from collections import deque
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import gevent  # type: ignore[import-untyped]
import msgspec
from gevent.event import Event  # type: ignore[import-untyped]

from loadtest.run.arguments import Options
from loadtest.run.identities import TOKEN_S, Holder, Identities
from loadtest.target import Target

if TYPE_CHECKING:
    from locust.env import Environment

MINTED_AT_ONCE = 500
COUPONS_KEPT = 5_000
"""How many coupons wait for a till; the older ones are forgotten by tills, not by anybody else."""


class Plan(msgspec.Struct, frozen=True):
    """
    What a run is about. *started_s* is seconds since the epoch, 0 as long as tokens are minted; *created* whether the
    campaigns were made for it; of those that were there, *stock* and *limit* are the first one's. *parts* is in how
    many parts the people are; *host* where the gateway is, if that is not what the ready file says.
    """

    run: str
    campaigns: tuple[str, ...]
    stock: int
    limit: int
    holders: int
    seed: int
    started_s: float
    shape: str
    created: bool
    parts: int
    users: int
    spawn_rate: float
    run_time_s: float | None
    host: str


class Part:
    """One process of the crowd: the plan as soon as there is one, its people, and the coupons that wait for a till."""

    def __init__(self, given: Options, host: str) -> None:
        self.given, self.host_said, self.host_found = given, host, ""
        self.options = given
        self.plan: Plan | None = None
        self.failed, self.run = "", ""
        self._latest: Plan | None = None
        self.identities: Identities | None = None
        self.target: Target | None = None
        self.host = ""
        self.number = 0
        self.turns = itertools.count(1)
        self.coupons: deque[tuple[str, Holder, str]] = deque(maxlen=COUPONS_KEPT)
        self.settled = Event()

    def find(self) -> Target:
        """How to get in, by what this process was given. Errors: NoTarget."""
        needs = ("admin_key", "jwt") if self.host_said else ("gateway_url", "admin_key", "jwt")
        variables = {**os.environ, **({"FAIRCLAIM_API_KEY": self.given.api_key} if self.given.api_key else {})}
        return Target.find(self.given.ready_file, needs, variables)

    def key(self) -> str:
        """An Idempotency-Key that nobody else has."""
        assert self.plan is not None
        return f"{self.plan.run}-{self.number}-{next(self.turns)}"

    def begin(self) -> None:
        """Forget the run before."""
        self.plan, self._latest, self.failed = None, None, ""
        self.coupons.clear()
        self.settled.clear()

    def settle(self, plan: Plan, target: Target, number: int) -> None:
        """
        Take *plan*, and mint the people of part *number*, once a run; others run meanwhile.

        It comes twice: first with no start, so that everybody mints, then with it.
        """
        self._latest = plan
        if self.run == plan.run:
            if self.identities is not None:
                self._start()
            return
        self.run, self.identities = plan.run, None
        self.target, self.number = target, number
        self.host = self.host_said or plan.host or target.gateway_url
        identities = Identities(target.tokens(TOKEN_S), plan.seed, number, -(-plan.holders // plan.parts))
        for minted in identities.mint():
            if minted % MINTED_AT_ONCE == 0:
                gevent.sleep(0)
        self.identities = identities
        self._start()

    def lead(self, plan: Plan, target: Target) -> None:
        """Take *plan* in a process without people: the master's."""
        self.target, self.host = target, self.host_said or plan.host or target.gateway_url
        self._latest = plan
        self._start()

    def _start(self) -> None:
        """Let the users go, where everybody's people are minted."""
        if self._latest is not None and self._latest.started_s:
            self.plan = self._latest
            self.settled.set()

    def fail(self, says: str) -> None:
        """There will be no run in this process."""
        self.failed = says
        self.settled.set()


parts: WeakKeyDictionary[Environment, Part] = WeakKeyDictionary()
"""By Locust's environment, of which a process has one. starting.py fills it."""


def part_of(environment: Environment) -> Part:
    """
    This process's part, once it is known what the run is about: waits for it.

    Errors: StopUser where there will be no run.
    """
    from locust.exception import StopUser

    part = parts[environment]
    part.settled.wait()
    if part.failed:
        raise StopUser
    return part


def plan_of(environment: Environment) -> Plan:
    """The plan, once there is one: waits for it. Errors: StopUser where there will be no run."""
    plan = part_of(environment).plan
    assert plan is not None
    return plan


def known_plan(environment: Environment) -> Plan | None:
    """The plan, if there is one by now."""
    part = parts.get(environment)
    return part.plan if part is not None else None
