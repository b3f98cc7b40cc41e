"""What goes to the batcher and what comes back: an ask, and what became of it."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import msgspec

from gateway.queue import Undecided
from lua.keys import HolderId
from lua.outcomes import Outcome

ScriptReply = int | list[int | str]
"""What claim.lua says of one ask; its header has the shapes."""


class Rush(msgspec.Struct, array_like=True, frozen=True):
    """What claim.lua says of the whole call; times in milliseconds by Redis TIME. See its header."""

    now_ms: int
    version: int
    stock: int
    starts_ms: int
    ends_ms: int
    day_ends_ms: int
    expires_ms: int
    value: str
    currency: str
    replies: list[ScriptReply]


class Ask(ABC):
    """
    One claim on its way: *idem* is key_hash and payload_hash of lua.keys, *channel* is '' where none was named.

    Whoever asks extends it to hear what became of it: exactly one of the two methods is called, once, from the loop.
    An object a claim and no closure, because there is one a claim.
    """

    __slots__ = ("channel", "code_tries", "deadline", "holder", "idem")

    def __init__(self, holder: HolderId, idem: str, channel: str) -> None:
        self.holder, self.idem, self.channel = holder, idem, channel
        self.deadline, self.code_tries = 0.0, 0

    @abstractmethod
    def decided(self, rush: Rush, reply: ScriptReply, code: str) -> None:
        """The script's *reply*; *code* is the coupon's where it was claimed."""

    @abstractmethod
    def undecided(self, why: Undecided) -> None:
        """No answer; perhaps before submit() returns."""


class Decided(NamedTuple):
    """
    A reply of the script, read.

    Shape: CLAIMED and REPLAYED carry *code*, *seq*, *claimed_ms*, *expires_ms*; LIMIT_REACHED carries *held*.
    """

    outcome: Outcome
    code: str = ""
    seq: int = 0
    claimed_ms: int = 0
    expires_ms: int = 0
    held: tuple[str, ...] = ()


def read_reply(rush: Rush, reply: ScriptReply, code: str) -> Decided:
    """*reply* in words. Errors: ValueError for an outcome that is not known."""
    if isinstance(reply, int):
        if reply > 0:
            return Decided(Outcome.CLAIMED, code, reply, rush.now_ms, rush.expires_ms)
        return Decided(Outcome(reply))
    if reply[0] == Outcome.REPLAYED:
        return Decided(Outcome.REPLAYED, str(reply[1]), int(reply[2]), int(reply[3]), int(reply[4]))
    return Decided(Outcome(int(reply[0])), held=tuple(str(held) for held in reply[1:]))
