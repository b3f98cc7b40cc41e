"""
What a run may be told on the command line, in the environment and in Locust's web page: one table, and the values.

Each argument is also the variable FAIRCLAIM_LOADTEST_<NAME>. docs/loadtest.md has them all, compared by a test. Nothing
here imports Locust, whose import changes the standard library of whoever does it.
"""

import argparse
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from loadtest.shapes import SHAPES

PREFIX = "FAIRCLAIM_LOADTEST_"


class Rule(NamedTuple):
    """What values an argument may have: in words, and whether one is such a value."""

    says: str
    holds: Callable[[Any], bool]


def _from(least: int, most: int) -> Rule:
    return Rule(f"from {least:,} to {most:,}", lambda value: least <= value <= most)


ANY = Rule("anything", lambda value: True)
SHARE = Rule("a share from 0 to 1", lambda value: 0 <= value <= 1)
SECONDS = Rule("seconds, 0 or more", lambda value: 0 <= value < math.inf)
CAMPAIGN = Rule(
    "1 to 63 of a-z, 0-9 and hyphen, not a hyphen first",
    lambda value: value == "" or re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", value) is not None,
)


_SHAPE = Rule(f"one of {', '.join(SHAPES)}", lambda value: value in SHAPES)


class Argument(NamedTuple):
    """One of them. Its type is that of its *default*; where *shown* is not set the web page does not have it."""

    name: str
    default: str | int | float
    rule: Rule
    says: str
    shown: bool = True

    @property
    def dest(self) -> str:
        """The field of Options, and the attribute of what Locust parsed."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """The variable of the environment."""
        return PREFIX + self.dest.upper()

    def value(self, given: Any) -> Any:
        """*given* as it is meant. Errors: ValueError naming the argument and what is allowed."""
        try:
            value = type(self.default)(given)
        except ValueError:
            value = None
        if value is None or not self.rule.holds(value):
            raise ValueError(f"--{self.name} has to be {self.rule.says}, not {str(given)!r}")
        return value


ARGUMENTS = (
    Argument(
        "ready-file", "", ANY, "what `fairclaim up` wrote; else FAIRCLAIM_READY_FILE or .fairclaim/ready.json", False
    ),
    Argument("api-key", "", ANY, "key of an admin; else FAIRCLAIM_API_KEY, the ready file's", False),
    Argument("campaign", "", CAMPAIGN, "the sale: one that is open, or the id of one to make; else made from the run"),
    Argument("holders", 20_000, _from(1, 10_000_000), "people, each with a token minted before the first claim"),
    Argument("stock", 5_000, _from(1, 100_000_000), "coupons of a campaign that is made for the run"),
    Argument("limit", 1, _from(1, 100), "coupons of it that one person may have"),
    Argument("retry-rate", 0.1, SHARE, "share of claims asked again with the same key though they were answered"),
    Argument("shape", "steady", _SHAPE, "course of the run; steady: Locust's own users, spawn rate and run time"),
    Argument("restock", 0, _from(0, 10_000_000), "coupons the marketer adds when it is sold out; 0: none"),
    Argument("restocks", 1, _from(0, 1_000), "how many times the marketer does that"),
    Argument("pause-after", 0.0, SECONDS, "seconds into the run when the marketer pauses the sale; 0: never"),
    Argument("pause-for", 2.0, SECONDS, "seconds until a paused sale goes on"),
    Argument("drop-replies", 0.0, SHARE, "share of requests whose connection breaks before the answer"),
    Argument("slow-links", 0.0, SHARE, "share of requests that trickle out in pieces"),
    Argument("reconnects", 0.0, SHARE, "share of requests that are made on a fresh connection"),
    Argument("duplicate-sends", 0.0, SHARE, "share of requests that are sent twice at once, with one key"),
    Argument(
        "patience",
        5.0,
        Rule("seconds, more than 0, at most 60", lambda value: 0 < value <= 60),
        "seconds until a phone gives up on an answer and asks again with the same key",
    ),
    Argument("slow-ms", 2_000, _from(1, 60_000), "milliseconds; an answer slower than this is a failure"),
    Argument(
        "arrivals",
        0.0,
        Rule("claims a second, from 0 to 1,000,000", lambda value: 0 <= value <= 1_000_000),
        "claims a second of an open loop, sent when they are due whatever is answered; 0: users wait for answers",
    ),
    Argument("seed", 1, _from(0, 2**31), "the same seed, the same people and dice"),
    Argument("fail-on", "", ANY, "gates, such as p99<=250,errors<=0.001,goodput>=500; the verdict is always one"),
    Argument("results", "", ANY, "folder of the report and its files; else results/<run>"),
)


@dataclass(frozen=True)
class Options:
    """What a run was told, as Options.of read it: the arguments of this page, and Locust's own size of the run."""

    ready_file: str
    api_key: str
    campaign: str
    holders: int
    stock: int
    limit: int
    retry_rate: float
    shape: str
    restock: int
    restocks: int
    pause_after: float
    pause_for: float
    drop_replies: float
    slow_links: float
    reconnects: float
    duplicate_sends: float
    patience: float
    slow_ms: int
    arrivals: float
    seed: int
    fail_on: str
    results: str
    users: int = 1
    spawn_rate: float = 1.0
    run_time_s: float | None = None

    @classmethod
    def of(cls, parsed: Any) -> "Options":
        """From what Locust parsed, or its web page changed since. Errors: ValueError naming the argument."""
        given = {argument.dest: argument.value(getattr(parsed, argument.dest)) for argument in ARGUMENTS}
        return cls(
            **given,
            users=getattr(parsed, "num_users", None) or 1,
            spawn_rate=getattr(parsed, "spawn_rate", None) or 1.0,
            run_time_s=getattr(parsed, "run_time", None) or None,
        )


def _checked(argument: Argument) -> Callable[[str], Any]:
    def check(text: str) -> Any:
        try:
            return argument.value(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error).partition(" ")[2]) from error

    return check


def add_arguments(parser: argparse.ArgumentParser, **_more: Any) -> None:
    """Tell Locust of them."""
    group = parser.add_argument_group("Fairclaim", "What the sale is, and what goes wrong in it.")
    for argument in ARGUMENTS:
        chosen = argument.rule is _SHAPE
        # Locust's parser knows variables of the environment, which argparse's own types do not.
        more: dict[str, Any] = {"env_var": argument.variable}
        more |= {"choices": list(SHAPES)} if chosen else {"type": _checked(argument)}
        more |= {} if chosen else {"metavar": f"<{type(argument.default).__name__}>"}
        action = group.add_argument(f"--{argument.name}", default=argument.default, help=argument.says, **more)
        # What a group adds knows nothing of the web page: the parser's own add_argument would have set these.
        vars(action).update(include_in_web_ui=argument.shown, is_secret=False, is_required=False, is_multiple=False)
