"""Rows of stacks: several codes redeemed as one, as they are written down."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from psycopg import AsyncConnection

from gateway.redeeming.bodies import Money, Redemption, RedemptionBody, Stack
from gateway.redeeming.bodies import StackItem as AnsweredItem
from gateway.redeeming.names import payload_of
from gateway.sql import load_queries, row
from gateway.worth.discount import Discount
from gateway.worth.reason import Reason

_QUERIES = load_queries("stacks")

Connection = AsyncConnection[Any]


class StackState(StrEnum):
    """How far a stack is. HOLDING until every code is held, then COMMITTING; UNDOING where one can't be."""

    HOLDING = "holding"
    COMMITTING = "committing"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"


class StackItem(msgspec.Struct, frozen=True, kw_only=True):
    """One code: what it takes off and the redemption it is to be, or why it does not apply."""

    code: str
    redemption: str = ""
    discount: Discount | None = None
    reason: Reason | None = None
    answer: Redemption | None = None


class Refused(msgspec.Struct, frozen=True):
    """Why a stack was undone: a problem code, its words, and what it adds."""

    code: str
    detail: str
    context: dict[str, Any]


class StackRow(msgspec.Struct, frozen=True, kw_only=True):
    """A stack as it is written down."""

    id: str
    key: str
    payload: str
    actor: str
    body: RedemptionBody
    items: list[StackItem]
    state: StackState
    refused: Refused | None
    updated_at: datetime

    @property
    def applied(self) -> list[StackItem]:
        """The codes that take something off."""
        return [item for item in self.items if item.discount is not None]


async def read_stack(connection: Connection, stack: str, *, lock: bool = False) -> StackRow | None:
    """The stack, its row locked if that is asked."""
    return _stack(await row(connection, _QUERIES["lock_stack" if lock else "stack"], id=stack))


async def stack_of_key(connection: Connection, key: str) -> StackRow | None:
    """The stack of this key, unless it was undone."""
    return _stack(await row(connection, _QUERIES["stack_by_key"], key=key))


async def stack_of_scope(connection: Connection, scope: str) -> StackRow | None:
    """What an order is doing, or did last, with the same codes."""
    open_one = await row(connection, _QUERIES["open_stack_by_scope"], scope=scope)
    return _stack(open_one or await row(connection, _QUERIES["stack_by_scope"], scope=scope))


async def lost_to_another(connection: Connection, here: StackRow) -> bool:
    """Whether the same order just got these codes by another request, or is getting them."""
    return await row(connection, _QUERIES["lost_to_another"], id=here.id) is not None


async def add_stack(
    connection: Connection, stack: str, key: str, scope: str, payload: str, actor: str, body: RedemptionBody,
    items: list[StackItem],
) -> bool:  # fmt: skip
    """Write a stack down; False when its key has one."""
    added = await row(
        connection, _QUERIES["add_stack"], id=stack, key=key, scope=scope, payload=payload, actor=actor,
        body=_json(body), items=_json(items),
    )  # fmt: skip
    return added is not None


async def move_stack(
    connection: Connection, here: StackRow, to: StackState, *, items: list[StackItem] | None = None,
    refused: Refused | None = None,
) -> bool:  # fmt: skip
    """Take a stack from the state it was read in to the next; False when somebody else moved it first."""
    moved = await row(
        connection, _QUERIES["move_stack"], id=here.id, was=here.state, to=to, items=_json(items or here.items),
        refused=_json(refused or here.refused),
    )  # fmt: skip
    return moved is not None


async def take_open(connection: Connection, idle_s: float, tried: Sequence[str]) -> str | None:
    """
    The stack that nobody has taken further for longest, and for *idle_s*, but for those *tried*; None for none.

    It is the caller's for *idle_s* and goes to the end of the line; one whose row somebody holds is passed over.
    """
    found = await row(connection, _QUERIES["take_open"], idle_s=idle_s, tried=list(tried))
    return None if found is None else str(found["id"])


def answer_of(here: StackRow) -> Stack:
    """What a stack that is done is answered with, each time the same."""
    total_minor = sum(item.discount.minor for item in here.applied if item.discount is not None)
    return Stack(
        id=here.id,
        state="redeemed",
        order_id=here.body.order.id,
        discount=Money(total_minor, here.body.order.currency),
        items=[
            AnsweredItem(code=item.code, applies=item.answer is not None, redemption=item.answer, reason=item.reason)
            for item in here.items
        ],
    )


def scope_of(body: RedemptionBody, codes: tuple[str, ...]) -> str:
    """
    What an order does with these codes, in whatever order they come: it does it once, whatever the key.

    An order is a shop's: two shops may number theirs alike.
    """
    shop = (body.merchant or "").encode(), (body.store or "").encode()
    return payload_of(body.order.id.encode(), *shop, *sorted(code.encode() for code in codes))


def _stack(found: dict[str, Any] | None) -> StackRow | None:
    return None if found is None else msgspec.convert(found, StackRow)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
