"""
Claimers with the hooks of a run, for tests that want its end to go wrong: FAIRCLAIM_TEST_JUDGE says how.

``forged`` slips an answer into what the verdict is told that nobody ever got; ``endless`` judges until it is killed;
else it is the verdict of the project.
"""

import os
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from locust import events

from loadtest.run import starting
from loadtest.run.concluding import Means
from loadtest.run.ending import install
from loadtest.told import CLAIM, Attempt
from loadtest.users.claimer import Claimer
from loadtest.verdict import Verdict

__all__ = ["Claimer", "starting"]

OURS = Means.of_the_project()


def forged(target: Any, campaigns: Any, attempts: Iterable[Attempt], **more: Any) -> Verdict:
    """The project's verdict, told of one coupon more."""
    return OURS.judge(target, campaigns, forging(attempts), **more)  # type: ignore[no-any-return]


def forging(attempts: Iterable[Attempt]) -> Iterator[Attempt]:
    """*attempts*, the first of which comes again, by another holder and with another coupon."""
    rows = iter(attempts)
    first = next(row for row in rows if row.granted and row.kind == CLAIM)
    return chain([first, first._replace(holder="nobody", key="none", code="FORGED")], rows)


def endless(*_: Any, **_more: Any) -> Verdict:
    """No verdict ever comes."""
    while True:
        print("still judging", flush=True)
        time.sleep(1)


JUDGES = {"forged": forged, "endless": endless}
install(events, OURS._replace(judge=JUDGES.get(os.environ.get("FAIRCLAIM_TEST_JUDGE", ""), OURS.judge)))
