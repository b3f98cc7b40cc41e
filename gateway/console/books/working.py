"""A work of the background (work.py) as a page tells it: how far it is, since when, for whom, and what went wrong."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from gateway.console.books.work import Work
from gateway.console.locales import N_, Words
from gateway.finance.in_words import CHECK_WORDS

STEP_WORDS = {
    "turn": N_("Another verdict is being judged. This one waits for its turn."),
    "checks": N_("The period is looked at."),
    "signing": N_("Everything holds. The report is made."),
    **CHECK_WORDS,
}
"""What a work is at → in words."""

_TROUBLES = {
    "campaign_not_found": N_("There are no books of such a campaign."),
    "overloaded": N_("Others kept the books busy for too long, or it takes too long. Try again in a minute."),
    "stopped": N_("The gateway was stopped meanwhile. Ask again."),
    "lost": N_("The process that was at it is gone. Ask again."),
    "invalid_state": N_("Somebody has closed it meanwhile, or opened it again."),
}
_FAILED = N_("A server is away, or the work failed. The gateway’s log says more. Ask again.")


class Told(NamedTuple):
    """
    A work in words.

    *state* is that of the work. *began* and *took* are since when, and for how long in seconds. *step* says what is
    being done, the *done*th of *of* such, 0 where nobody knows. *trouble* says why it came to nothing.
    """

    state: str
    who: str
    began: datetime
    took: str
    step: str
    done: int
    of: int
    trouble: str

    @property
    def is_running(self) -> bool:
        """Whether somebody is at it."""
        return self.state == "running"


def told(work: Work, words: Words, troubles: Mapping[str, str] | None = None) -> Told:
    """*work* in words; *troubles* are further words, by the code of what went wrong."""
    took_s = work.took_s if work.state in ("done", "failed") else time.time() - work.began_s
    code = "lost" if work.state == "lost" else work.trouble
    trouble = {**_TROUBLES, **(troubles or {})}.get(code, _FAILED)
    return Told(
        work.state,
        work.who,
        datetime.fromtimestamp(work.began_s, UTC),
        words.number(round(took_s, 1)),
        words.say(STEP_WORDS[work.step]) if work.step in STEP_WORDS else "",
        work.done,
        work.of,
        words.say(trouble) if work.state in ("failed", "lost") else "",
    )
