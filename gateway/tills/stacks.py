"""
Several codes as one redemption: all of them or none, over campaigns and shards, whatever crashes.

    HOLDING ─► every code is held ─► COMMITTING ─► every code is redeemed ─► DONE
       └────────────► UNDOING ◄──────────┘ (one of them can't be)  ─► what was redeemed comes back, holds go ─► UNDONE

Each state is committed to Postgres before the steps that follow from it, and each step is done once however often it
is repeated: a hold by its order, a redemption and a rollback by keys made of the stack's id. So whoever comes next,
another worker or the same request again, goes on from the state (recovery.py). The turn to COMMITTING is the decision:
before it a crash undoes the stack, after it a crash finishes it.
"""

import logging
from base64 import b32encode
from secrets import token_bytes
from typing import Any

import msgspec
from psycopg_pool import AsyncConnectionPool

from gateway.campaigns.definition import OnRollback
from gateway.errors import Refusal
from gateway.sql import postgres
from gateway.tills.bodies import Money, RedemptionBody, Rollback, RollbackBody, Stack, StackRollback, encoded
from gateway.tills.coupons import Asker
from gateway.tills.names import STACK_PREFIX, act_key, payload_of
from gateway.tills.quotes import combine_found, find_all
from gateway.tills.redemptions import Redemptions
from gateway.tills.reservations import held_by_other, none_left
from gateway.tills.rollbacks import Rollbacks
from gateway.tills.stack_rows import (
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
from gateway.tills.states import LETTERS, State, illegal_step
from gateway.worth.stack import Mode
from lua.outcomes import Outcome

HOLD_MS = 600_000
"""How long a stack holds its codes; recovery finishes or undoes it long before."""
_UNDO = OnRollback(coupon="restore")
_ROUNDS_MAX = 4
log = logging.getLogger("fairclaim.stacks")


class Stacks:
    """Stacks of one worker. Errors of all: Refusal rate_limited, not_ready, overloaded, unknown."""

    def __init__(self, pool: AsyncConnectionPool[Any], redemptions: Redemptions, rollbacks: Rollbacks) -> None:
        self._pool, self._redemptions, self._rollbacks = pool, redemptions, rollbacks
        self._coupons = redemptions.coupons

    async def redeem(self, codes: tuple[str, ...], body: RedemptionBody, key: str, asker: Asker) -> tuple[Stack, bool]:
        """
        Redeem *codes* on the order of *body*, which is checked; whether that was done before comes along.

        Errors: Refusal conditions_not_met with items; reserved_by_other, invalid_state, not_holder; coupon_not_found;
        idempotency_key_reused.
        """
        hashed, payload = act_key("stack", asker.actor, key), payload_of(encoded(body))
        try:
            earlier = await self._earlier(hashed, body, codes, payload)
            if earlier is not None:
                return answer_of(earlier), True
            return answer_of(await self._redeem(codes, body, hashed, payload, asker)), False
        except Refusal:  # perhaps only because the same request was faster elsewhere
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
                raise Refusal("overloaded", "The same request is being decided; repeat it with the same key.")
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
            raise Refusal("overloaded", "The same request is being decided; repeat it with the same key.")
        return await self._finished(here.id)

    async def _is_live(self, here: StackRow) -> bool:
        """Whether something of the stack is still redeemed."""
        for item in here.applied:
            if (await self._redemptions.see(item.redemption)).state != "rolled_back":
                return True
        return False

    async def _plan(self, codes: tuple[str, ...], body: RedemptionBody, asker: Asker) -> list[StackItem]:
        """What each code is to take off. Errors: Refusal conditions_not_met where that is nothing, or not all apply."""
        found = await find_all(self._coupons, codes, body.order, asker)
        combined = combine_found(found, codes, body.order, body.mode, body.choose)
        none_applies = all(item.discount is None for item in combined)
        if none_applies or (body.mode is Mode.ALL and any(item.discount is None for item in combined)):
            told = [{"code": item.code, "reason": item.reason} for item in combined if item.reason is not None]
            cause = next(why for item in combined if (why := item.reason) is not None and why.code != "all_or_nothing")
            raise Refusal("conditions_not_met", cause.detail, reason=cause.code, items=told)
        items = []
        for item, each in zip(combined, found, strict=True):
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
        for item in items:
            if item.discount is not None and refused is None:
                try:
                    refused = await self._hold_one(stack, item, body, asker)
                except Refusal as lost:
                    log.warning("stack %s is given up", stack, extra={"reason": lost.detail})
                    refused = Refused("overloaded", "Not every code could be held, so none is; repeat it.", {})
        async with postgres(self._pool) as connection:
            here = await read_stack(connection, stack)
            assert here is not None, "a stack is never removed"
            to = StackState.COMMITTING if refused is None else StackState.UNDOING
            is_ours = here.state is StackState.HOLDING and await move_stack(connection, here, to, refused=refused)
        if not is_ours:
            await self._undo(here)

    async def _hold_one(self, stack: str, item: StackItem, body: RedemptionBody, asker: Asker) -> Refused | None:
        code, shard = await self._coupons.place(item.code)
        parts = (code, body.order.id, body.holder or "", _tag(stack), HOLD_MS, '{"reason":"stack"}')
        _, reply = await self._coupons.calls.step("reserve", shard, parts)
        outcome, *told = reply if isinstance(reply, list) else [reply]
        match outcome:
            case Outcome.DONE | Outcome.REPLAYED:
                return None
            case Outcome.HELD:
                refusal = held_by_other(told, State.RESERVED, asker)
            case Outcome.WRONG_STATE:
                refusal = illegal_step(LETTERS[told[0]], State.RESERVED)
            case Outcome.SHORT:
                refusal = none_left(State.RESERVED)
            case Outcome.NOT_HOLDER:
                refusal = Refusal("not_holder", "A coupon belongs to somebody else, and may not be passed on.")
            case Outcome.NOT_READY:
                refusal = Refusal("not_ready", "A coupon's shard is being compared with the books.")
            case _:
                refusal = Refusal("coupon_not_found")
        return Refused(refusal.code, refusal.detail, {**refusal.context, "coupon": item.code})

    async def _finished(self, stack: str) -> StackRow:
        """The stack, taken to its end. Errors: Refusal, what it was undone for."""
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
        for _ in range(_ROUNDS_MAX):
            async with postgres(self._pool) as connection, connection.transaction():
                here = await read_stack(connection, stack, lock=True)
                assert here is not None, "a stack is never removed"
                match here.state:
                    case StackState.HOLDING if give_up:
                        await move_stack(connection, here, StackState.UNDOING)
                    case StackState.COMMITTING:
                        await self._commit(connection, here)
                    case StackState.UNDOING:
                        await self._undo(here)
                        await move_stack(connection, here, StackState.UNDONE)
                    case _:
                        return here
        raise AssertionError("a stack ends after three states")

    async def _commit(self, connection: Connection, here: StackRow) -> None:
        items = []
        for number, item in enumerate(here.items):
            redeemed = item
            if item.discount is not None:
                try:
                    redeemed = await self._redeem_one(here, number, item)
                except Refusal as refusal:
                    if refusal.code in ("not_ready", "overloaded", "unknown"):
                        raise
                    lost = refusal.code == "idempotency_key_reused" and await lost_to_another(connection, here)
                    told = {**refusal.context, "coupon": item.code}
                    refused = None if lost else Refused(refusal.code, refusal.detail, told)
                    await move_stack(connection, here, StackState.UNDOING, refused=refused)
                    return
            items.append(redeemed)
        await move_stack(connection, here, StackState.DONE, items=items)

    async def _redeem_one(self, here: StackRow, number: int, item: StackItem) -> StackItem:
        """Redeem one code of a stack that is decided. Errors: Refusal where it can't be any more."""
        asker = Asker("", here.actor)
        found = await self._coupons.find(item.code, asker, here.body.order.id)
        if found is None or item.discount is None:
            raise Refusal("coupon_not_found")
        key, payload = act_key("stacked", here.id, str(number)), payload_of(here.id.encode())
        spent = await self._redemptions.spend(
            found, here.body, item.discount, key, payload, asker, item.redemption, here.id
        )
        if spent is None:
            raise Refusal("invalid_state", "A coupon was spent on another order meanwhile.")
        return msgspec.structs.replace(item, answer=spent[0])

    async def _undo(self, here: StackRow) -> None:
        """Give back what was redeemed, and let go what the stack holds."""
        asker = Asker("", here.actor)
        for number, item in enumerate(here.items):
            if item.discount is None:
                continue
            try:
                body = RollbackBody(reason="undone")
                await self._rollbacks.roll_back(
                    item.redemption, body, f"undo {here.id} {number}", asker, here.id, policy=_UNDO
                )
            except Refusal as refusal:
                if refusal.code not in ("redemption_not_found", "already_rolled_back"):
                    raise
            code, shard = await self._coupons.place(item.code)
            parts = (code, here.body.order.id, "", _tag(here.id), '{"reason":"stack"}')
            _, reply = await self._coupons.calls.step("release", shard, parts)
            if reply == Outcome.NOT_READY:
                raise Refusal("not_ready", "A coupon's shard is being compared with the books.")

    async def see(self, stack: str) -> Stack:
        """A stack as it was answered first. Errors: Refusal("redemption_not_found")."""
        return answer_of(await self._done(stack))

    async def _done(self, stack: str) -> StackRow:
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
                if refusal.code != "already_rolled_back":
                    raise
                continue
            back.append(done)
            replayed = replayed and again
        if not back:
            raise Refusal("already_rolled_back", "All of this stack came back before.")
        total = Money(sum(each.amount.minor for each in back), back[0].amount.currency)
        return StackRollback(id=stack, state="rolled_back", amount=total, items=back), replayed


def _tag(stack: str) -> str:
    """Who holds a coupon for a stack, as the hold names him."""
    return f"stack:{stack}"
