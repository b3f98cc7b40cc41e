"""How far the clock of Redis is from that of the generator: a claim is decided between its question and its answer."""

SLACK_S = 0.05
"""More is allowed than what the answers leave open: two generators may differ by that much and nobody notices."""


class Clocks:
    """Bounds on the difference, from claims whose instant both sides know. Units: seconds."""

    def __init__(self) -> None:
        self._tight = (float("-inf"), float("inf"))
        self._wide = (float("inf"), float("-inf"))

    def decided(self, at_s: float, sent_s: float, answered_s: float) -> None:
        """A claim that Redis decided at *at_s*, between two instants of the generator; these are 0 where unknown."""
        if sent_s:
            low, high = at_s - answered_s, at_s - sent_s
            self._tight = max(self._tight[0], low), min(self._tight[1], high)
            self._wide = min(self._wide[0], low), max(self._wide[1], high)

    @property
    def known(self) -> bool:
        """Whether any answer told."""
        return self._wide[0] <= self._wide[1]

    def during(self, sent_s: float, answered_s: float) -> tuple[float, float]:
        """Between which instants of Redis a request was decided. Where answers fit no single clock: the widest."""
        low, high = self._tight if self._tight[0] <= self._tight[1] else self._wide
        return sent_s + low - SLACK_S, answered_s + high + SLACK_S
