"""Pure: what may be proposed and by whom, when two names are one person, and what a proposal rests on."""

from typing import Any

import msgspec
import pytest

from gateway.errors import PROBLEMS, Refusal
from gateway.keys import ApiKey
from gateway.people.person import Person
from gateway.proposals.applying import LATER
from gateway.proposals.asked import KINDS, Asked, Kept, check_form, kind_of, kinds_seen, may_check, may_make, subject_of
from gateway.proposals.kinds import RESTS_ON, moved_on
from gateway.somebody import fold_name, name_in
from tests.integration.proposing import CHANGE, JOURNAL, REVOCATION, STOCK, reopening

ALL: list[dict[str, Any]] = [CHANGE, STOCK, REVOCATION, reopening(), JOURNAL]


def asked(body: dict[str, Any]) -> Any:
    """A body as a value."""
    return msgspec.convert(body, Asked)


def key(role: str, name: str = "ann") -> ApiKey:
    """Somebody with an API key."""
    return ApiKey("k", name, role)


def test_each_kind_is_told_by_its_tag() -> None:
    """Every kind has a body, which is kept and read back as it was; only a manual journal has no row of its own."""
    assert [kind_of(asked(body)) for body in ALL] == [*KINDS]
    for body in ALL[:-1]:
        assert msgspec.to_builtins(msgspec.convert(msgspec.to_builtins(asked(body)), Kept)) == msgspec.to_builtins(
            asked(body)
        )
    limits = {**CHANGE, "change": {"limits": {"budget_minor": None}}}
    assert msgspec.to_builtins(asked(limits)) == limits, "null takes a limit away, and is not left out"


@pytest.mark.parametrize(
    ("role", "makes", "sees"),
    [
        ("admin", 5, 5), ("marketer", 3, 3), ("finance", 2, 2), ("auditor", 0, 5), ("store", 0, 0), ("operator", 0, 0),
    ],
)  # fmt: skip
def test_who_may_make_and_see(role: str, makes: int, sees: int) -> None:
    """Marketers what is of campaigns, finance what is of books, an admin all; an auditor sees all and makes none."""
    assert len([kind for kind in KINDS if may_make(key(role), kind)]) == makes
    assert len(kinds_seen(key(role))) == sees
    assert kinds_seen(Person("ann", (role,), "Ann")) == kinds_seen(key(role))


def test_what_is_closed_an_admin_decides() -> None:
    """Finance decides on a period on hold and not on a closed one."""
    assert may_check(key("finance"), "period_reopening", {"state": "hold"})
    assert not may_check(key("finance"), "period_reopening", {"state": "closed"})
    assert may_check(key("admin"), "period_reopening", {"state": "closed"})


@pytest.mark.parametrize("name", ["Ann", " ann ", "ＡＮＮ", "ANN"])
def test_a_name_is_one_person(name: str) -> None:
    """Case, width and blanks, a key or a user: one person."""
    for actor in (key("admin", name).actor, f"user:{name}"):
        assert name_in(actor) == fold_name("ann")
    assert name_in("key:x ann b") != fold_name("ann")


def test_what_waits_is_told_by_its_subject() -> None:
    """One campaign, one holder, one holder in a campaign and one period are four things."""
    holder = {**REVOCATION, "holder": "h"}
    subjects = [
        subject_of(asked(REVOCATION)),
        subject_of(asked(holder)),
        subject_of(asked({**holder, "campaign": None})),
        subject_of(asked(reopening()), "main/2026-03"),
    ]
    assert subjects == ["campaign:flash", "campaign:flash holder:h", "holder:h", "period:main/2026-03"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**STOCK, "campaign": "../x"}, "campaign"),
        ({**STOCK, "reason": ""}, "reason"),
        ({**CHANGE, "change": {"version": 3}}, "change"),
        ({**CHANGE, "change": {"channels": []}}, "change"),
        ({**reopening(), "reason": "a\nb"}, "reason"),
    ],
)
def test_a_body_that_says_nothing_is_refused_by_field(body: dict[str, Any], field: str) -> None:
    """What can be told from the body alone is a bad request that names the field."""
    with pytest.raises(Refusal) as refused:
        check_form(asked(body))
    assert (refused.value.code, refused.value.context["field"]) == ("bad_request", field)


def test_what_it_rests_on_is_compared() -> None:
    """Of a change the version, of stock its value and not how much is left; what differs is told, as it was and is."""
    assert moved_on(asked(CHANGE), {"version": 2, "value": 1}, {"version": 3, "value": 1}) == "version was 2 and is 3"
    worth = {"value": {"minor": 5}, "currency": "CNY"}
    assert moved_on(asked(STOCK), {"stock": 9, **worth}, {"stock": 2, **worth}) == ""
    assert "value was" in moved_on(asked(STOCK), worth, {**worth, "value": {"minor": 6}})
    assert moved_on(asked(REVOCATION), {"coupons": 1}, {"coupons": 7}) == ""
    assert {RESTS_ON[type(asked(body))] for body in ALL[:-1]} == {
        ("version",),
        ("value", "currency"),
        (),
        ("state", "closes"),
    }


def test_what_may_succeed_later_is_no_failure() -> None:
    """A server that is away leaves a proposal as it is; every other refusal of the services is final for it."""
    later = {code for code, problem in PROBLEMS.items() if problem.status >= LATER}
    assert {"not_ready", "unknown", "overloaded", "internal", "rate_limited"} <= later
    assert not later & {"version_conflict", "frozen", "stock_floor", "invalid_state", "campaign_not_found", "forbidden"}
