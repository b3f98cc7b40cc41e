"""
What goes wrong between a phone and a gateway, as the phone sees it: on the socket, and when the dice say so.

Which share of requests has it is an argument of the run; a stage of the shape may say another one for its time.
"""

import random
import time
from typing import NamedTuple
from weakref import WeakKeyDictionary

import gevent.socket  # type: ignore[import-untyped]
from geventhttpclient.connectionpool import ConnectionPool

from loadtest.run.arguments import Options
from loadtest.run.plan import Part, Plan
from loadtest.shapes import Stage, stage_at

STAGE_S = 0.1
"""How long a look at the clock is good for."""
PIECES = 6
PAUSE_S_MAX = 0.25
"""A slow link: a request in so many pieces, each after at most such a pause: slow, and in time for the gateway."""


class Shares(NamedTuple):
    """Which share of requests has which fault now."""

    drop_replies: float
    slow_links: float
    reconnects: float
    duplicate_sends: float

    @property
    def any(self) -> bool:
        """Whether anything goes wrong at all."""
        return any(self)


class Weather:
    """The faults of a run as they change with its stages."""

    def __init__(self, options: Options, plan: Plan) -> None:
        self._plan = plan
        self._always = Shares(options.drop_replies, options.slow_links, options.reconnects, options.duplicate_sends)
        self._looked_s = 0.0
        self.now(time.time())

    def now(self, at_s: float) -> Shares:
        """The shares at *at_s*, seconds since the epoch."""
        if not 0 <= at_s - self._looked_s < STAGE_S:
            self._looked_s = at_s
            self.stage: Stage = stage_at(self._plan.shape, at_s - self._plan.started_s, self._plan)
            drop = self.stage.drop_replies
            self._shares = self._always if drop is None else self._always._replace(drop_replies=drop)
        return self._shares

    def wait_s(self, at_s: float) -> float:
        """How long whoever missed a reply at *at_s* waits before he asks again: until the stage says, else not."""
        self.now(at_s)
        if self.stage.retry_at_s is None:
            return 0.0
        return max(0.0, self._plan.started_s + self.stage.retry_at_s - at_s)


_weather: "WeakKeyDictionary[Part, tuple[str, Weather]]" = WeakKeyDictionary()


def weather_of(part: Part, plan: Plan) -> Weather:
    """The weather of *plan*, one for all users of this process."""
    run, weather = _weather.get(part, ("", None))
    if weather is None or run != plan.run:
        weather = Weather(part.options, plan)
        _weather[part] = plan.run, weather
    return weather


def drop_reply(pool: ConnectionPool, request: bytes, dice: random.Random, patience_s: float) -> None:
    """
    Send *request*, and end the connection before the answer is read: at once, or when the answer is here.

    Errors: OSError.
    """
    connection = pool.get_socket()
    try:
        connection.sendall(request)
        if dice.random() < 0.5:
            gevent.socket.wait_read(connection.fileno(), timeout=patience_s)
    finally:
        pool.release_socket(connection)


def trickle(connection: gevent.socket.socket, request: bytes, dice: random.Random) -> None:
    """Send *request* in pieces, the head's and the body's, with pauses between them. Errors: OSError."""
    cuts = sorted(dice.sample(range(1, len(request)), min(PIECES, len(request) - 1) - 1))
    for start, end in zip([0, *cuts], [*cuts, len(request)], strict=True):
        connection.sendall(request[start:end])
        if end < len(request):
            gevent.sleep(dice.uniform(0, PAUSE_S_MAX))
