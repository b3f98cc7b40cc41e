"""Watching a batch from the command line: a gateway that asks for patience gets it, and not for ever."""

import time
from typing import Any, cast

import pytest

from gateway.cli import codes_watch
from gateway.cli.client import Answer, Gateway, _fail
from gateway.cli.output import UNAVAILABLE, Fail

OPEN = {
    "id": "cb_1",
    "campaign": "flash",
    "state": "running",
    "finished_at": None,
    "done": 1,
    "count": 2,
    "reason": None,
}
DONE = {**OPEN, "state": "done", "finished_at": "now", "done": 2}


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        """Pass *seconds*."""
        self.now += seconds


class Says:
    """A gateway that gives these answers, the last one for ever."""

    def __init__(self, *answers: dict[str, Any] | Fail) -> None:
        self._answers = list(answers)

    def ask(self, method: str, path: str) -> Answer:
        """The next one."""
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Fail):
            raise answer
        return Answer(200, {}, answer)


def watch(gateway: Says) -> None:
    """Until it is over."""
    codes_watch.finish(cast(Gateway, gateway), OPEN, no_wait=False, as_json=True)


def test_a_gateway_that_says_retry_after_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The batch goes on while a server is away for a moment, and so does the watching."""
    clock = Clock(monkeypatch)
    busy = _fail(Answer(503, {"retry-after": "2"}, {"code": "not_ready"}), "http://gateway")
    assert (busy.exit_code, busy.retry_after_s) == (UNAVAILABLE, 2)

    watch(Says(busy, OPEN, busy, busy, DONE))

    assert '"done": 2' in capsys.readouterr().out
    assert clock.now >= 6


@pytest.mark.parametrize("headers", [{"retry-after": "2"}, {}, {"retry-after": "soon"}])
def test_the_watching_ends(monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]) -> None:
    """After a minute of nothing else; at once where it does not say when to come again."""
    clock = Clock(monkeypatch)
    with pytest.raises(Fail) as failed:
        watch(Says(_fail(Answer(503, headers, {"code": "not_ready"}), "http://gateway")))

    assert failed.value.exit_code == UNAVAILABLE
    assert clock.now <= 61
    assert (clock.now > 50) is (headers == {"retry-after": "2"})
