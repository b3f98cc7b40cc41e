"""The bodies that go out: a campaign as the staff sees it, and as a holder does."""

from typing import Any

import msgspec

from gateway.api.operation import Time
from gateway.campaigns.compile import Rules
from gateway.campaigns.definition import DAY_MS, Definition, Validity, Value
from gateway.campaigns.life import State, Stored, state_at
from gateway.campaigns.service import Seen
from gateway.campaigns.shards import Look
from gateway.campaigns.store import Campaign
from gateway.wire import rfc3339, time_ms

_STORED = {"open": Stored.SCHEDULED, "paused": Stored.PAUSED, "ended": Stored.ENDED}
"""What a shard's rules say → the stored state it comes from; to a holder, archived is ended."""


class StaffRow(Definition, kw_only=True, frozen=True, forbid_unknown_fields=False):
    """A campaign in a list: its definition, its state, its version."""

    state: State
    version: int
    number: int
    created_at: Time
    updated_at: Time


class StaffView(StaffRow, kw_only=True, frozen=True):
    """
    One campaign as the staff sees it.

    *remaining* and *claimed* are null while a shard may not serve, and where there are no shards: of a draft, also of
    one that was archived.
    """

    remaining: int | None
    claimed: int | None
    server_time: Time


class HolderLimits(msgspec.Struct):
    """How many coupons one person may have; null is no limit."""

    per_holder: int
    per_holder_per_day: int | None
    per_day: int | None


class HolderView(msgspec.Struct):
    """A published campaign as a holder sees it: nothing of who pays, nor of the budget."""

    id: str
    name: str
    state: State
    version: int
    value: Value
    currency: str
    limits: HolderLimits
    starts_at: Time
    ends_at: Time
    timezone: str
    validity: Validity
    channels: list[str]
    remaining: int
    server_time: Time


def staff_row(here: Campaign, now_ms: int) -> dict[str, Any]:
    """A campaign in a list: its definition, its state at *now_ms*, its version."""
    definition = here.definition
    return {
        **msgspec.to_builtins(definition),
        "state": state_at(here.state, definition.starts_ms, definition.ends_ms, now_ms),
        "version": here.version,
        "number": here.number,
        "created_at": rfc3339(time_ms(here.created_at)),
        "updated_at": rfc3339(time_ms(here.updated_at)),
    }


def staff_view(seen: Seen) -> dict[str, Any]:
    """
    One campaign: staff_row, and what its shards say.

    *remaining* and *claimed* are None while a shard may not serve, and where there are no shards: of a draft, also of
    one that was archived.
    """
    known = bool(seen.looks) and all(look.ready for look in seen.looks)
    return {
        **staff_row(seen, seen.now_ms),
        "remaining": sum(look.stock for look in seen.looks) if known else None,
        "claimed": sum(look.claimed for look in seen.looks) if known else None,
        "server_time": rfc3339(seen.now_ms),
    }


def holder_view(campaign: str, looks: list[Look]) -> dict[str, Any]:
    """A published campaign as its shards have it: nothing of who pays, nor of the budget."""
    rules, now_ms = looks[0].rules, looks[0].now_ms
    starts_ms, ends_ms = int(rules["starts_ms"]), int(rules["ends_ms"])
    return {
        "id": campaign,
        "name": rules["name"],
        "state": state_at(_STORED[rules["state"]], starts_ms, ends_ms, now_ms),
        "version": int(rules["version"]),
        "value": msgspec.Raw(rules["value"].encode()),
        "currency": rules["currency"],
        "limits": {
            "per_holder": int(rules["per_holder"]),
            "per_holder_per_day": _limit(rules["per_holder_per_day"]),
            "per_day": _sum([look.rules["per_day"] for look in looks]),
        },
        "starts_at": rfc3339(starts_ms),
        "ends_at": rfc3339(ends_ms),
        "timezone": rules["timezone"],
        "validity": _validity(rules),
        "channels": [channel for channel in rules["channels"].split(",") if channel],
        "remaining": sum(look.stock for look in looks),
        "server_time": rfc3339(now_ms),
    }


def _limit(text: str) -> int | None:
    return int(text) if text else None


def _sum(slices: list[str]) -> int | None:
    return sum(int(part) for part in slices) if all(slices) else None


def _validity(rules: Rules) -> dict[str, Any]:
    if rules["until_ms"]:
        return {"until": rfc3339(int(rules["until_ms"]))}
    return {"days": int(rules["validity_ms"]) // DAY_MS}
