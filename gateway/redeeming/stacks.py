"""
Several codes as one redemption: all of them or none, over campaigns and shards, whatever crashes.

    HOLDING ─► every code is held ─► COMMITTING ─► every code is redeemed ─► DONE
       └────────────► UNDOING ◄──────────┘ (one of them can't be)  ─► what was redeemed comes back, holds go ─► UNDONE

Each state is committed to Postgres before the steps that follow from it, and each step is done once however often it
is repeated: a hold by its order, a redemption and a rollback by keys made of the stack's id. So whoever comes next,
another worker or the same request again, goes on from the state (recovery.py). The turn to COMMITTING is the decision:
before it a crash undoes the stack, after it a crash finishes it. So from there on nobody is told that nothing was done.

Codes are held and redeemed in one order, whichever they are given in: of stacks that want the same, one gets them.
Whoever takes a stack further holds its row; nothing else is asked of Postgres meanwhile, so one connection is enough.
"""

import logging
import re
from base64 import b32encode
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_bytes
from typing import Any

import msgspec
from psycopg_pool import AsyncConnectionPool

from gateway.errors import Refusal
from gateway.redeeming.bodies import Money, RedemptionBody, Rollback, RollbackBody, Stack, StackRollback, encoded
from gateway.redeeming.coupons import Asker
from gateway.redeeming.names import STACK_PREFIX, act_key, payload_of
from gateway.redeeming.quotes import combined, find_all
from gateway.redeeming.redemptions import Redemptions
from gateway.redeeming.rollbacks import Rollbacks
from gateway.redeeming.stack_rows import (
    Connection,
    Refused,
    StackItem,
    StackRow,
    StackState,
    add_stack,
    answer_of,
    lost_to_another,
    move_stack,
    read_stack,
    scope_of,
    stack_of_key,
    stack_of_scope,
)
from gateway.redeeming.stack_steps import Places, StackSteps, check_step, in_turn
from gateway.sql import postgres
from gateway.worth.stack import Mode

_ROUNDS_MAX = 4
_ID = re.compile(rf"{STACK_PREFIX}[A-Z2-7]{{24}}")
_RETRYABLE = ("not_ready", "overloaded", "unknown")
_DECIDING = "The same request is being decided; repeat it with the same key."
log = logging.getLogger("fairclaim.stacks")


