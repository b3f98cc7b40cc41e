"""Who did something, as people read it: the name alone, without what tells people from keys in the log. Pure."""

import re

from gateway.console.isolating import isolated
from gateway.console.locales import N_, Words

_BY_TWO = re.compile(r"(.+), approved by (.+) \(pr_[0-9a-f]+\)")


def who_in_words(actor: str, words: Words) -> str:
    """Whoever did it; of what took two people, both."""
    both = _BY_TWO.fullmatch(actor)
    if both is None:
        return isolated(actor.removeprefix("user:"))
    maker, checker = (each.removeprefix("user:") for each in both.groups())
    return words.say(N_("%(maker)s, approved by %(checker)s"), maker=maker, checker=checker)
