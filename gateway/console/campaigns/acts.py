"""What was done with a campaign: its versions and what went in or out of its stock, as one story. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from gateway.campaigns.life import Stored
from gateway.campaigns.publish import INITIAL
from gateway.campaigns.register import Adjusted, Past
from gateway.console.actors import who_in_words
from gateway.console.campaigns.differences import differences
from gateway.console.locales import N_, Words
from gateway.console.pages.differing import Change

_STEPS = {
    Stored.SCHEDULED: N_("Started"),
    Stored.PAUSED: N_("Paused"),
    Stored.ENDED: N_("Ended"),
    Stored.ARCHIVED: N_("Archived"),
}


class Act(NamedTuple):
    """One act: *who* in words, *what* it was, the *reason* given if any, and what it changed."""

    at: datetime
    who: str
    what: str
    reason: str
    changes: list[Change]


def acts(past: Sequence[Past], moved: Sequence[Adjusted], words: Words, most: int) -> list[Act]:
    """
    The last *most* acts, the newest first.

    Shape: *past* is newest first; where it does not reach back to version 1 it has one more than is told.
    """
    told = [*_versions(past, words), *(_moved(each, words) for each in moved if each.key != INITIAL)]
    return sorted(told, key=lambda each: each.at, reverse=True)[:most]


def _versions(past: Sequence[Past], words: Words) -> Iterator[Act]:
    for each, before in zip(past, [*past[1:], None], strict=True):
        who = who_in_words(each.changed_by, words)
        if before is None:
            if each.version == 1:
                yield Act(each.changed_at, who, words.say(N_("Draft made")), "", [])
            continue
        what = N_("Made a change")
        if each.state is not before.state:
            resumed = (before.state, each.state) == (Stored.PAUSED, Stored.SCHEDULED)
            what = N_("Resumed") if resumed else _STEPS[each.state]
        changes = differences(before.definition, each.definition, words)
        yield Act(each.changed_at, who, words.say(what), "", changes)


def _moved(each: Adjusted, words: Words) -> Act:
    who, total = who_in_words(each.actor, words), each.steps[-1].total if each.steps else None
    if each.state == "refused" or total is None:
        return Act(each.requested_at, who, words.say(N_("Stock could not be moved")), each.reason, [])
    stock = Change(words.say(N_("Left")), words.number(total - each.delta), words.number(total))
    what = N_("Restocked") if each.delta > 0 else N_("Withdrawn")
    return Act(each.requested_at, who, words.say(what), each.reason, [stock])
