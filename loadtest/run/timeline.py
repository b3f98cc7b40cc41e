"""
The run in figures: per second what became of the claims and how long they took, per name how requests fared.

One process adds to it, another may merge it: everything here is counts, so the order and the number of parts don't
matter. Seconds are those of the clock, since the epoch.
"""

from collections import Counter, defaultdict
from typing import Any

from loadtest.run.latencies import Latencies, merged
from loadtest.run.outcomes import OVERLOAD, UNANSWERED, WRONG
from loadtest.told import CLAIM

NO_ANSWERS = frozenset({UNANSWERED, WRONG, *OVERLOAD})
"""Outcomes that settle nothing: who got one has to ask again, so it is no part of goodput."""
UNTIMED_CLAIM = f"{CLAIM} over a slow link"
"""A claim that the generator itself held up: what became of it counts, and how long it took does not."""
_CLAIMS = frozenset({CLAIM, UNTIMED_CLAIM})
FAILURES_MAX, SAYS_MAX = 200, 200
"""How many kinds of failures are told apart, and letters of what each says: a run gone wrong says much."""


class Second:
    """The claims that were answered in one second."""

    __slots__ = ("good", "latencies", "outcomes")

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.latencies = Latencies()
        self.good = 0


class Named:
    """The requests of one name."""

    __slots__ = ("count", "failures", "latencies")

    def __init__(self) -> None:
        self.count = self.failures = 0
        self.latencies = Latencies()


class Timeline:
    """What was asked in the course of a run, and what came of it."""

    def __init__(self) -> None:
        self.seconds: defaultdict[int, Second] = defaultdict(Second)
        self.names: defaultdict[str, Named] = defaultdict(Named)
        self.failures: Counter[tuple[str, str]] = Counter()
        """By name of the request and what was wrong."""

    def add(self, kind: str, outcome: str, response_ms: float, at_s: float, failed: str, name: str = "") -> None:
        """
        Count one request that ended at *at_s*; *failed* says what was wrong, and is empty where nothing was.

        A request that has no answer because the generator itself threw it away (unanswered, and not failed) has no
        latency: what it waited says nothing of the system.
        """
        named = self.names[name or kind]
        named.count += 1
        if failed:
            named.failures += 1
            self._fail(name or kind, failed)
        timed = failed or outcome != UNANSWERED
        if timed:
            named.latencies.add(response_ms)
        if kind in _CLAIMS:
            second = self.seconds[int(at_s)]
            second.outcomes[outcome] += 1
            if timed and kind == CLAIM:
                second.latencies.add(response_ms)
            if not failed and outcome not in NO_ANSWERS:
                second.good += 1

    def _fail(self, name: str, says: str) -> None:
        which = name, says[:SAYS_MAX]
        if which not in self.failures and len(self.failures) >= FAILURES_MAX:
            which = name, "something else"
        self.failures[which] += 1

    def merge(self, other: "Timeline") -> None:
        """Count all that *other* did."""
        for at_s, second in other.seconds.items():
            mine = self.seconds[at_s]
            mine.outcomes.update(second.outcomes)
            mine.latencies.merge(second.latencies)
            mine.good += second.good
        for name, named in other.names.items():
            ours = self.names[name]
            ours.count += named.count
            ours.failures += named.failures
            ours.latencies.merge(named.latencies)
        self.failures.update(other.failures)

    @property
    def count(self) -> int:
        """How many requests there were, of any kind."""
        return sum(named.count for named in self.names.values())

    @property
    def failed(self) -> int:
        """How many of them failed."""
        return sum(named.failures for named in self.names.values())

    @property
    def good(self) -> int:
        """How many claims got an answer that settles them, in time."""
        return sum(second.good for second in self.seconds.values())

    @property
    def outcomes(self) -> Counter[str]:
        """What became of the claims."""
        whole: Counter[str] = Counter()
        for second in self.seconds.values():
            whole.update(second.outcomes)
        return whole

    @property
    def claims(self) -> Latencies:
        """The latencies of all claims."""
        return merged(second.latencies for second in self.seconds.values())

    def to_wire(self) -> dict[str, Any]:
        """Plain values that `of_wire` makes the same of."""
        return {
            "seconds": [
                [at_s, dict(each.outcomes), each.good, each.latencies.to_wire()] for at_s, each in self.seconds.items()
            ],
            "names": [[name, each.count, each.failures, each.latencies.to_wire()] for name, each in self.names.items()],
            "failures": [[*which, count] for which, count in self.failures.items()],
        }

    @classmethod
    def of_wire(cls, wire: dict[str, Any]) -> "Timeline":
        """What `to_wire` made plain."""
        made = cls()
        for at_s, outcomes, good, latencies in wire["seconds"]:
            second = made.seconds[at_s]
            second.outcomes, second.good, second.latencies = Counter(outcomes), good, Latencies.of_wire(latencies)
        for name, count, failures, latencies in wire["names"]:
            named = made.names[name]
            named.count, named.failures, named.latencies = count, failures, Latencies.of_wire(latencies)
        made.failures.update({(name, says): count for name, says, count in wire["failures"]})
        return made
