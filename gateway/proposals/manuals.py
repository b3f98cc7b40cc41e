"""Drafts of manual journals as proposals; their table and their way into the books are their own (finance.making)."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.finance.drafted import ManualJournal
from gateway.proposals.asked import State
from gateway.proposals.store import Proposal

PREFIX = "mj_"

_STATES: Mapping[str, State] = {"drafted": "pending", "approved": "approved", "posted": "applied"}


def as_proposal(manual: ManualJournal) -> Proposal:
    """*manual* in the words of proposals; posted is applied, and one that nobody checked was withdrawn."""
    over: State = "rejected" if manual.checked_by else "withdrawn"
    journal = {
        "effective_date": manual.effective_date,
        "reason": manual.reason,
        "attachment": manual.attachment,
        "entity": manual.entity,
        "about": manual.about,
        "reverses": manual.reverses,
        "settles": manual.settles,
        "lines": manual.lines,
    }
    asked: dict[str, Any] = msgspec.to_builtins({"kind": "manual_journal", "journal": journal})
    return Proposal(
        manual.id,
        "manual_journal",
        f"entity:{manual.entity}",
        asked,
        {"state": "drafted"},
        manual.reason,
        manual.made_by,
        manual.made_at,
        None,
        _STATES.get(manual.state, over),
        manual.checked_by,
        manual.checked_at,
        manual.refused,
        None if manual.journal is None else {"journal": manual.journal},
    )