class Stacks:
    """Stacks of one worker. Errors of all: Refusal rate_limited, not_ready, overloaded, unknown."""

    def __init__(self, pool: AsyncConnectionPool[Any], redemptions: Redemptions, rollbacks: Rollbacks) -> None:
        self._pool, self._redemptions, self._rollbacks = pool, redemptions, rollbacks
        self._coupons, self._steps = redemptions.coupons, StackSteps(redemptions, rollbacks)

    async def redeem(self, codes: tuple[str, ...], body: RedemptionBody, key: str, asker: Asker) -> tuple[Stack, bool]:
        """
        Redeem *codes* on the order of *body*, which is checked; whether that was done before comes along.

        Errors: Refusal conditions_not_met with items; reserved_by_other, invalid_state, not_holder; coupon_not_found;
        idempotency_key_reused.
        """
        hashed = act_key("stack", asker.actor, key)
        # The same codes in another order are the same request.
        payload = payload_of(encoded(msgspec.structs.replace(body, codes=tuple(sorted(codes)))))
        earlier = await self._earlier(hashed, body, codes, payload)
        if earlier is not None:
            return answer_of(earlier), True
        try:
            return answer_of(await self._redeem(codes, body, hashed, payload, asker)), False
        except Refusal as refusal:
            if refusal.code == "unknown":
                raise
            # perhaps only because the same request was faster elsewhere
            earlier = await self._earlier(hashed, body, codes, payload)
            if earlier is None:
                raise
            return answer_of(earlier), True

    async def _redeem(
        self, codes: tuple[str, ...], body: RedemptionBody, hashed: str, payload: str, asker: Asker
    ) -> StackRow:
        """What was not asked before, written down and taken to its end."""
        items = await self._plan(codes, body, asker)
        stack = f"{STACK_PREFIX}{b32encode(token_bytes(15)).decode()}"
        async with postgres(self._pool) as connection:
            scope = scope_of(body, codes)
            if not await add_stack(connection, stack, hashed, scope, payload, asker.actor, body, items):
                raise Refusal("unknown", _DECIDING)
        await self._hold(stack, items, body, asker)
        return await self._finished(stack)

    async def _earlier(self, key: str, body: RedemptionBody, codes: tuple[str, ...], payload: str) -> StackRow | None:
        """What this key, or this order with these codes, has done, finished if need be; None where it did nothing."""
        async with postgres(self._pool) as connection:
            here = await stack_of_key(connection, key) or await stack_of_scope(connection, scope_of(body, codes))
        if here is None or (here.key != key and here.state is StackState.DONE and not await self._is_live(here)):
            return None
        if here.payload != payload:
            raise Refusal("idempotency_key_reused", "This key, or this order with these codes, came with another body.")
        if here.state is StackState.HOLDING or (here.key != key and here.state is StackState.COMMITTING):
            raise Refusal("unknown", _DECIDING)
        if here.state is StackState.UNDOING:
            with _told_unknown():
                await self.take_further(here.id)
            return None  # nothing is left of it, so the request is as good as new
        return await self._finished(here.id)

    async def _is_live(self, here: StackRow) -> bool:
        """Whether something of the stack is still redeemed."""
        for item in here.applied:
            if (await self._redemptions.see(item.redemption)).state != "rolled_back":
                return True
        return False

    async def _plan(self, codes: tuple[str, ...], body: RedemptionBody, asker: Asker) -> list[StackItem]:
        """
        What each code is to take off.

        Errors: Refusal conditions_not_met where that is nothing, or not all apply; invalid_state, reserved_by_other.
        """
        found = await find_all(self._coupons, codes, body.order, asker)
        if body.mode is Mode.ALL:
            for each in found:
                if each is not None:
                    check_step(each, body.order.id, asker)
        taken = await combined(found, codes, body.order, body.mode, body.choose)
        none_applies = all(item.discount is None for item in taken)
        if none_applies or (body.mode is Mode.ALL and any(item.discount is None for item in taken)):
            told = [{"code": item.code, "reason": item.reason} for item in taken if item.reason is not None]
            cause = next(why for item in taken if (why := item.reason) is not None and why.code != "all_or_nothing")
            raise Refusal("conditions_not_met", cause.detail, reason=cause.code, items=told)
        items = []
        for item, each in zip(taken, found, strict=True):
            id_ = ""
            if item.discount is not None and each is not None:
                id_ = await self._redemptions.new_id(each.shard)
            items.append(StackItem(code=item.code, redemption=id_, discount=item.discount, reason=item.reason))
        return items

    async def _hold(self, stack: str, items: list[StackItem], body: RedemptionBody, asker: Asker) -> None:
        """
        Hold every code that applies, then decide; or decide that it can't be.

        Where recovery has given the stack up meanwhile, what was held since is let go here.
        """
        refused: Refused | None = None
        for _, item in in_turn(items):
            try:
                refused = await self._steps.hold(stack, item, body, asker)
            except Refusal as lost:
                log.warning("stack %s is given up", stack, extra={"reason": lost.detail})
                refused = Refused("overloaded", "Not every code could be held, so none is; repeat it.", {})
            if refused is not None:
                break
        with _told_unknown():
            async with postgres(self._pool) as connection:
                here = await read_stack(connection, stack)
                assert here is not None, "a stack is never removed"
                to = StackState.COMMITTING if refused is None else StackState.UNDOING
                is_ours = here.state is StackState.HOLDING and await move_stack(connection, here, to, refused=refused)
        if not is_ours:
            await self._steps.undo(here, await self._steps.places(here))

    async def _finished(self, stack: str) -> StackRow:
        """The stack, taken to its end. Errors: Refusal, what it was undone for; unknown where it does not get there."""
        with _told_unknown():
            here = await self.take_further(stack)
        if here.state is StackState.UNDONE:
            refused = here.refused or Refused("overloaded", "The request took too long and was undone; repeat it.", {})
            raise Refusal(refused.code, refused.detail, **refused.context)
        return here

    async def take_further(self, stack: str, *, give_up: bool = False) -> StackRow:
        """
        Take a stack as far as it goes; one that is HOLDING stays so unless *give_up*.

        Errors: Refusal not_ready, unknown: then it goes on from where it is when somebody comes next.
        """
        async with postgres(self._pool) as connection:
            before = await read_stack(connection, stack)
        assert before is not None, "a stack is never removed"
        places = await self._steps.places(before)
        for _ in range(_ROUNDS_MAX):
            async with postgres(self._pool) as connection, connection.transaction():
                here = await read_stack(connection, stack, lock=True)
                assert here is not None, "a stack is never removed"
                match here.state:
                    case StackState.HOLDING if give_up:
                        await move_stack(connection, here, StackState.UNDOING)
                    case StackState.COMMITTING:
                        await self._commit(connection, here, places)
                    case StackState.UNDOING:
                        await self._steps.undo(here, places)
                        await move_stack(connection, here, StackState.UNDONE)
                    case _:
                        return here
        raise AssertionError("a stack ends after three states")

    async def _commit(self, connection: Connection, here: StackRow, places: Places) -> None:
        items = list(here.items)
        for number, item in in_turn(here.items):
            try:
                redeemed = await self._steps.redeem(here, number, item, places)
            except Refusal as refusal:
                if refusal.code in _RETRYABLE:
                    raise
                refused = await self._why_lost(connection, here, item, places, refusal)
                await move_stack(connection, here, StackState.UNDOING, refused=refused)
                return
            if redeemed is None:
                log.warning("stack %s is undone: a balance was spent meanwhile", here.id)
                refused = Refused("overloaded", "A balance was spent meanwhile, so nothing is redeemed; repeat it.", {})
                await move_stack(connection, here, StackState.UNDOING, refused=refused)
                return
            items[number] = redeemed
        await move_stack(connection, here, StackState.DONE, items=items)

    async def _why_lost(
        self, connection: Connection, here: StackRow, item: StackItem, places: Places, refusal: Refusal
    ) -> Refused | None:
        """What a code could not be redeemed for; None where another request for the same has it."""
        if refusal.code == "idempotency_key_reused":
            if await lost_to_another(connection, here):
                return None
            refusal = await self._steps.why_reused(here, item, places) or refusal
        return Refused(refusal.code, refusal.detail, {**refusal.context, "coupon": item.code})

    async def see(self, stack: str) -> Stack:
        """A stack as it was answered first. Errors: Refusal("redemption_not_found")."""
        return answer_of(await self._done(stack))

    async def _done(self, stack: str) -> StackRow:
        if not _ID.fullmatch(stack):
            raise Refusal("redemption_not_found")
        async with postgres(self._pool) as connection:
            here = await read_stack(connection, stack)
        if here is None or here.state is not StackState.DONE:
            raise Refusal("redemption_not_found")
        return here

    async def roll_back(self, stack: str, body: RollbackBody, key: str, asker: Asker) -> tuple[StackRollback, bool]:
        """
        Give back what is left of each redemption of a stack; whether this key did that before comes along.

        A request that was cut off is finished by the same key. Errors: Refusal redemption_not_found,
        already_rolled_back, bad_request.
        """
        if body.amount_minor is not None or body.lines is not None:
            field = "lines" if body.amount_minor is None else "amount_minor"
            raise Refusal("bad_request", f"{field}: name the redemption it is of, not the stack.", field=field)
        here = await self._done(stack)
        back: list[Rollback] = []
        replayed = True
        for item in here.applied:
            try:
                its_key = f"{key} {item.redemption}"
                done, again = await self._rollbacks.roll_back(item.redemption, body, its_key, asker, stack)
            except Refusal as refusal:
                if refusal.code == "already_rolled_back":
                    continue
                if back and refusal.code in _RETRYABLE:
                    raise _unknown() from refusal
                raise
            back.append(done)
            replayed = replayed and again
        if not back:
            raise Refusal("already_rolled_back", "All of this stack came back before.")
        total = Money(sum(each.amount.minor for each in back), back[0].amount.currency)
        return StackRollback(id=stack, state="rolled_back", amount=total, items=back), replayed


@contextmanager
def _told_unknown() -> Iterator[None]:
    """Where a stack may be decided, whatever stops it on the way leaves its outcome unknown. Errors: unknown."""
    try:
        yield
    except Refusal as refusal:
        if refusal.code not in _RETRYABLE:
            raise
        raise _unknown() from refusal


def _unknown() -> Refusal:
    return Refusal("unknown", "What was begun may be done, and will be finished; repeat it with the same key.")
