"""
Pure: figures in, what begins, goes on and is over out.

An alert does not flap: it begins once a figure has been beyond the threshold for as long as its kind says, and is over
once it has been well on the good side for as long; between the two it stays. What is not known changes nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from gateway.alerts.kinds import KINDS, Kind, Unit

Key = tuple[str, str]
"""Kind and subject."""


class Figure(NamedTuple):
    """
    One figure: of *kind*, of the campaign *subject* (empty: of the system), None where it can't be told.

    *own* is the same in the unit of a campaign's own threshold, where that is another. *about* is what else to say.
    """

    kind: str
    subject: str
    value: float | None
    about: Mapping[str, Any] = {}
    own: float | None = None

    @property
    def key(self) -> Key:
        """Kind and subject."""
        return self.kind, self.subject


class Threshold(NamedTuple):
    """What somebody chose; *value* None is the default. *is_own*: it is of this campaign alone."""

    value: float | None = None
    is_off: bool = False
    is_own: bool = False


class Level(NamedTuple):
    """How far is too far, in *unit*, for one figure."""

    value: float
    unit: Unit
    is_own: bool


class Finding(NamedTuple):
    """A figure beyond its threshold, or what is left of an alert: *value* in the unit of *level*."""

    kind: Kind
    subject: str
    value: float
    level: Level
    about: Mapping[str, Any]


class Changes(NamedTuple):
    """What to write down: alerts that begin, those that go on with what they are now, and those that are over."""

    begun: list[Finding]
    held: list[Finding]
    over: list[Key]


def level_of(kind: Kind, own: Threshold | None, everywhere: Threshold | None) -> Level | None:
    """The level of *kind* for one subject; None where it is not watched."""
    for chosen, unit in ((own, kind.own_unit or kind.unit), (everywhere, kind.unit)):
        if chosen is not None and chosen.is_off:
            return None
        if chosen is not None and chosen.value is not None:
            return Level(chosen.value, unit, chosen is own)
    return Level(kind.threshold, kind.unit, False)


def is_wrong(kind: Kind, value: float, level: Level) -> bool:
    """Whether *value* is trouble."""
    return value <= level.value if kind.is_floor else value >= level.value


def is_fine(kind: Kind, value: float, level: Level) -> bool:
    """Whether *value* is so far on the good side that trouble is over."""
    return value > level.value * kind.fine if kind.is_floor else value < level.value * kind.fine


class Rules:
    """
    Judges one look after another. Remembers since when a figure has been wrong, or fine, and no more: which alerts are
    open is in Postgres, so whoever takes over with new Rules raises none twice and forgets none.
    """

    def __init__(self) -> None:
        self._since: dict[Key, tuple[bool, float]] = {}

    def judge(
        self,
        now_s: float,
        figures: Sequence[Figure],
        known: Collection[str],
        thresholds: Mapping[Key, Threshold],
        opened: Collection[Key],
    ) -> Changes:
        """
        What follows from *figures* at *now_s*, which only grows.

        *known* are the kinds of which there are all figures: an open alert of one of these whose figure is gone, as its
        sale has ended, is over. *thresholds* are what was chosen, by kind and campaign. *opened* are the open alerts.
        """
        changes = Changes([], [], [])
        seen = {figure.key: figure for figure in figures}
        for figure in figures:
            self._judge_one(now_s, figure, thresholds, figure.key in opened, changes)
        for key in opened:
            if key not in seen and (key[0] not in KINDS or (key[0] in known and self._lasts(now_s, key, wrong=False))):
                changes.over.append(key)
        kept = seen.keys() | set(opened)
        self._since = {key: since for key, since in self._since.items() if key in kept}
        return changes

    def _judge_one(
        self, now_s: float, figure: Figure, thresholds: Mapping[Key, Threshold], is_open: bool, changes: Changes
    ) -> None:
        kind, key = KINDS[figure.kind], figure.key
        own = thresholds.get(key) if figure.subject else None
        level = level_of(kind, own, thresholds.get((kind.name, "")))
        if level is None:
            if is_open:
                changes.over.append(key)
            return
        value = figure.own if level.is_own and kind.own_unit else figure.value
        if value is None:
            return
        finding = Finding(kind, figure.subject, value, level, figure.about)
        if is_wrong(kind, value, level):
            begins = self._lasts(now_s, key, wrong=True)
            if is_open:
                changes.held.append(finding)
            elif begins:
                changes.begun.append(finding)
        elif not is_open:
            self._since.pop(key, None)
        elif is_fine(kind, value, level) and self._lasts(now_s, key, wrong=False):
            changes.over.append(key)
        else:
            if not is_fine(kind, value, level):
                self._since.pop(key, None)
            changes.held.append(finding)

    def _lasts(self, now_s: float, key: Key, *, wrong: bool) -> bool:
        """Whether it has been so for as long as the kind asks for; the first time it begins now."""
        before = self._since.get(key)
        if before is None or before[0] is not wrong:
            before = self._since[key] = (wrong, now_s)
        kind = KINDS[key[0]]
        return now_s - before[1] >= (kind.after_s if wrong else kind.over_s)
