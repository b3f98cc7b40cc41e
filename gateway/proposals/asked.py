"""Pure: what may be proposed, what it is about, and who may make it, check it and see it."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from gateway.campaigns.bounds import ID_PATTERN, Id, StockDelta, StockReason, told_text
from gateway.campaigns.broken import is_text, text_rule
from gateway.campaigns.patch import MONEY, DefinitionPatch, given
from gateway.finance.drafts import Draft
from gateway.issuing.asked import refuse
from gateway.somebody import Somebody, may

REASON_CHARS_MAX = 500
SAID_CHARS_MAX = 500

Kind = Literal["campaign_change", "stock_adjustment", "revocation", "period_reopening", "manual_journal"]
KINDS: tuple[Kind, ...] = get_args(Kind)

State = Literal["pending", "approved", "applied", "failed", "rejected", "withdrawn", "expired"]
STATES: tuple[State, ...] = get_args(State)

Reason = Annotated[str, told_text(REASON_CHARS_MAX)]


class _Asked(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, tag_field="kind"):
    """A proposal as it is asked for: unknown fields are refused by name."""


class CampaignChange(_Asked, frozen=True, kw_only=True, tag="campaign_change"):
    """A change of a published campaign, of which a part at least moves money: what PATCH /v1/campaigns/{id} takes."""

    campaign: Id
    change: DefinitionPatch
    reason: Reason


class StockAdjustment(_Asked, frozen=True, kw_only=True, tag="stock_adjustment"):
    """*delta* coupons in (> 0) or out (< 0) of a published campaign."""

    campaign: Id
    delta: StockDelta
    reason: StockReason


class MassRevocation(_Asked, frozen=True, kw_only=True, tag="revocation"):
    """The revocation of every coupon of a campaign, of a holder, or of a holder in a campaign."""

    reason: str
    campaign: str | None = None
    holder: str | None = None


class PeriodNamed(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A month or a day of a legal entity."""

    starts: Annotated[str, Meta(extra_json_schema={"description": "Its first day; a month is written 2026-11 too."})]
    kind: Literal["month", "day"] = "month"
    entity: str = "main"


class PeriodReopening(_Asked, frozen=True, kw_only=True, tag="period_reopening"):
    """A period that is on hold or closed, to be opened again."""

    period: PeriodNamed
    reason: Reason


class ManualJournalDraft(_Asked, frozen=True, kw_only=True, tag="manual_journal"):
    """A journal: what POST /v1/ledger/manual-journals takes."""

    journal: Draft


Asked = CampaignChange | StockAdjustment | MassRevocation | PeriodReopening | ManualJournalDraft
"""What may be proposed, told apart by its kind."""

Kept = CampaignChange | StockAdjustment | MassRevocation | PeriodReopening
"""What has a row in proposals; a manual journal has its own table."""

_ROLES: Mapping[Kind, str] = {
    "campaign_change": "marketer",
    "stock_adjustment": "marketer",
    "revocation": "marketer",
    "period_reopening": "finance",
    "manual_journal": "finance",
}

MAKERS = ("marketer", "finance")
READERS = (*MAKERS, "auditor")


def kind_of(asked: Asked) -> Kind:
    """The kind of *asked*."""
    tag: Kind = asked.__struct_config__.tag  # type: ignore[assignment]
    return tag


def may_make(who: Somebody, kind: str) -> bool:
    """Whether *who* may propose it: whoever has the role for the act."""
    return may(who, [_ROLES[kind]])  # type: ignore[index]


def may_check(who: Somebody, kind: str, before: Mapping[str, Any]) -> bool:
    """Whether *who* may approve or reject it: whoever may do the act, so of a closed period an admin only."""
    if kind == "period_reopening" and before.get("state") == "closed":
        return "admin" in who.roles
    return may_make(who, kind)


def kinds_seen(who: Somebody) -> list[str]:
    """The kinds that *who* may see: those of his own roles, and an auditor all of them."""
    return [kind for kind in KINDS if may(who, [_ROLES[kind], "auditor"])]


def subject_of(asked: Kept, period: str = "") -> str:
    """What it is about, of which one of a kind waits at most; *period* is that of a reopening, as it is written."""
    match asked:
        case PeriodReopening():
            return f"period:{period}"
        case MassRevocation(campaign=campaign, holder=holder):
            parts = [f"campaign:{campaign}"] if campaign is not None else []
            return " ".join(parts + ([f"holder:{holder}"] if holder is not None else []))
        case _:
            return f"campaign:{asked.campaign}"


def check_form(asked: Kept) -> None:
    """What can be told from *asked* alone. Errors: Refusal("bad_request") naming the field."""
    campaign = None if isinstance(asked, PeriodReopening) else asked.campaign
    if campaign is not None and not ID_PATTERN.fullmatch(campaign):
        raise refuse("campaign", "the id of a campaign")
    if not is_text(asked.reason, REASON_CHARS_MAX):
        raise refuse("reason", text_rule(REASON_CHARS_MAX))
    if isinstance(asked, CampaignChange) and not set(given(asked.change)) & set(MONEY):
        raise refuse("change", f"one at least of {', '.join(MONEY)}: what else a campaign has is changed directly")


def check_said(said: str | None, *, needed: bool) -> None:
    """What a checker or a maker says. Errors: Refusal("bad_request")."""
    if said is None and not needed:
        return
    if said is None or not is_text(said, SAID_CHARS_MAX):
        raise refuse("said", text_rule(SAID_CHARS_MAX))
