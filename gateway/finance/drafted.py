"""Pure: a journal that a person made, as it is kept, and how a list of them may be sorted."""

from datetime import date, datetime
from operator import attrgetter
from typing import Any, Literal, get_args

import msgspec

from gateway.finance.drafts import DraftLine
from gateway.somebody import Somebody, fold_name, name_in
from reconciler.ordering import Instant, Key, Number, Orders, Text

State = Literal["drafted", "approved", "posted", "rejected"]


class ManualJournal(msgspec.Struct, frozen=True):
    """A row of manual_journals. *refused* is why it was rejected, or could not be posted."""

    id: str
    entity: str
    effective_date: date
    about: str | None
    reverses: int | None
    reason: str
    attachment: str
    lines: tuple[DraftLine, ...]
    state: State
    made_by: str
    made_at: datetime
    checked_by: str | None
    checked_at: datetime | None
    refused: str | None
    journal: int | None
    settles: str | None

    def is_of(self, who: Somebody) -> bool:
        """Whether *who* drafted it: by the id of the key, or by the name, whatever key it is."""
        return self.made_by.partition(" ")[0] == id_of(who) or name_in(self.made_by) == fold_name(who.name)

    @property
    def amounts(self) -> dict[str, int]:
        """What its lines come to by commodity, that of the first line first. Units: minor units, or coupons."""
        found = dict[str, int]()
        for line in self.lines:
            found[line.commodity] = found.get(line.commodity, 0) + line.minor
        return found


def id_of(who: Somebody) -> str:
    """Who it is without the name that stands behind an API key."""
    return who.actor.partition(" ")[0]


def read(found: dict[str, Any]) -> ManualJournal:
    """A row as a value."""
    return msgspec.convert(found, ManualJournal)


def _amount(one: ManualJournal) -> str:
    """As lines_come_to() of the books has it."""
    return next((f"{commodity} {minor:020}" for commodity, minor in one.amounts.items()), "")


ORDERS: Orders[ManualJournal] = Orders(
    Key("id", attrgetter("id"), Text),
    {
        "made": Key("made_at", attrgetter("made_at"), Instant),
        "date": Key("effective_date", attrgetter("effective_date"), date),
        "amount": Key('lines_come_to(lines) COLLATE "C"', _amount, Text),
        "state": Key(
            f"array_position(ARRAY{list(get_args(State))}, state)",
            lambda one: get_args(State).index(one.state) + 1,
            Number,
        ),
        "maker": Key("made_by", attrgetter("made_by"), Text),
    },
)
"""How manual journals may be sorted: by state in the order of their life, by amount within a currency."""
