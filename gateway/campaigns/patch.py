"""
The body of PATCH /v1/campaigns/{id}: which fields change, and which of them are fixed by then. Pure.

A field that is left out stays. ``limits`` changes limit by limit; what else has parts (``value``,
``scope``, ``funders`` …) is given whole.
"""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import asdict, replace

from gateway.campaigns.bounds import (
    Channels,
    Currency,
    LegalEntity,
    Minor,
    Moment,
    Name,
    PerDay,
    PerHolder,
    ShardCount,
    StockCount,
    Zone,
)
from gateway.campaigns.broken import MINOR_MAX, Broken, Found, refuse
from gateway.campaigns.definition import (
    Conditions,
    Definition,
    Funders,
    OnEnd,
    OnRollback,
    Scope,
    Stacking,
    Validity,
    Value,
)
from gateway.campaigns.life import State
from gateway.somebody import second_person_needed

FROZEN = (
    "value",
    "currency",
    "timezone",
    "funders",
    "scope",
    "conditions",
    "stacking",
    "transferable",
    "on_rollback",
    "on_expiry",
    "on_revoke",
)
"""Fields that stay once a coupon is out: what it is worth, to whom, and what becomes of it."""


MONEY = (*FROZEN, "limits")
"""Fields that move money, which may take two people once a campaign is published."""


class LimitsPatch(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Limits that change; null takes a limit away."""

    per_holder: PerHolder | UnsetType = UNSET
    per_holder_per_day: PerHolder | UnsetType | None = UNSET
    per_day: PerDay | UnsetType | None = UNSET
    budget_minor: Minor | UnsetType | None = UNSET


class DefinitionPatch(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Fields that change. With *version*, only if that is still the campaign's version."""

    version: int | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    stock: StockCount | UnsetType = UNSET
    value: Value | UnsetType = UNSET
    limits: LimitsPatch | UnsetType = UNSET
    starts_at: Moment | UnsetType = UNSET
    ends_at: Moment | UnsetType = UNSET
    timezone: Zone | UnsetType = UNSET
    legal_entity: LegalEntity | UnsetType = UNSET
    validity: Validity | UnsetType = UNSET
    channels: Channels | UnsetType = UNSET
    shards: ShardCount | UnsetType = UNSET
    funders: Funders | UnsetType = UNSET
    scope: Scope | UnsetType = UNSET
    conditions: Conditions | UnsetType = UNSET
    stacking: Stacking | UnsetType = UNSET
    transferable: bool | UnsetType = UNSET
    on_rollback: OnRollback | UnsetType = UNSET
    on_expiry: OnEnd | UnsetType = UNSET
    on_revoke: OnEnd | UnsetType = UNSET


def patched(definition: Definition, patch: DefinitionPatch) -> Definition:
    """*definition* with the fields of *patch*, not yet checked."""
    changes: dict[str, Any] = _given(patch)
    changes.pop("version", None)
    if "limits" in changes:
        changes["limits"] = replace(definition.limits, **_given(changes["limits"]))
    return replace(definition, **changes)


def given(patch: DefinitionPatch) -> tuple[str, ...]:
    """The names of the fields that *patch* gives, but for version."""
    return tuple(name for name in _given(patch) if name != "version")


def difference(old: Definition, new: Definition) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields that are not the same in both, as *old* and as *new* has them."""
    before, after = msgspec.to_builtins(old), msgspec.to_builtins(new)
    names = [name for name in before if before[name] != after[name]]
    return {name: before[name] for name in names}, {name: after[name] for name in names}


def refuse_alone(old: Definition, new: Definition, state: State) -> None:
    """Errors: Refusal("second_person_needed") where what moves money changes in a campaign that is published."""
    if state is not State.DRAFT and any(getattr(old, name) != getattr(new, name) for name in MONEY):
        raise second_person_needed("campaign_change")


def _given(patch: DefinitionPatch | LimitsPatch) -> dict[str, Any]:
    return {name: value for name, value in asdict(patch).items() if value is not UNSET}


def refuse_fixed(old: Definition, new: Definition, state: State, now_ms: int, *, stock: int, claimed: int) -> None:
    """
    Refuse a change of what is fixed once a campaign is published, has started, or has a coupon out.

    Units: *stock* and *claimed* are coupons of all shards together.
    Errors: Refusal frozen or invalid_state, with errors, a list of {field, rule}.
    """
    if state is State.DRAFT:
        return
    frozen = list(_frozen(old, new)) if claimed else []
    broken = frozen + list(_fixed(old, new, now_ms)) + list(_too_dear(new, stock + claimed))
    if broken:
        raise refuse("frozen" if frozen else "invalid_state", broken)


def _frozen(old: Definition, new: Definition) -> Found:
    for name in FROZEN:
        if getattr(old, name) != getattr(new, name):
            yield Broken(name, "fixed once a coupon is out, because it moves money")
    if old.limits.budget_minor != new.limits.budget_minor:
        yield Broken("limits.budget_minor", "fixed once a coupon is out, because it moves money")


def _fixed(old: Definition, new: Definition, now_ms: int) -> Found:
    if old.stock != new.stock:
        yield Broken("stock", "moves by stock-adjustments once the campaign is published")
    if old.legal_entity != new.legal_entity:
        yield Broken("legal_entity", "fixed once the campaign is published, because its books are begun")
    if old.shards != new.shards:
        yield Broken("shards", "fixed once the campaign is published")
    if old.starts_ms != new.starts_ms and old.starts_ms <= now_ms:
        yield Broken("starts_at", "fixed once the campaign has started")


def _too_dear(new: Definition, issued: int) -> Found:
    if issued * (new.unit_minor or 0) > MINOR_MAX:
        yield Broken("value", "stock times the most one coupon can cost has to stay below 2^53 minor units")
