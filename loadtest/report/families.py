"""Pure: outcomes that mean the same to whoever looks at a chart. A family has one colour, and its place in the pile."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from loadtest.report.figures import known


class Family(NamedTuple):
    """Outcomes of one kind; *colour* is one of the page's."""

    colour: str
    name: str
    says: str


FAMILIES = {
    family.colour: family
    for family in (
        Family("claimed", "claimed", "a coupon was granted"),
        Family("replayed", "replayed", "the same key again: the same coupon"),
        Family("sold-out", "sold out", "nothing was left"),
        Family("limit", "over the limit", "the holder has as many as one may"),
        Family("refused", "refused otherwise", "paused, not started, ended, not eligible"),
        Family("overload", "overload", "too busy: come back; nothing about the stock"),
        Family("unanswered", "unanswered", "whoever asked heard nothing"),
        Family("wrong", "wrong", "an answer that must not be"),
    )
}
"""From the bottom of the pile to its top."""

_COLOUR_OF = {
    "claimed": "claimed",
    "replayed": "replayed",
    "sold_out": "sold-out",
    "limit_reached": "limit",
    "period_limit": "limit",
    "overload": "overload",
    "overloaded": "overload",
    "rate_limited": "overload",
    "not_ready": "overload",
    "unknown": "overload",
    "unanswered": "unanswered",
    "dropped": "unanswered",
    "wrong": "wrong",
    "slow": "wrong",
    "internal": "wrong",
}


def family_of(outcome: str) -> Family:
    """That of an outcome; one that nobody knows is a refusal."""
    return FAMILIES[_COLOUR_OF.get(outcome, "refused")]


def piled(outcomes: Mapping[str, Sequence[int | None]], length: int) -> list[tuple[Family, str, list[int]]]:
    """
    The families that occur, from bottom to top, each with the outcomes in it and their sum second by second.

    A second without a number has none. The name of a family with one outcome is that of the outcome.
    """
    found = []
    for family in FAMILIES.values():
        members = [name for name, values in outcomes.items() if family_of(name) == family and any(known(values))]
        if members:
            sums = [0] * length
            for name in members:
                for at, value in enumerate(outcomes[name][:length]):
                    sums[at] += value or 0
            found.append((family, members[0] if len(members) == 1 else family.name, sums))
    return found
