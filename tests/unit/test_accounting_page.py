"""docs/accounting.md is what the program does: its chart, its examples to the cent, what they come to, its views."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lua.entries import Entry
from lua.keys import CampaignId, Shard
from reconciler.accounts import MONEY_ACCOUNTS
from reconciler.money import Terms
from reconciler.postings import Posting, journals_for
from tests.entries import a_step, changed, issued
from tests.test_docs import names, page, table, tables
from tests.unit.test_postings import adjusted, claimed

SCHEMA = (Path(__file__).parents[2] / "reconciler" / "sql" / "schema.sql").read_text(encoding="utf-8")
NO_UNIT = {"source": "", "destination": "", "units": "0"}
TEA = Shard(CampaignId("tea"), 0), Terms(currency="CNY", unit_minor=500)
CARD = Shard(CampaignId("card"), 0), Terms(currency="CNY", unit_minor=1000, stored=True)


def a_split(verb: str, *shares: int, **changes: Any) -> Entry:
    """A redemption or rollback at m-1, of platform and brand."""
    funders = [{"account": name, "minor": minor} for name, minor in zip(("platform", "brand"), shares, strict=True)]
    told = {"currency": "CNY", "merchant": "m-1", "funders": funders}
    return changed(1, a_step(verb, minor=str(sum(shares)), detail=told, **changes))


def of_balance(verb: str, minor: int, left: int, **changes: Any) -> Entry:
    """A step of a balance at m-1."""
    told = {"currency": "CNY", "merchant": "m-1"}
    return changed(1, a_step(verb, minor=str(minor), left=str(left), detail=told, **{**NO_UNIT, **changes}))


EXTENDED = {"state": "claimed", "source": "expired", "destination": "outstanding", "units": "1"}
DISCOUNT: dict[str, Entry] = {
    "Restock": adjusted(1, 100),
    "Withdraw": adjusted(1, -10),
    "Claim": claimed(1, 4),
    "Issue": issued(1, "P1", "P2", units=3),
    "Reserve": changed(1, a_step("reserved")),
    "Redeem": a_split("redeemed", 315, 135, source="reserved"),
    "Rollback of a part": a_split("rolled_back", 70, 30, **NO_UNIT),
    "Rollback of the rest": a_split("rolled_back", 245, 105),
    "Redeem again": a_split("redeemed", 350, 150),
    "Expire": changed(1, a_step("expired")),
    "Revoke": changed(1, a_step("revoked")),
}
BALANCE: dict[str, Entry] = {
    "Give out a balance": claimed(1, 1),
    "Spend of a balance": of_balance("redeemed", 400, 600),
    "Give back to a balance": of_balance("rolled_back", 100, 700, state="claimed"),
    "A balance expires": changed(1, a_step("expired", left="700")),
    "Give back after the end": of_balance("rolled_back", 100, 800, state="expired"),
    "Give back, and extend": of_balance("rolled_back", 200, 1000, **EXTENDED),
    "An untouched balance goes back": changed(1, a_step("expired", left="1000", destination="stock")),
}
STORY = {**DISCOUNT, **BALANCE}


def booked(name: str) -> list[Posting]:
    """The postings of money of an event of the page."""
    shard, terms = TEA if name in DISCOUNT else CARD
    journals = journals_for(shard, [STORY[name]], lambda _: terms)
    return [line for journal in journals for line in journal.postings if line.commodity == "CNY"]


def shown(minor: int) -> str:
    """Minor units of CNY as the page writes them; nothing for nothing."""
    return f"{minor // 100}.{minor % 100:02}" if minor else ""


def sections() -> dict[str, str]:
    """The section of each event of the page that has a journal."""
    parts = re.split(r"^#+ (.+)$", page("accounting"), flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    return {name: text for name, text in found.items() if "| debit | credit | CNY |" in text}


def test_the_chart_of_accounts_is_the_program_s() -> None:
    """Every account with what it is named after, its normal side and what it holds, in the same order."""
    rows = table(page("accounting"), "account", "named after", "normal side", "holds")

    assert {row[0].strip("`"): tuple(row[1:]) for row in rows} == MONEY_ACCOUNTS
    assert names(rows) == list(MONEY_ACCOUNTS)


def test_every_event_has_its_example() -> None:
    """The page tells the events of the story in its order, and no others."""
    assert list(sections()) == list(STORY)


@pytest.mark.parametrize("name", STORY)
def test_the_example_is_what_is_booked(name: str) -> None:
    """Debit, credit and amount of each line, in order."""
    rows = table(sections()[name], "debit", "credit", "CNY")

    assert rows == [[f"`{line.destination}`", f"`{line.source}`", shown(line.amount)] for line in booked(name)]


def test_the_examples_come_to_the_trial_balance() -> None:
    """The balances after the story of the discount are those of the page, each on its normal side; both sides agree."""
    balances: Counter[str] = Counter()
    for line in (line for name in DISCOUNT for line in booked(name)):
        balances[line.destination] += line.amount
        balances[line.source] -= line.amount
    rows = table(page("accounting"), "account", "debit", "credit")

    assert rows == [
        [f"`{account}`", shown(max(minor, 0)), shown(max(-minor, 0))]
        for account, minor in sorted(balances.items())
        if minor
    ]
    assert sum(balances.values()) == 0


def test_rolled_back_whole_it_is_as_if_nothing_had_been_redeemed() -> None:
    """Redemption, a part and the rest of the page's example leave every account as it was."""
    balances: Counter[str] = Counter()
    for line in (line for name in ("Redeem", "Rollback of a part", "Rollback of the rest") for line in booked(name)):
        balances[line.destination] += line.amount
        balances[line.source] -= line.amount

    assert not any(balances.values())


def test_the_untouched_balance_leaves_nothing() -> None:
    """After the story of the balance every account is back at zero."""
    balances: Counter[str] = Counter()
    for line in (line for name in BALANCE for line in booked(name)):
        balances[line.destination] += line.amount
        balances[line.source] -= line.amount

    assert not any(balances.values())


def test_every_view_of_money_is_on_the_page() -> None:
    """The views over the money book are listed, and none that is gone; those for a BI tool are in docs/schema.md."""
    [rows] = tables(page("accounting"), "view", "one row is")
    [for_analysts] = tables(page("schema"), "view", "one row is", "quick by")
    views = set(re.findall(r"^CREATE VIEW (\w+)", SCHEMA, flags=re.MULTILINE))

    assert set(names(rows)) == views - {"v_balances", *names(for_analysts)}
    assert set(re.findall(r"\bv_\w+", page("accounting"))) <= views
